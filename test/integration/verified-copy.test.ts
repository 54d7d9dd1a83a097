import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { sha256Of } from '../../activities/archive/layout.ts';
import { copyVerified } from '../../activities/archive/verified-copy.ts';
import { drillMarker } from '../../activities/drill/drill.ts';
import type { BackupFiles } from '../../contracts/recovery-point.ts';

let root: string;
let backup: string;
let target: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'drb-verified-'));
  backup = join(root, 'backup');
  target = join(root, 'drills', 'target');
  for (const path of [join(backup, 'data'), target]) mkdirSync(path, { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const listed = (path: string, content: string): BackupFiles['files'][number] => ({ path, size: content.length, sha256: sha256Of(content) });
const copy = (files: Partial<BackupFiles>) => copyVerified({ source: backup, target, files: { directories: ['data'], files: [], ...files }, reserveBytes: 0, marker: drillMarker('verified') });
/** All that there is where drills lie. */
const made = () => readdirSync(dirname(target), { recursive: true, encoding: 'utf8' }).sort();

it('a backup is copied with nothing beside it', async () => {
  writeFileSync(join(backup, 'data', 'file'), 'content');
  expect(await copy({ files: [listed('data/file', 'content')] })).toEqual({ files: 1, bytes: 7 });
  expect(made()).toEqual(['target', 'target/data', 'target/data/file']);
});

// Each is there, and is what the list says: no other check has anything against it.
it.each(['../outside', 'data/../../outside', '/outside', 'conf/postgresql.conf', 'outside'])('a file list that names "%s", which is not in the two directories of a backup, is refused before anything is made', async (path) => {
  mkdirSync(dirname(join(backup, path)), { recursive: true });
  writeFileSync(join(backup, path), 'content');
  mkdirSync(join(target, 'conf'));
  const before = made();
  await expect(copy({ files: [listed(path, 'content')] })).rejects.toMatchObject({ type: 'UNSAFE_PATH', files: [path], message: expect.stringContaining(`"${path}"`) as string });
  expect(made()).toEqual(before);
});

it.each(['../outside', 'conf/hooks', '/outside'])('so is one that names "%s" as a directory', async (path) => {
  mkdirSync(join(target, 'conf'));
  const before = made();
  await expect(copy({ directories: ['data', path] })).rejects.toMatchObject({ type: 'UNSAFE_PATH', files: [path] });
  expect(made()).toEqual(before);
});

it.each([
  ['a directory', 'production', { directories: ['data', 'data/link'], files: [listed('data/link/secret', 'of production')] }],
  ['a file', 'production/secret', { files: [listed('data/link', 'of production')] }],
])('a symbolic link in a backup is not followed to what it leads to, though the list agrees with that: %s', async (_what, leadsTo, files) => {
  mkdirSync(join(root, 'production'));
  writeFileSync(join(root, 'production', 'secret'), 'of production');
  symlinkSync(join(root, leadsTo), join(backup, 'data', 'link'));
  await expect(copy(files)).rejects.toMatchObject({ type: 'UNSAFE_PATH', files: ['data/link'], message: expect.stringContaining('symbolic link') as string });
  expect(made()).toEqual(['target']);
});
