import { expect, it } from 'vitest';
import { classify } from '../../activities/temporal/classify.ts';

const failed = (message: string, code?: string) => Object.assign(new Error(message), code === undefined ? {} : { code });

it.each([
  ['a connection that broke off', failed('Connection terminated unexpectedly'), 'UNAVAILABLE'],
  ['a connection that is used after it broke off', failed('Client has encountered a connection error and is not queryable'), 'UNAVAILABLE'],
  ['a pipe that broke', failed('write EPIPE', 'EPIPE'), 'UNAVAILABLE'],
  ['a server that shuts down', failed('terminating connection', '57P01'), 'UNAVAILABLE'],
  ['a statement that somebody cancelled', failed('canceling statement', '57014'), 'UNAVAILABLE'],
  ['storage that fails under PostgreSQL', failed('could not read block', '58030'), 'UNAVAILABLE'],
  ['storage that fails under us', failed('EIO: i/o error, read', 'EIO'), 'UNAVAILABLE'],
  ['a file system that has gone', failed('ENOTCONN: transport endpoint is not connected, lstat', 'ENOTCONN'), 'UNAVAILABLE'],
  ['a file system that is read-only', failed('EROFS: read-only file system, open', 'EROFS'), 'UNAVAILABLE'],
  ['a file system that is full', failed('ENOSPC: no space left on device, write', 'ENOSPC'), 'DISK_FULL'],
])('%s has a type that people can look up, and is tried again', (_what, error, type) => {
  expect(classify(error)).toMatchObject({ type, nonRetryable: false, message: expect.stringContaining(error.message) as string });
});

it('a library that PostgreSQL cannot load is for people to install, and a host that has nothing left to load it with is tried again', () => {
  const unloaded = (code: string, over: object = {}) => classify(Object.assign(failed('could not access file "x"', code), { file: 'dfmgr.c', routine: 'internal_load_library', ...over }));
  for (const code of ['58P01', '42501', '42883', 'XX000']) expect(unloaded(code)).toMatchObject({ type: 'PREFLIGHT', nonRetryable: true, message: 'PostgreSQL cannot load a library that the database needs: could not access file "x"; install that library for it, in the version that the source has' });
  for (const code of ['53000', '58030']) expect(unloaded(code)).toMatchObject({ type: 'UNAVAILABLE', nonRetryable: false });
  // Who may not use LOAD, and a file of a table.
  expect(unloaded('42501', { routine: 'check_restricted_library_name' })).toMatchObject({ type: 'CONFIGURATION' });
  expect(unloaded('58P01', { file: 'md.c' })).toMatchObject({ code: '58P01' });
});

it('what nobody knows stays as it is', () => {
  const error = failed('cannot read properties of undefined');
  expect(classify(error)).toBe(error);
});

it.each([
  ['a disk that is full under PostgreSQL', '53100'],
  ['a limit such as that of temporary files', '53400'],
])('%s stays so when it is tried again', (_what, code) => {
  expect(classify(failed('temporary file size exceeds temp_file_limit', code))).toMatchObject({ type: 'DISK_FULL', nonRetryable: true });
});

it.each([
  ['28P01', 'password authentication failed for user "x"', /correct connection\.user and its password \(passwordFile or passwordEnv\) of the database in the configuration/],
  ['3D000', 'database "x" does not exist', /correct connection\.database/],
  ['42501', 'permission denied for table x', /grant it to connection\.user/],
])('a refusal of PostgreSQL (%s) names the setting to correct', (code, message, advice) => {
  const found = classify(failed(message, code)) as Error;
  expect(found).toMatchObject({ type: 'CONFIGURATION', nonRetryable: true });
  expect(found.message).toContain(`PostgreSQL refused: ${message}`);
  expect(found.message).toMatch(advice);
});
