import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { renewAccess } from '../../activities/drill/access.ts';
import { writeConfiguration } from '../../activities/drill/configuration.ts';
import { destroyDrill } from '../../activities/drill/destroy.ts';
import { type Drill, drillMarker, drillPaths, writeMarker } from '../../activities/drill/drill.ts';
import { explainEnd } from '../../activities/drill/explain-server.ts';
import { findProcesses, isAlive, type ProcessIdentity, sendSignal, untilGone } from '../../activities/drill/processes.ts';
import { recoverToEnd, recoverToLsnAndPause } from '../../activities/drill/recover.ts';
import { findServer, readState, stopDrill } from '../../activities/drill/server.ts';
import { cut } from '../../activities/postgres/source.ts';
import { classify } from '../../activities/temporal/classify.ts';
import type { RecoveryPoint } from '../../contracts/recovery-point.ts';
import { type ArchivedSource, backUp, drillOf, productionPaths, startBackedUpSource, DRILL_NAME } from '../support/archived-source.ts';
import { createWalkableDirectory } from '../support/postgres.ts';
import { archiveUpToNow } from '../support/wal-segments.ts';
import { withDrillClient } from '../support/user-clients.ts';

let source: ArchivedSource;
let point: RecoveryPoint;

beforeAll(async () => {
  ({ source, point } = await startBackedUpSource());
});
afterAll(() => source.server.stop());
afterEach(() => destroyDrill({ name: DRILL_NAME, run: 'run-1', fence: '1', drillsDirectory: source.drillsDirectory, productionPaths: productionPaths(source) }));

const serverOf = async (drill: Drill): Promise<ProcessIdentity> => {
  const server = await findServer(drill);
  if (!server) throw new Error('the drill has no server');
  return server;
};
/** As `systemctl restart` of the worker does, in whose control group the drill's server is. */
const tellAll = async (drill: Drill) => {
  const all = await findProcesses({ marker: drillMarker(drill.name), directory: drill.directory });
  expect(all.length).toBeGreaterThan(3);
  for (const { pid } of all) sendSignal(pid, 'SIGTERM');
};
const ways: [string, (drill: Drill) => Promise<void>][] = [
  ['SIGTERM', async (drill) => sendSignal((await serverOf(drill)).pid, 'SIGTERM')],
  ['SIGINT', async (drill) => sendSignal((await serverOf(drill)).pid, 'SIGINT')],
  ['SIGQUIT', async (drill) => sendSignal((await serverOf(drill)).pid, 'SIGQUIT')],
  ['SIGTERM to each of its processes', tellAll],
];

it.each(ways)('a server that %s stops while it replays is no finding about the backup', async (_way, tell) => {
  // Replay waits an hour at the first commit.
  const { drill, wal } = await drillOf(source, point, { settings: { recovery_min_apply_delay: '1h' } });
  const end = recoverToEnd({ drill, target: null, expectedEndLsn: wal.endLsn, timeline: 1 }).catch((error: unknown) => error);
  while (!(await readState(drill).catch(() => undefined))?.inRecovery) await sleep(20);
  await tell(drill);
  const failure = await end;
  expect(failure, `${String(failure)}\n${readFileSync(drillPaths(drill.directory).logFile, 'utf8')}`).toMatchObject({ type: 'SERVER_KILLED' });
  expect(classify(failure)).toMatchObject({ type: 'UNAVAILABLE', nonRetryable: false });
});

it('a server that does not come to its end after it was told to stop is ended', async () => {
  const { drill, wal } = await drillOf(source, point, { settings: { recovery_min_apply_delay: '1h' } });
  const end = recoverToEnd({ drill, target: null, expectedEndLsn: wal.endLsn, timeline: 1 }).catch((error: unknown) => error);
  while (!(await readState(drill).catch(() => undefined))?.inRecovery) await sleep(20);
  // It waits for a client as it waits for a process of its own that it started too late.
  const visit = withDrillClient(drill, 'template1', (client) => client.query('SELECT pg_sleep(50)')).catch((error: unknown) => error);
  await expect.poll(() => withDrillClient(drill, 'template1', async (client) => (await client.query(`SELECT FROM pg_stat_activity WHERE query LIKE '%pg_sleep(50)'`)).rowCount)).toBe(1);
  sendSignal((await serverOf(drill)).pid, 'SIGTERM');
  expect(await end).toMatchObject({ type: 'SERVER_KILLED', message: expect.stringContaining('smart shutdown request') as unknown });
  expect(await visit).toBeInstanceOf(Error);
});

