import { existsSync, mkdirSync, readdirSync, renameSync, statSync, truncateSync, unlinkSync, openSync, readSync, writeSync, closeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { takeBaseBackup } from '../../activities/archive/base-backup.ts';
import { backupPaths, listRecoveryPoints } from '../../activities/archive/layout.ts';
import { scanWal, readSegmentsFrom } from '../../activities/archive/wal-scan.ts';
import { drillClientConfig } from '../../activities/drill/client.ts';
import { destroyDrill, proveAbsent } from '../../activities/drill/destroy.ts';
import { recoverToEnd, recoverToLsnAndPause } from '../../activities/drill/recover.ts';
import { stopDrill } from '../../activities/drill/server.ts';
import { parseLsn } from '../../activities/postgres/lsn.ts';
import type { RecoveryPoint } from '../../contracts/recovery-point.ts';
import { type ArchivedSource, archiveNow, backUp, continuity, drillOf, productionPaths, startArchivedSource, DRILL_NAME } from '../support/archived-source.ts';
import { withClient, withDrillClient } from '../support/user-clients.ts';

let source: ArchivedSource;
let point: RecoveryPoint;
let pauseLsn: string;
let rowsAtPause: number;
let commitsKnown: number;

beforeAll(async () => {
  source = await startArchivedSource({ track_commit_timestamp: 'on' });
  await source.server.withClient('postgres', async (client) => {
    await client.query(`CREATE TABLESPACE outside LOCATION '${source.tablespace}'`);
    await client.query('CREATE TABLE events (id bigserial PRIMARY KEY, body text) TABLESPACE outside');
    await client.query(`INSERT INTO events (body) SELECT repeat(md5(i::text), 20) FROM generate_series(1, 20000) i`);
  });
  const writer = new Client(source.server.config());
  await writer.connect();
  let writing = true;
  const load = (async () => {
    while (writing) await writer.query(`INSERT INTO events (body) VALUES (md5(random()::text))`);
  })();
  point = await backUp(source, 'b1');
  writing = false;
  await load;
  await writer.query('INSERT INTO events (body) SELECT md5(i::text) FROM generate_series(1, 5000) i');
  await writer.query('CREATE ROLE made_later LOGIN');
  const at = await writer.query('SELECT pg_current_wal_insert_lsn()::text AS lsn, (SELECT count(*) FROM events)::int AS rows');
  ({ lsn: pauseLsn, rows: rowsAtPause } = at.rows[0] as { lsn: string; rows: number });
  for (let i = 0; i < 37; i += 1) {
    await writer.query(`INSERT INTO events (body) VALUES ('after')`);
    // No two in the same millisecond.
    await sleep(5);
  }
  commitsKnown = 37;
  await archiveNow(source);
  await writer.query(`INSERT INTO events (body) VALUES ('more')`);
  await archiveNow(source);
  await writer.end();
});

afterAll(async () => {
  await clean();
  await source.server.stop();
});

const clean = () => destroyDrill({ name: DRILL_NAME, run: 'run-1', fence: '1', drillsDirectory: source.drillsDirectory, productionPaths: productionPaths(source) });
const count = async (drill: Parameters<typeof withDrillClient>[0]) =>
  withDrillClient(drill, 'postgres', async (client) => ((await client.query('SELECT count(*)::int AS n FROM events')).rows[0] as { n: number }).n);

test('a backup under write load is restored to a position and then to the end, and nothing is left of it', async () => {
  expect(await listRecoveryPoints(source.layout)).toMatchObject({ points: [{ id: 'b1', tablespaces: [{ location: source.tablespace }] }], unusable: [] });
  const { drill, wal } = await drillOf(source, point);
  expect(await recoverToLsnAndPause({ drill, lsn: point.stopLsn, timeline: 1 })).toMatchObject({ repeatedSeconds: 0 });
  // What stopped where it waited comes back there first, and then goes on.
  const begun = performance.now();
  const { repeatedSeconds } = await recoverToLsnAndPause({ drill, lsn: pauseLsn, timeline: 1 });
  expect(repeatedSeconds).toBeGreaterThan(0);
  expect(repeatedSeconds).toBeLessThan((performance.now() - begun) / 1000);
  expect(await count(drill)).toBe(rowsAtPause);
  // A second attempt of the same step finds it done.
  expect(await recoverToLsnAndPause({ drill, lsn: pauseLsn, timeline: 1 })).toMatchObject({ repeatedSeconds: 0 });
  const ended = await recoverToEnd({ drill, target: null, expectedEndLsn: wal.endLsn, timeline: 1 });
  expect(ended.repeatedSeconds).toBeGreaterThan(0);
  expect(ended).toMatchObject({ endLsn: wal.endLsn, newTimeline: 2 });
  expect(ended.replayDoneAt).not.toBeNull();
  expect(await count(drill)).toBe(rowsAtPause + commitsKnown + 1);
  // As an application's probe does.
  const { host, port } = drillClientConfig(drill, { database: 'postgres' });
  await withClient({ host, port, database: 'postgres', user: 'made_later' }, (client) => client.query('SELECT'));
  expect((await proveAbsent({ name: DRILL_NAME, drillsDirectory: source.drillsDirectory })).absent).toBe(false);
  const destroyed = await clean();
  expect(await proveAbsent({ name: DRILL_NAME, drillsDirectory: source.drillsDirectory, sharedMemoryIds: destroyed.sharedMemoryIds })).toMatchObject({ absent: true, findings: [] });
  expect((await clean()).existed).toBe(false);
});

test('recovery to the instant of a commit has that commit, and stops before the next one', async () => {
  // By the source's own account, to the millisecond.
  const commits = await source.server.withClient('postgres', async (client) => (await client.query<{ id: string; ms: string }>(
    `SELECT id, floor(extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000)::text AS ms FROM events WHERE body IN ('after', 'more') ORDER BY id`)).rows.map(({ id, ms }) => ({ id, at: new Date(Number(ms)) })));
  const times = commits.map(({ at }) => at);
  expect(new Set(times.map(Number)).size).toBe(commitsKnown + 1);
  const { lineage, segments } = await continuity(source, point);
  const readSegment = readSegmentsFrom({ directory: source.layout.wal, segmentSize: point.walSegmentSize, lineage });
  const read: Date[] = [];
  await scanWal({ readSegment, segmentSize: point.walSegmentSize, timeline: 1, startLsn: parseLsn(pauseLsn), onCommit: (commit) => read.push(commit.committedAt) });
  expect(read).toEqual(times);
  expect(segments.length).toBeGreaterThan(1);
  const { drill, wal } = await drillOf(source, point, { until: times[9] as Date });
  await recoverToEnd({ drill, target: { lsn: wal.stopLsn as string }, expectedEndLsn: wal.endLsn, timeline: 1 });
  expect(await count(drill)).toBe(rowsAtPause + 10);
  const restored = await withDrillClient(drill, 'postgres', async (client) => (await client.query<{ id: string }>(`SELECT id FROM events WHERE body = 'after' ORDER BY id`)).rows.map(({ id }) => id));
  expect(restored).toEqual(commits.slice(0, 10).map(({ id }) => id));
  await clean();
});

test('a restore that stops before the end of the archive is noticed', async () => {
  const { drill, wal } = await drillOf(source, point);
  const segments = readdirSync(join(drill.directory, 'wal')).sort();
  unlinkSync(join(drill.directory, 'wal', segments.at(-1) as string));
  await expect(recoverToEnd({ drill, target: null, expectedEndLsn: wal.endLsn, timeline: 1 })).rejects.toMatchObject({ type: 'RECOVERY_STOPPED_EARLY' });
  await clean();
});

test('a segment that this host cannot copy stops recovery instead of ending it, and is no finding', async () => {
  const { drill, wal } = await drillOf(source, point);
  const name = readdirSync(join(drill.directory, 'wal')).sort().at(-1) as string;
  unlinkSync(join(drill.directory, 'wal', name));
  (await import('node:fs')).mkdirSync(join(drill.directory, 'wal', name));
  await expect(recoverToEnd({ drill, target: null, expectedEndLsn: wal.endLsn, timeline: 1 })).rejects.toMatchObject({ type: 'SERVER_KILLED', message: expect.stringContaining('did not hand the restored server its WAL') as unknown });
  await clean();
});

test('a target beyond the archive is an error and not an open database', async () => {
  const { drill } = await drillOf(source, point);
  await expect(recoverToLsnAndPause({ drill, lsn: 'F/0', timeline: 1 })).rejects.toMatchObject({ type: 'RECOVERY_STOPPED_EARLY' });
  await clean();
});

test('a flipped bit in a backed up page is named', async () => {
  const file = biggestHeapFile();
  flipBit(file, 8192 + 4000);
  await expect(drillOf(source, point)).rejects.toMatchObject({ type: 'BACKUP_DAMAGED', files: [expect.stringContaining(file.slice(backupRoot().length + 1))] });
  flipBit(file, 8192 + 4000);
  await clean();
});

test('a missing and an extra file of the backup are named', async () => {
  const file = biggestHeapFile();
  renameSync(file, `${file}.away`);
  await expect(drillOf(source, point)).rejects.toMatchObject({ type: 'BACKUP_DAMAGED', files: [expect.stringMatching(/\.away$/)] });
  renameSync(`${file}.away`, join(backupRoot(), 'away'));
  await expect(drillOf(source, point)).rejects.toMatchObject({ type: 'BACKUP_DAMAGED', files: [file.slice(backupRoot().length + 1)] });
  renameSync(join(backupRoot(), 'away'), file);
  await clean();
});

test('a missing and a truncated WAL segment are named', async () => {
  const { segments } = await continuity(source, point);
  const victim = segments.at(-2)?.name as string;
  const path = join(source.layout.wal, victim);
  renameSync(path, `${path}.away`);
  await expect(continuity(source, point)).rejects.toMatchObject({ type: 'WAL_MISSING', files: [victim] });
  renameSync(`${path}.away`, path);
  const last = join(source.layout.wal, segments.at(-1)?.name as string);
  const saved = `${last}.saved`;
  (await import('node:fs')).copyFileSync(last, saved);
  truncateSync(last, statSync(last).size - 8192);
  await expect(continuity(source, point)).rejects.toMatchObject({ type: 'WAL_TRUNCATED', files: [segments.at(-1)?.name] });
  renameSync(saved, last);
});

test('a flipped bit in a WAL segment is named before anything is started', async () => {
  const { segments } = await continuity(source, point);
  const name = segments[0]?.name as string;
  const offset = Number(parseLsn(point.stopLsn) % BigInt(point.walSegmentSize)) - 200;
  flipBit(join(source.layout.wal, name), offset);
  await expect(drillOf(source, point)).rejects.toMatchObject({ type: 'WAL_DAMAGED', files: [name] });
  flipBit(join(source.layout.wal, name), offset);
  await clean();
});

test('a directory without the marker of the run is never destroyed', async () => {
  const { drill } = await drillOf(source, point);
  await expect(destroyDrill({ name: DRILL_NAME, run: 'run-2', fence: '1', drillsDirectory: source.drillsDirectory, productionPaths: [] })).rejects.toMatchObject({ type: 'NOT_OUR_DRILL' });
  await expect(destroyDrill({ name: DRILL_NAME, run: 'run-1', fence: '1', drillsDirectory: source.drillsDirectory, productionPaths: [join(drill.directory, 'data')] })).rejects.toMatchObject({ type: 'UNSAFE_PATH' });
  expect(existsSync(drill.directory)).toBe(true);
  await stopDrill({ drill, mode: 'immediate' });
  await clean();
});

function backupRoot(): string {
  return backupPaths(join(source.layout.backups, 'b1')).root;
}

function biggestHeapFile(): string {
  const root = join(backupRoot(), 'tablespaces');
  const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map((entry) => join(entry.parentPath, entry.name));
  return paths.sort((a, b) => statSync(b).size - statSync(a).size)[0] as string;
}

function flipBit(path: string, offset: number): void {
  const file = openSync(path, 'r+');
  const byte = Buffer.alloc(1);
  readSync(file, byte, 0, 1, offset);
  byte[0] = (byte[0] as number) ^ 4;
  writeSync(file, byte, 0, 1, offset);
  closeSync(file);
}

test('a base backup that is cancelled while the server makes its checkpoint ends at once', async () => {
  const cancelled = new AbortController();
  const ask = <T>(sql: string) => source.server.withClient('postgres', async (client) => (await client.query(sql)).rows as T[]);
  const [checkpointer] = await ask<{ pid: number }>(`SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'`);
  const incoming = join(source.layout.incoming, 'cancelled');
  mkdirSync(incoming);
  process.kill(checkpointer!.pid, 'SIGSTOP');
  try {
    const taking = takeBaseBackup({ id: 'b2', connection: source.server.config(), applicationName: 'cancelled backup', incoming, walDirectory: source.layout.wal, archiveTimeoutMs: 20_000, signal: cancelled.signal }).catch((error: Error) => error.message);
    await expect.poll(() => ask(`SELECT FROM pg_stat_activity WHERE application_name = 'cancelled backup' AND query LIKE '%pg_backup_start%' AND state = 'active'`)).toHaveLength(1);
    cancelled.abort();
    expect(await Promise.race([taking, sleep(10_000, 'it waits for the checkpoint')])).toBe('Connection terminated');
  } finally {
    process.kill(checkpointer!.pid, 'SIGCONT');
  }
});
