import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { destroyDrill } from '../../activities/drill/destroy.ts';
import type { Drill } from '../../activities/drill/drill.ts';
import { recoverToEnd, recoverToLsnAndPause } from '../../activities/drill/recover.ts';
import { findServer, type StartedServer, waitForServer } from '../../activities/drill/server.ts';
import { freeBytes } from '../../activities/drill/space.ts';
import { classify } from '../../activities/temporal/classify.ts';
import type { RecoveryPoint } from '../../contracts/recovery-point.ts';
import { type ArchivedSource, archiveNow, backUp, drillOf, productionPaths, restartWith, startArchivedSource, DRILL_NAME } from '../support/archived-source.ts';
import { withDrillClient } from '../support/user-clients.ts';

/** What standby settings the source has when it is backed up, and later. */
const before = { max_connections: 30, max_worker_processes: 9, max_wal_senders: 7, max_prepared_transactions: 11, max_locks_per_transaction: 70 };
const raised = { max_connections: 45, max_worker_processes: 12, max_wal_senders: 13, max_prepared_transactions: 21, max_locks_per_transaction: 90 };

let source: ArchivedSource;
let point: RecoveryPoint;
let beforeChange: string;
let afterChange: string;

const insert = (rows: number) => source.server.withClient('postgres', async (client) => {
  await client.query('INSERT INTO events SELECT FROM generate_series(1, $1)', [rows]);
  return ((await client.query('SELECT pg_current_wal_insert_lsn()::text AS lsn')).rows[0] as { lsn: string }).lsn;
});
const count = (drill: Drill) => withDrillClient(drill, 'postgres', async (client) => ((await client.query('SELECT count(*)::int AS n FROM events')).rows[0] as { n: number }).n);
const started = async (drill: Drill): Promise<StartedServer> => ({ identity: (await findServer(drill)) as StartedServer['identity'], logOffset: 0 });
/** A drill as it would be if nobody had read the WAL for changed settings. */
const unraised = async () => {
  const { drill, wal } = await drillOf(source, point);
  return { drill: { ...drill, recoverySettings: point.settings }, wal };
};

beforeAll(async () => {
  source = await startArchivedSource(before);
  await source.server.withClient('postgres', (client) => client.query('CREATE TABLE events ()'));
  point = await backUp(source, 'b1');
  beforeChange = await insert(10);
  source = await restartWith(source, raised);
  afterChange = await insert(5);
  // Lowered again in part: what counts is the highest of each that replay will meet.
  source = await restartWith(source, { max_connections: 35 });
  await insert(2);
  await archiveNow(source);
});
afterEach(() => destroyDrill({ name: DRILL_NAME, run: 'run-1', fence: '1', drillsDirectory: source.drillsDirectory, productionPaths: productionPaths(source) }));
afterAll(() => source.server.stop());

test('settings that the source raised after the backup are raised in the drill, which recovers beyond them', async () => {
  expect(point.settings).toEqual(before);
  const { drill, wal } = await drillOf(source, point);
  expect(drill.recoverySettings).toEqual(raised);
  await recoverToLsnAndPause({ drill, lsn: afterChange, timeline: 1 });
  expect(await count(drill)).toBe(15);
  await recoverToEnd({ drill, target: null, expectedEndLsn: wal.endLsn, timeline: 1 });
  expect(await count(drill)).toBe(17);
});

test('temporary files of a session cannot take what is to stay free', async () => {
  const { drill, wal } = await drillOf(source, point);
  const free = await freeBytes(drill);
  const careful = { ...drill, reserveBytes: Math.floor(free / 2) };
  await recoverToEnd({ drill: careful, target: null, expectedEndLsn: wal.endLsn, timeline: 1 });
  const limit = await withDrillClient(drill, 'postgres', async (client) => Number(((await client.query(`SELECT setting FROM pg_settings WHERE name = 'temp_file_limit'`)).rows[0] as { setting: string }).setting));
  // A quarter of what is above the reserve; others write to the same file system meanwhile.
  expect((limit * 1024 * 8) / free).toBeCloseTo(1, 0);
  const chosen = await drillOf(source, point, { settings: { temp_file_limit: '5MB' } });
  await recoverToEnd({ drill: chosen.drill, target: null, expectedEndLsn: wal.endLsn, timeline: 1 });
  await expect(withDrillClient(drill, 'postgres', (client) => client.query('SELECT count(*) FROM (SELECT repeat(n::text, 50) FROM generate_series(1, 200000) AS n ORDER BY 1) AS sorted'))).rejects.toMatchObject({ code: '53400' });
});

test('a setting that is too low ends recovery with PostgreSQL\'s own sentence, also where it only pauses, and is no finding', async () => {
  const { drill, wal } = await unraised();
  const tooLow = { type: 'UNFIT_HOST', message: expect.stringMatching(/max_connections = 30 is a lower setting than on the primary server, where its value was 45/) as unknown };
  const end = { drill, target: null, expectedEndLsn: wal.endLsn, timeline: 1 };
  const error: unknown = await recoverToEnd(end).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject(tooLow);
  expect(classify(error)).toMatchObject({ type: 'PREFLIGHT', nonRetryable: true });
  // At its next start the server ends at once instead.
  await expect(recoverToEnd(end)).rejects.toMatchObject(tooLow);
});

test('the pause for a setting that is too low is not taken for the target', async () => {
  const { drill } = await unraised();
  await recoverToLsnAndPause({ drill, lsn: beforeChange, timeline: 1 });
  await expect(recoverToLsnAndPause({ drill, lsn: afterChange, timeline: 1 })).rejects.toMatchObject({ type: 'UNFIT_HOST', message: expect.stringContaining('max_connections = 30') as unknown });
});

test('a copy that waits though it had to go on, or was promoted though it had to wait, is final and no finding', async () => {
  const { drill } = await drillOf(source, point);
  await recoverToLsnAndPause({ drill, lsn: beforeChange, timeline: 1 });
  const waits: unknown = await waitForServer({ drill, started: await started(drill), then: 'promote' }).catch((error: unknown) => error);
  expect(waits).toMatchObject({ type: 'COPY_MOVED_ON', message: expect.stringMatching(/Recovery waits at .*: (pausing at the end of recovery|recovery stopping before|recovery has paused|Execute pg_wal_replay_resume)/) as unknown });
  expect(classify(waits)).toMatchObject({ type: 'UNAVAILABLE', nonRetryable: true });
  await withDrillClient(drill, 'postgres', (client) => client.query('SELECT pg_promote()'));
  await expect(waitForServer({ drill, started: await started(drill), then: 'pause' })).rejects.toMatchObject({ type: 'COPY_MOVED_ON', message: expect.stringContaining('promoted') as unknown });
  await expect(recoverToLsnAndPause({ drill, lsn: beforeChange, timeline: 1 })).rejects.toMatchObject({ type: 'COPY_MOVED_ON' });
});