it('nor is it ended by one whose place another has taken meanwhile', async () => {
  const { drill, wal } = await drillOf(source, point, { settings: { recovery_min_apply_delay: '1h' } });
  const controller = new AbortController();
  const end = recoverToEnd({ drill, target: null, expectedEndLsn: wal.endLsn, timeline: 1, signal: controller.signal }).catch((error: unknown) => error);
  while (!(await readState(drill).catch(() => undefined))?.inRecovery) await sleep(20);
  const server = await serverOf(drill);
  const visit = withDrillClient(drill, 'template1', (client) => client.query('SELECT pg_sleep(50)')).catch((error: unknown) => error);
  await expect.poll(() => withDrillClient(drill, 'template1', async (client) => (await client.query(`SELECT FROM pg_stat_activity WHERE query LIKE '%pg_sleep(50)'`)).rowCount)).toBe(1);
  // The clock jumps beyond the patience with a server that stops at the very look at it, and the abort comes with it.
  const now = performance.now.bind(performance);
  let looks = 0;
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => {
    if (readFileSync(join(drillPaths(drill.directory).data, 'postmaster.pid'), 'utf8').includes('stopping')) looks += 1;
    if (looks < 3) return now();
    controller.abort();
    return now() + 60_000;
  });
  try {
    sendSignal(server.pid, 'SIGTERM');
    expect(await end).toMatchObject({ name: 'AbortError' });
  } finally {
    clock.mockRestore();
  }
  expect(await isAlive(server)).toBe(true);
  await stopDrill({ drill, mode: 'immediate' });
  expect(await visit).toBeInstanceOf(Error);
});

it('a copy ends within seconds what somebody still asks of it who is gone; by itself it would go on to the end', async () => {
  const { drill, wal } = await drillOf(source, point);
  await recoverToEnd({ drill, target: null, expectedEndLsn: wal.endLsn, timeline: 1 });
  const asked = () => withDrillClient(drill, 'postgres', async (client) => (await client.query(`SELECT FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)'`)).rowCount);
  await withDrillClient(drill, 'postgres', async (client) => {
    const visit = client.query('SELECT pg_sleep(600)').catch((error: unknown) => error);
    await expect.poll(asked).toBe(1);
    // Closes the socket without a word, as the system does after kill -9.
    cut(client);
    expect(await visit).toBeInstanceOf(Error);
  });
  await expect.poll(asked, { timeout: 30_000 }).toBe(0);
});

it('a copy that lets nobody in at its end is not waited for, and no finding; a new backup names who and what is open', async () => {
  const { server, layout } = source;
  await server.withClient('postgres', async (client) => {
    for (const sql of ['CREATE ROLE boss SUPERUSER LOGIN', 'ALTER ROLE postgres NOLOGIN', 'ALTER DATABASE template1 ALLOW_CONNECTIONS false']) await client.query(sql);
    try {
      await archiveUpToNow(client, layout.wal);
      const { drill, wal } = await drillOf(source, point);
      const failure: unknown = await recoverToEnd({ drill, target: null, expectedEndLsn: wal.endLsn, timeline: 1 }).catch((error: unknown) => error);
      expect(failure).toMatchObject({ type: 'UNFIT_HOST', message: expect.stringMatching(/superuser "postgres" into .*role "postgres" is not permitted to log in.*take a new backup/) as unknown });
      expect(classify(failure)).toMatchObject({ type: 'PREFLIGHT', nonRetryable: true });
      const hardened = await backUp({ ...source, server: { ...server, config: () => ({ ...server.config(), user: 'boss' }) } }, 'b2');
      const second = await drillOf(source, hardened);
      expect(second.drill).toMatchObject({ superuser: 'boss', maintenanceDatabase: 'postgres' });
      await recoverToEnd({ drill: second.drill, target: null, expectedEndLsn: second.wal.endLsn, timeline: 1 });
    } finally {
      for (const sql of ['ALTER ROLE postgres LOGIN', 'ALTER DATABASE template1 ALLOW_CONNECTIONS true']) await client.query(sql);
      await archiveUpToNow(client, layout.wal);
    }
  });
});

it.each([['normal', 0], ['low', 10]] as const)('at %s priority the server and its processes have niceness %i more than the worker', async (priority, more) => {
  const { drill } = await drillOf(source, point, { priority });
  await recoverToLsnAndPause({ drill, lsn: point.stopLsn, timeline: 1 });
  const all = await findProcesses({ marker: drillMarker(drill.name), directory: drill.directory });
  expect(all.length).toBeGreaterThan(3);
  expect(all.map(({ pid }) => getPriority(pid))).toEqual(all.map(() => getPriority() + more));
});

