import { expect, it } from 'vitest';
import { cannotBeRead } from '../../activities/manifest/errors.ts';

it.each([
  ['cannot be read for good where a library is gone', '58P01', true],
  ['is tried again where the host has no file left to open it with', '53000', false],
  ['is tried again where the host has no memory for it', '53200', false],
])('what needs a library %s', (_what, code, expected) => {
  expect(cannotBeRead(Object.assign(new Error('could not access file "hstore"'), { code, file: 'dfmgr.c' }))).toBe(expected);
});
