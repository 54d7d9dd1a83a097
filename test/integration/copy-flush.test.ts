import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it, onTestFinished } from 'vitest';
import { copyFiles, type CopyRequest } from '../../activities/archive/copy-files.ts';
import { endDrill } from '../../activities/drill/destroy.ts';
import { drillMarker } from '../../activities/drill/drill.ts';
import { findProcesses } from '../../activities/drill/processes.ts';
import { until } from '../support/toy-runs.ts';

const PROGRAM = fileURLToPath(new URL('../../activities/archive/copy-process.mjs', import.meta.url));
const MEGABYTE = 2 ** 20;

let root: string;
beforeEach(() => { root = mkdtempSync(join(tmpdir(), 'drb-flush-')); });
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** A request for files of these sizes. */
function requestOf(sizes: Record<string, number>): Omit<CopyRequest, 'threads'> {
  const jobs = Object.entries(sizes).map(([name, size]) => {
    const source = join(root, name);
    writeFileSync(source, '');
    truncateSync(source, size);
    return { source, target: join(root, `copy of ${name}`), size };
  });
  return { directories: [], jobs, spaceOf: root, reflink: false };
}

/** A disk that keeps nothing until `release`, for a copying process that imports `hook`; `lines` says what it was asked to keep. */
function makeSlowDisk() {
  const [log, hook, released] = ['log', 'slow-disk.mjs', 'released'].map((name) => join(root, name)) as [string, string, string];
  writeFileSync(log, '');
  writeFileSync(hook, `
    import fs from 'node:fs';
    const open = fs.promises.open;
    fs.promises.open = async (path, ...more) => {
      const file = await open(path, ...more);
      file.datasync = async () => {
        fs.appendFileSync(${JSON.stringify(log)}, 'begun ' + path + '\\n');
        while (!fs.existsSync(${JSON.stringify(released)})) await new Promise((resolve) => setTimeout(resolve, 20));
        fs.appendFileSync(${JSON.stringify(log)}, 'kept ' + path + '\\n');
      };
      return file;
    };`);
  return { hook, release: () => writeFileSync(released, ''), lines: () => readFileSync(log, 'utf8').trim().split('\n') };
}

/** Resolves when the copy is done. */
async function copyToSlowDisk(request: Omit<CopyRequest, 'threads'>) {
  const disk = makeSlowDisk();
  const child = spawn(process.execPath, ['--import', disk.hook, PROGRAM], { cwd: '/', stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  onTestFinished(() => { child.kill('SIGKILL'); });
  const exit = once(child, 'exit');
  const done = new Promise<void>((resolve) => child.on('message', (message: object) => { if ('done' in message) resolve(); }));
  child.send({ ...request, threads: 2 });
  await done;
  return { child, exit, ...disk };
}

it('brings large files to the disk from their first part on, and is done before the disk is; it ends when that is', async () => {
  const { exit, release, lines } = await copyToSlowDisk({ ...requestOf({ large: 200 * MEGABYTE, small: MEGABYTE }), flush: true });
  const large = join(root, 'copy of large');
  expect(lines()).toEqual([`begun ${large}`]);
  release();
  expect((await exit)[0]).toBe(0);
  // Once more for what came meanwhile.
  expect(lines()).toEqual([`begun ${large}`, `kept ${large}`, `begun ${large}`, `kept ${large}`]);
});

it('brings nothing to the disk that it is not asked to', async () => {
  const { exit, lines } = await copyToSlowDisk(requestOf({ large: 200 * MEGABYTE }));
  expect((await exit)[0]).toBe(0);
  expect(lines()).toEqual(['']);
});

it('ends at once when nobody waits for it any more', async () => {
  const { child, exit } = await copyToSlowDisk({ ...requestOf({ large: 200 * MEGABYTE }), flush: true });
  child.disconnect();
  expect(await exit).toEqual([null, 'SIGKILL']);
});

it('is a process of its drill as long as it runs, and leaves none', async ({ skip }) => {
  if (process.platform !== 'linux') return skip('processes are found by their environment on Linux');
  const { hook, release } = makeSlowDisk();
  // The copy is started by the first `ionice` of the search path.
  writeFileSync(join(root, 'ionice'), `#!/bin/sh\nexec "$3" --import '${hook}' "$4"\n`, { mode: 0o700 });
  const path = process.env['PATH'];
  process.env['PATH'] = `${root}:${path}`;
  onTestFinished(() => { process.env['PATH'] = path; });
  const marker = drillMarker('flushed');
  const copy = (name: string) => copyFiles({ ...requestOf({ [name]: 200 * MEGABYTE }), phase: 'copy', flush: true, marker });
  const running = () => findProcesses({ marker, directory: join(root, 'flushed') });

  expect(await copy('first')).toMatchObject([{ state: 'copied', size: 200 * MEGABYTE }]);
  expect(await running()).toHaveLength(1);
  expect(await endDrill({ name: 'flushed', drillsDirectory: root })).toBe(1);
  await copy('second');
  expect(await running()).toHaveLength(1);
  release();
  await until(async () => (await running()).length === 0, 'the process has ended by itself');
});
