import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it, onTestFinished } from 'vitest';
import { copyFiles, type CopyRequest } from '../../activities/archive/copy-files.ts';
import { drillMarker } from '../../activities/drill/drill.ts';
import { findProcesses } from '../../activities/drill/processes.ts';
import { destroyDrill, endDrill } from '../../activities/drill/destroy.ts';
import { recoverToEnd, recoverToLsnAndPause } from '../../activities/drill/recover.ts';
import { archiveNow, backUp, DRILL_NAME, drillOf, productionPaths, startArchivedSource } from '../support/archived-source.ts';
import { copyToSlowDisks, makeSlowDisk } from '../support/slow-disk.ts';
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

/** Resolves when the copy is done. */
async function copyToSlowDisk(request: Omit<CopyRequest, 'threads'>) {
  const disk = makeSlowDisk(root);
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
  const { release } = copyToSlowDisks(root);
  const marker = drillMarker('flushed');
  const copy = (name: string) => copyFiles({ ...requestOf({ [name]: 200 * MEGABYTE }), phase: 'copy', setting: 'drills.directory', flush: true, marker });
  const running = () => findProcesses({ marker, directory: join(root, 'flushed') });

  expect(await copy('first')).toMatchObject([{ state: 'copied', size: 200 * MEGABYTE }]);
  expect(await running()).toHaveLength(1);
  expect(await endDrill({ name: 'flushed', drillsDirectory: root })).toBe(1);
  await copy('second');
  expect(await running()).toHaveLength(1);
  release();
  await until(async () => (await running()).length === 0, 'the process has ended by itself');
});

it('goes on for the backup and its WAL while the server recovers, which does not end it; the end of the drill does', async ({ skip }) => {
  if (process.platform !== 'linux') return skip('processes are found by their environment on Linux');
  const source = await startArchivedSource();
  onTestFinished(() => source.server.stop());
  await source.server.withClient('postgres', (client) => client.query("CREATE TABLE large AS SELECT repeat('x', 1000) FROM generate_series(1, 20000)"));
  const point = await backUp(source, 'b1');
  await source.server.withClient('postgres', (client) => client.query('CREATE TABLE later AS SELECT 1 AS n'));
  await archiveNow(source);
  const { lines } = copyToSlowDisks(root);
  const { drill, wal } = await drillOf(source, point);
  const place = { name: DRILL_NAME, run: 'run-1', fence: '1', drillsDirectory: source.drillsDirectory, productionPaths: productionPaths(source) };
  onTestFinished(async () => { await destroyDrill(place); });
  const flushing = async () => (await findProcesses({ marker: drillMarker(DRILL_NAME), directory: drill.directory })).filter(({ pid }) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('runbook: drill to disk'));
  const begun = await flushing();
  expect(begun).toHaveLength(2);
  expect(lines().toSorted()).toEqual([expect.stringMatching(/^begun .*\/data\/base\//), expect.stringMatching(/^begun .*\/wal\//)]);
  await recoverToLsnAndPause({ drill, lsn: point.stopLsn, timeline: 1 });
  await recoverToEnd({ drill, target: null, expectedEndLsn: wal.endLsn, timeline: 1 });
  expect(await flushing()).toEqual(begun);
  await destroyDrill(place);
  expect(await flushing()).toEqual([]);
});
