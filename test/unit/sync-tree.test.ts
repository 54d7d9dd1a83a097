import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { syncTree } from '../../activities/archive/sync-tree.ts';

let directory: string;
const path = process.env['PATH'];
beforeEach(() => { directory = mkdtempSync(join(tmpdir(), 'drb-sync-')); });
afterEach(() => {
  process.env['PATH'] = path;
  rmSync(directory, { recursive: true, force: true });
});

it('a tree comes to the disk without the rest of its file system, which may be production\'s', async () => {
  const [tree, bin, called] = [join(directory, 'tree'), join(directory, 'bin'), join(directory, 'called')];
  mkdirSync(join(tree, 'data', 'base'), { recursive: true });
  for (let n = 0; n < 20; n += 1) writeFileSync(join(tree, 'data', 'base', String(n)), 'rows');
  symlinkSync('/nowhere', join(tree, 'data', 'link'));
  mkdirSync(bin);
  writeFileSync(join(bin, 'sync'), `#!/bin/sh\n: > ${called}\n`);
  chmodSync(join(bin, 'sync'), 0o755);
  process.env['PATH'] = `${bin}:${path}`;
  await syncTree(tree);
  expect(existsSync(called)).toBe(false);
  const stop = new Error('stop');
  await expect(syncTree(tree, AbortSignal.abort(stop))).rejects.toBe(stop);
});
