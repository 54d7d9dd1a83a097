import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const contracts = new URL('../../contracts/', import.meta.url);
const shared = readFileSync(new URL('../../workflows/shared-modules.ts', import.meta.url), 'utf8');
/** Only the other side reads these: no workflow has them in its memory. */
const NOT_IN_WORKFLOWS = ['configuration.ts', 'evidence-copies.ts', 'manifest.ts', 'recovery-point.ts'];

test('every contract that makes schemas for workflows is shared by all of them', () => {
  const making = readdirSync(contracts).filter((name) => /^import \{ z \} from 'zod'/m.test(readFileSync(new URL(name, contracts), 'utf8')));
  expect(making.filter((name) => !shared.includes(`'../contracts/${name}'`)).toSorted()).toEqual(NOT_IN_WORKFLOWS);
});