it.each(ways)('nor is one that %s stops while it waits at a position', async (_way, tell) => {
  const { drill } = await drillOf(source, point);
  await recoverToLsnAndPause({ drill, lsn: point.stopLsn, timeline: 1 });
  const server = await serverOf(drill);
  await tell(drill);
  // What does not come to its end was started too late by the server itself: see STOPPING_MS.
  if ((await untilGone([server], 10_000)).length > 0) await stopDrill({ drill, mode: 'immediate' });
  const failure = await explainEnd(drill, 0);
  expect(failure).toMatchObject({ type: 'SERVER_KILLED' });
  // And the copy can be used again. Nobody knocked before it was open: that would fill the log.
  await recoverToLsnAndPause({ drill, lsn: point.stopLsn, timeline: 1 });
  const log = await readFile(drillPaths(drill.directory).logFile, 'utf8');
  expect(log.match(/FATAL: {2}the database system is .*(starting up|not yet accepting)/g)).toBeNull();
});

it('a lock file that a server was killed before it wrote keeps no other from starting', async () => {
  const { drill, wal } = await drillOf(source, point);
  const { data, socket } = drillPaths(drill.directory);
  const locks = [join(data, 'postmaster.pid'), join(socket, '.s.PGSQL.5432.lock')];
  for (const lock of locks) await writeFile(lock, '');
  await recoverToEnd({ drill, target: null, expectedEndLsn: wal.endLsn, timeline: 1 });
  for (const lock of locks) expect(readFileSync(lock, 'utf8')).not.toBe('');
});

const OPEN: Drill['isolation'] = { network: 'notIsolated', mounts: 'notIsolated', reason: 'switched off by the test' };

it.each([['with private mounts, where the host has them', {}], ['without', { isolation: OPEN }]])('a server changes nothing of the WAL that it was given, which it links (%s)', async (_how, over) => {
  const { drill, wal } = await drillOf(source, point, over);
  const { data, wal: own } = drillPaths(drill.directory);
  const sums = async () => Object.fromEntries(await Promise.all((await readdir(own)).map(async (name) => [name, createHash('sha256').update(await readFile(join(own, name))).digest('hex')])));
  const before = await sums();
  await recoverToLsnAndPause({ drill, lsn: point.stopLsn, timeline: 1 });
  const segments = Object.keys(before).filter((name) => existsSync(join(data, 'pg_wal', name)));
  const linked = segments.filter((name) => statSync(join(data, 'pg_wal', name)).ino === statSync(join(own, name)).ino);
  expect(segments.length).toBeGreaterThan(0);
  // Where the server is the worker's user, and has mounts of its own, it may read there and no more.
  expect(linked).toEqual(drill.owner === null && drill.isolation.mounts === 'isolated' ? [] : segments);
  await recoverToEnd({ drill, target: null, expectedEndLsn: wal.endLsn, timeline: 1 });
  // Whole segments of its own, and what it would do with those that it needs no more.
  await withDrillClient(drill, 'postgres', async (client) => {
    for (let count = 0; count < 3; count += 1) await client.query('CREATE TABLE filler AS SELECT g FROM generate_series(1, 1000) g; DROP TABLE filler; SELECT pg_switch_wal(); CHECKPOINT');
  });
  expect(await sums()).toEqual(before);
});

it('a restored server puts no link in the way of a worker that is root', async ({ skip }) => {
  if (process.getuid?.() !== 0) return skip('only root writes where the server of the drill may not');
  const precious = join(createWalkableDirectory('precious'), 'file');
  writeFileSync(precious, 'precious', { mode: 0o600 });
  const { drill, wal } = await drillOf(source, point);
  const recover = () => recoverToEnd({ drill, target: null, expectedEndLsn: wal.endLsn, timeline: 1 });
  await recover();
  // As any function of a superuser that was restored can.
  const links = ['conf/pg_hba.conf', 'conf/pg_ident.conf', 'conf/postgresql.conf', 'log/server.log', 'drill.json.part'].map((file) => `ln -sfn ${precious} ${file}`).join('; ');
  const attack = `cd ${drill.directory}; ${links}; for d in conf log; do mv $d was-$d && mkdir $d && cp was-$d/* $d; done; ${links}; true`;
  await withDrillClient(drill, 'postgres', (client) => client.query(`COPY (SELECT 1) TO PROGRAM '${attack}'`));
  await renewAccess(drill).catch(() => undefined);
  await writeConfiguration(drill, { timeline: 1, stopBeforeLsn: null, then: 'promote' });
  await writeMarker(drill.directory, drill);
  await stopDrill({ drill, mode: 'immediate' });
  await recover().catch(() => undefined);
  expect(readFileSync(precious, 'utf8')).toBe('precious');
  expect(await readState(drill)).toMatchObject({ inRecovery: false });
});
