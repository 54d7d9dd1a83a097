import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** Imports that break the arrows of the house: [file, its text]. Each must make the real configuration go red. */
const FORBIDDEN: readonly (readonly [string, string])[] = [
  ['contracts/a.ts', `import { x } from '../workflows/index.ts'; x();`],
  ['contracts/b.ts', `import type { X } from '../activities/x.ts'; export type Y = X;`],
  ['contracts/c.ts', `import { readFile } from 'node:fs'; readFile;`],
  ['contracts/d.ts', `import { Client } from '@temporalio/client'; new Client();`],
  ['contracts/e.ts', `export * from '../workers/x.ts';`],
  ['workflows/a.ts', `import { x } from '../activities/x.ts'; x();`],
  ['workflows/deep/er/b.ts', `import { x } from '../../../activities/postgres/x.ts'; x();`],
  ['workflows/c.ts', `import { x } from '../workers/x.ts'; x();`],
  ['workflows/d.ts', `import { join } from 'node:path'; join();`],
  ['workflows/e.ts', `import { createHash } from 'crypto'; createHash();`],
  ['workflows/f.ts', `import { Client } from '@temporalio/client'; new Client();`],
  ['workflows/g.ts', `import type { X } from '../scripts/x.ts'; export type Y = X;`],
  ['activities/a.ts', `import { x } from '../workflows/index.ts'; x();`],
  ['activities/postgres/b.ts', `import { x } from '../../workers/x.ts'; x();`],
  ['activities/c.ts', `import { x } from '../scripts/x.ts'; x();`],
  ['activities/archive-provider/d.ts', `import { x } from '../backup/x.ts'; x();`],
  ['activities/archive-provider/e.ts', `import { x } from '../../workers/x.ts'; x();`],
  ['activities/dr-test/f.ts', `import { x } from '../archive-provider/x.ts'; x();`],
  ['activities/dr-test/g.ts', `import type { X } from '../backup/x.ts'; export type Y = X;`],
  ['activities/dr-test/h.ts', `import { x } from '../../scripts/x.ts'; x();`],
  ['workers/a.ts', `import { x } from '../scripts/x.ts'; x();`],
  ['workers/b.ts', `import { x } from '../test/x.ts'; x();`],
  ['scripts/cli/a.ts', `import { x } from '../../test/x.ts'; x();`],
  ['activities/cycle-one.ts', `import { two } from './cycle-two.ts'; export const one = () => two;`],
];

/** Imports along the arrows: the same configuration must stay silent. */
const ALLOWED: readonly (readonly [string, string])[] = [
  ['contracts/good.ts', `import { z } from 'zod'; import { x } from './other.ts'; export const y = z.object({ x });`],
  ['workflows/drill/good.ts', `import { sleep } from '@temporalio/workflow'; import type { X } from '../../activities/x.ts'; import { y } from '../../contracts/y.ts'; export const z = (x: X) => [sleep, x, y];`],
  ['activities/x/good.ts', `import { readFile } from 'node:fs'; import { y } from '../../contracts/y.ts'; export const z = [readFile, y];`],
  ['activities/archive-provider/good.ts', `import type { X } from '../dr-test/provider.ts'; export type Y = X;`],
  ['activities/backup/good.ts', `import { x } from '../archive-provider/x.ts'; import { y } from '../dr-test/y.ts'; export const z = [x, y];`],
  ['workers/good.ts', `import { x } from '../activities/x.ts'; import { y } from '../workflows/y.ts'; export const z = [x, y];`],
  ['scripts/good.ts', `import { x } from '../activities/x.ts'; import { y } from '../workers/y.ts'; export const z = [x, y];`],
  ['test/good.ts', `import { x } from '../scripts/x.ts'; import { y } from '../workflows/y.ts'; export const z = [x, y];`],
];

interface Diagnostic {
  readonly code: string;
  readonly filename: string;
}

describe('the lint configuration', () => {
  let root: string;
  let diagnostics: readonly Diagnostic[];

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'import-arrows-'));
    const project = fileURLToPath(new URL('../../', import.meta.url));
    await copyFile(join(project, '.oxlintrc.json'), join(root, '.oxlintrc.json'));
    const other = ['activities/cycle-two.ts', `import { one } from './cycle-one.ts'; export const two = () => one;`] as const;
    for (const [file, text] of [...FORBIDDEN, ...ALLOWED, other]) {
      await mkdir(dirname(join(root, file)), { recursive: true });
      await writeFile(join(root, file), `${text}\n`);
    }
    diagnostics = await lint(root);
  });

  afterAll(() => rm(root, { recursive: true, force: true }));

  it.each(FORBIDDEN)('refuses in %s: %s', (file) => {
    const codes = diagnostics.filter(({ filename }) => filename.endsWith(file)).map(({ code }) => code);
    expect(codes.some((code) => /no-restricted-imports|no-cycle/.test(code)), codes.join()).toBe(true);
  });

  it.each(ALLOWED)('accepts in %s: %s', (file) => {
    expect(diagnostics.filter(({ filename }) => filename.endsWith(file))).toEqual([]);
  });
});

async function lint(directory: string): Promise<readonly Diagnostic[]> {
  const program = join(dirname(createRequire(import.meta.url).resolve('oxlint/package.json')), 'bin/oxlint');
  const output = await new Promise<string>((resolve) => {
    // Its exit code says that it found something, which is the point here.
    execFile(process.execPath, [program, '--format', 'json'], { cwd: directory }, (_error, stdout) => resolve(stdout));
  });
  return (JSON.parse(output) as { diagnostics: Diagnostic[] }).diagnostics;
}
