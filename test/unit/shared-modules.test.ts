import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const root = new URL('../../', import.meta.url);
const source = (path: string) => readFileSync(new URL(path, root), 'utf8');
const filesOf = (directory: string) => readdirSync(new URL(directory, root), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts')).map((name) => `${directory}/${name}`);
const shared = source('workflows/shared-modules.ts');
/** Only the other side reads these: no workflow has them in its memory. */
const NOT_IN_WORKFLOWS = ['contracts/configuration.ts', 'contracts/drill-settings.ts', 'contracts/evidence-copies.ts', 'contracts/manifest.ts', 'contracts/rds.ts', 'contracts/recovery-point.ts'];

test('every contract that makes schemas for workflows is shared by all of them', () => {
  const making = filesOf('contracts').filter((path) => /^import \{ z \} from 'zod'/m.test(source(path)));
  expect(making.filter((path) => !shared.includes(`'../${path}'`)).toSorted()).toEqual(NOT_IN_WORKFLOWS);
});

test('no workflow exports a schema of its own, which would be frozen before it is used', () => {
  expect(filesOf('workflows').filter((path) => /^export const \w+ = z\./m.test(source(path)))).toEqual([]);
});

test('the module of every workflow is shared by all of its runs', () => {
  const workflows = [...source('workflows/index.ts').matchAll(/ from '(.*)';/g)].map(([, path]) => path);
  expect(workflows).not.toEqual([]);
  expect(workflows.filter((path) => !shared.includes(`import '${path}';`))).toEqual([]);
});

/**
 * What a module could keep something of one run in: a variable, and what can be filled; and what cannot be used once the
 * SDK has frozen it, because it changes when it is used.
 */
const KEEPS = /^(?:export )?(?:(?:let|var) .*|const \w+(?:: .+?)? = (?:new (?:Map|Set|WeakMap|WeakSet|Array)\b.*|\[\];|\{\};))$|^export const \w+ = \/.*\/[a-z]*[gy][a-z]*;$/gm;

test('no module that runs share keeps anything of one of them', () => {
  const kept = [...filesOf('workflows'), ...filesOf('contracts')].flatMap((path) => [...source(path).matchAll(KEEPS)].map(([line]) => `${path}: ${line}`));
  expect(kept).toEqual([]);
});

test('that check sees what it is there for', () => {
  const lines = ['let last = 0;', 'export let last: string | undefined;', 'var x;', 'const known = new Map<string, number>();', 'export const all: string[] = [];', 'const by: Record<string, number> = {};', 'const handlers: Record<string, () => void> = {};', 'export const LINES = /\\n/g;'];
  expect(lines.filter((line) => line.match(KEEPS) === null)).toEqual([]);
  expect(['const NAMES = [1, 2];', '  let inside = 0;', 'const x = new Thing();', 'const LINES = /\\n/g;', 'export const HASH = /^[0-9a-f]+$/i;'].filter((line) => line.match(KEEPS) !== null)).toEqual([]);
});
