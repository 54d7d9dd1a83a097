import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const tests = fileURLToPath(new URL('..', import.meta.url));

it('what puts something in the place of a module has a process of its own: elsewhere, another file may have loaded the module before', () => {
  const files = readdirSync(tests, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.test.ts') && /^vi\.(do)?[mM]ock\(/m.test(readFileSync(`${tests}${file}`, 'utf8')));
  expect(files).not.toEqual([]);
  expect(files.filter((file) => !file.endsWith('.mocked.test.ts'))).toEqual([]);
});
