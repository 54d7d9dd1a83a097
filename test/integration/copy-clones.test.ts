import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { copyFiles } from '../../activities/archive/copy-files.ts';
import { sha256Of } from '../../activities/archive/layout.ts';
import { hookCopies } from '../support/hooked-copies.ts';

const MEGABYTE = 2 ** 20;

let root: string;
let mounted: string | undefined;
/** What root runs. */
const run = (program: string, ...args: string[]) => execFileSync(program, args, { stdio: 'pipe', env: { PATH: `${process.env['PATH']}:/usr/sbin:/sbin` } });
beforeEach(() => { root = mkdtempSync(join(tmpdir(), 'drb-clones-')); });
afterEach(() => {
  if (mounted !== undefined) run('umount', mounted);
  mounted = undefined;
  rmSync(root, { recursive: true, force: true });
});

/** A file to be copied, of contents of its own. */
function job(source: string, target: string, size: number) {
  writeFileSync(source, randomBytes(size), { mode: 0o644 });
  return { source, target, size };
}

async function copyAll(jobs: ReturnType<typeof job>[], reflink?: false): Promise<void> {
  const results = await copyFiles({ phase: 'backup', setting: 'provider.repository', directories: [], jobs, spaceOf: root, threads: 1, reflink });
  expect(results).toEqual(jobs.map(({ source, size }) => ({ state: 'copied', size, sha256: sha256Of(readFileSync(source)) })));
  for (const { source, target } of jobs) {
    expect(readFileSync(target).equals(readFileSync(source))).toBe(true);
    expect(statSync(target).mode & 0o777).toBe(0o600);
  }
}

it.each(['EXDEV', 'ENOTSUP', 'EINVAL'])('what cannot be cloned as others can (%s), as from a tablespace on a disk of its own, is copied', async (code) => {
  // A file system where one directory's files can be cloned, and another's cannot.
  const [hook, log, apart] = ['hook.mjs', 'log', 'apart'].map((name) => join(root, name)) as [string, string, string];
  mkdirSync(apart);
  writeFileSync(hook, `
    import fs from 'node:fs';
    import { syncBuiltinESMExports } from 'node:module';
    const { copyFileSync } = fs;
    fs.copyFileSync = (source, target, mode) => {
      fs.appendFileSync(${JSON.stringify(log)}, source + '\\n');
      if (source.startsWith(${JSON.stringify(apart)})) throw Object.assign(new Error('${code}: not to be cloned'), { code: '${code}' });
      copyFileSync(source, target, mode & ~fs.constants.COPYFILE_FICLONE_FORCE);
    };
    syncBuiltinESMExports();`);
  hookCopies(root, hook);
  const names = ['first', 'apart/second', 'apart/third'];
  await copyAll(names.map((name, index) => job(join(root, name), join(root, `copy-${index}`), 3 * MEGABYTE - index)));
  // One that cannot be says it for its whole device.
  expect(readFileSync(log, 'utf8').trim().split('\n')).toEqual(names.slice(0, 2).map((name) => join(root, name)));
});

/** A disk of a file system that clones, or why there is none. */
function makeCloningDisk(): { at: string } | { none: string } {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return { none: 'only root on Linux mounts a disk' };
  const [image, at] = [join(root, 'image'), join(root, 'disk')];
  mkdirSync(at);
  const problems: string[] = [];
  for (const make of ['mkfs.xfs', 'mkfs.btrfs']) {
    try {
      // Less is too little for a file system of today; it takes what is written.
      writeFileSync(image, '');
      truncateSync(image, 400 * MEGABYTE);
      run(make, image);
      run('mount', '-o', 'loop', image, at);
      mounted = at;
      return { at };
    } catch (error) {
      problems.push((error as Error).message.trim());
    }
  }
  return { none: `no file system that clones can be made and mounted here: ${problems.join('; ')}` };
}

it('files that can be are cloned, and take no room', async ({ skip }) => {
  const disk = makeCloningDisk();
  if ('none' in disk) return skip(disk.none);
  const free = () => {
    run('sync', '-f', disk.at);
    const { bavail, bsize } = statfsSync(disk.at);
    return bavail * bsize / MEGABYTE;
  };
  const [from, to] = [(name: string) => join(disk.at, name), (name: string) => join(disk.at, `copy of ${name}`)];
  const jobs = [job(join(root, 'apart'), to('apart'), 4 * MEGABYTE), job(from('large'), to('large'), 32 * MEGABYTE), job(from('empty'), to('empty'), 0)];
  const before = free();
  await copyAll(jobs);
  const cloned = free();
  expect(before - cloned, 'the one from elsewhere').toBeGreaterThan(3);
  expect(before - cloned).toBeLessThan(12);
  for (const { target } of jobs) rmSync(target);
  const emptied = free();
  await copyAll(jobs, false);
  expect(emptied - free(), 'what copies take').toBeGreaterThan(30);
});
