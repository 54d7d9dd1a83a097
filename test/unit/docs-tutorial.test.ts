import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ROOT } from '../support/documentation.ts';

const page = readFileSync(join(ROOT, 'docs/tutorial/first-runbook.md'), 'utf8');
const shown = [...page.matchAll(/<!-- file: (\S+) -->\n```ts\n([\s\S]*?)\n```/g)].map(([, file = '', text = '']) => ({ file, text }));

it('the tutorial shows the files that its test runs, as they are', () => {
  expect(shown.map(({ file }) => file)).toHaveLength(4);
  for (const { file, text } of shown) expect(text, file).toBe(readFileSync(join(ROOT, file), 'utf8').trimEnd());
});

it('its runbook has at most 60 lines', () => {
  const lines = shown.filter(({ file }) => file.includes('/read-only-window/')).reduce((sum, { text }) => sum + text.split('\n').length, 0);
  expect(lines).toBeLessThanOrEqual(60);
});
