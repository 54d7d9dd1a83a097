import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const contracts = new URL('../../contracts/', import.meta.url);
const shared = readFileSync(new URL('../../workflows/procedure/shared-modules.ts', import.meta.url), 'utf8');

test('every contract that makes schemas is shared by all workflows of a worker', () => {
  const making = readdirSync(contracts).filter((name) => /^import \{ z \} from 'zod'/m.test(readFileSync(new URL(name, contracts), 'utf8')));
  expect(making.filter((name) => !shared.includes(`'../../contracts/${name}'`))).toEqual([]);
});
