import { chmodSync, chownSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { archiveLayout, type ArchiveLayout } from '../../activities/archive/layout.ts';
import { publishBackup, takeBaseBackup } from '../../activities/archive/base-backup.ts';
import { checkWalContinuity, type WalContinuity } from '../../activities/archive/wal.ts';
import { identifyProcess, untilGone } from '../../activities/drill/processes.ts';
import { type PreparedDrill, prepareDrill, type PrepareDrillArgs } from '../../activities/drill/prepare.ts';
import { probeIsolation } from '../../activities/drill/isolation.ts';
import { findPostgres } from '../../activities/postgres/binaries.ts';
import { parseLsn } from '../../activities/postgres/lsn.ts';
import type { RecoveryPoint } from '../../contracts/recovery-point.ts';
import { createPrivateDirectory, createWalkableDirectory, runAs, type Server, type Settings, startCluster, startServer } from './postgres.ts';
import { archiveUpToNow } from './wal-segments.ts';

/** Processes are found by it on the whole host: two checkouts that test at once must not end each other's. */
export const DRILL_NAME = `drill-${process.pid}`;

/** A source with a WAL archive, a place for its backups and one for drills. */
export interface ArchivedSource {
  server: Server;
  layout: ArchiveLayout;
  drillsDirectory: string;
  tablespace: string;
  /** Settings with which it was started. */
  settings: Settings;
}

/** Starts a cluster that archives into its own directories; all of them are gone at the end of the process, at the latest. */
export async function startArchivedSource(settings: Settings = {}): Promise<ArchivedSource> {
  const root = createPrivateDirectory('src');
  const layout = archiveLayout({ root: join(root, 'backups') });
  // Not below the source's: its user could exchange what lies there.
  const drillsDirectory = join(createWalkableDirectory('drills'), 'd');
  mkdirSync(drillsDirectory);
  chmodSync(drillsDirectory, 0o711);
  const tablespace = join(root, 'ts');
  for (const path of [layout.root, layout.backups, layout.incoming, layout.wal, tablespace]) {
    mkdirSync(path);
    const { uid, gid } = runAs();
    if (uid !== undefined && gid !== undefined) chownSync(path, uid, gid);
    chmodSync(path, 0o700);
  }
  const all: Settings = { archive_mode: 'on', archive_command: `test ! -f ${layout.wal}/%f && cp %p ${layout.wal}/%f.tmp && mv ${layout.wal}/%f.tmp ${layout.wal}/%f`, ...settings };
  const server = await startCluster({ logical: true, tcp: true, settings: all });
  return { server, layout, drillsDirectory, tablespace, settings: all };
}

/** Starts the source anew with other settings, as an operator does who raises `max_connections`. */
export async function restartWith(source: ArchivedSource, changed: Settings): Promise<ArchivedSource> {
  const { server: before } = source;
  const identity = await identifyProcess(before.pid);
  process.kill(before.pid, 'SIGINT');
  if (identity && (await untilGone([identity], 30_000)).length > 0) throw new Error('the source did not end within 30 s');
  const settings: Settings = { fsync: false, wal_level: 'logical', max_prepared_transactions: 20, ...source.settings, ...changed };
  const server = await startServer({ dataDirectory: before.dataDirectory, tcp: true, settings });
  // The first one's directories hold the data.
  return { ...source, settings, server: { ...server, stop: async (mode) => { await server.stop(mode); await before.stop(); } } };
}

/** Takes and publishes a base backup by our own code; one at a time, since all have the fence 1. */
export async function backUp(source: ArchivedSource, id: string): Promise<RecoveryPoint> {
  const incoming = join(source.layout.incoming, '1');
  mkdirSync(incoming, { mode: 0o700 });
  const point = await takeBaseBackup({ id, connection: source.server.config(), applicationName: 'test backup', incoming, walDirectory: source.layout.wal, archiveTimeoutMs: 20_000 });
  await publishBackup({ incoming, backups: source.layout.backups, id });
  return point;
}

/** Switches to a new segment and waits until all before it are archived. */
export async function archiveNow(source: ArchivedSource): Promise<void> {
  await source.server.withClient('postgres', (client) => archiveUpToNow(client, source.layout.wal));
}

/** What of the archive recovery of this backup may use, as of a second from now: what was archived just now counts. */
export function continuity(source: ArchivedSource, point: RecoveryPoint, asOf = new Date(Date.now() + 1000)): Promise<WalContinuity> {
  return checkWalContinuity({
    walDirectory: source.layout.wal, timeline: point.timeline, startLsn: parseLsn(point.startLsn), mustReachLsn: parseLsn(point.stopLsn),
    segmentSize: point.walSegmentSize, asOf,
  });
}

/** Prepares the one drill of this process, and starts nothing. Another call replaces what the last one left. */
export async function drillOf(source: ArchivedSource, point: RecoveryPoint, over: Partial<PrepareDrillArgs> = {}): Promise<PreparedDrill> {
  const binaries = await findPostgres({ major: point.serverMajor });
  const owner = binaries.runAs ?? null;
  return prepareDrill({
    name: DRILL_NAME, drillsDirectory: source.drillsDirectory, run: 'run-1', fence: '1', layout: source.layout, point,
    wal: over.wal ?? (await continuity(source, point)), binDirectory: binaries.binDirectory, owner, isolation: await probeIsolation(owner), until: null, reserveBytes: 0,
    ...over,
  });
}

/** All that a drill must keep clear of. */
export function productionPaths(source: ArchivedSource): string[] {
  return [source.server.dataDirectory, source.tablespace, source.layout.root, source.layout.wal];
}

/** A source with one backup, and a table that was made after it: what a recovery has to reach. */
export async function startBackedUpSource(): Promise<{ source: ArchivedSource; point: RecoveryPoint }> {
  const source = await startArchivedSource();
  const point = await backUp(source, 'b1');
  await source.server.withClient('postgres', (client) => client.query('CREATE TABLE later AS SELECT 1 AS n'));
  await archiveNow(source);
  return { source, point };
}

/** The source's clock, with a moment to all that it did before and does next. */
export async function instantOf({ server }: ArchivedSource): Promise<Date> {
  await sleep(20);
  const now = await server.withClient('postgres', async (client) => (await client.query<{ now: Date }>('SELECT clock_timestamp() AS now')).rows[0]?.now);
  await sleep(20);
  return now ?? new Date();
}

/** Creates a tablespace with a table in it, whose own commit is the next after `beforeCreation`. `contents`: all that is in it, and when that changed. */
export async function createTablespaceLater(source: ArchivedSource): Promise<{ location: string; contents: () => [string, number][]; beforeCreation: Date; afterCreation: Date }> {
  const location = `${source.tablespace}-later`;
  mkdirSync(location, { mode: 0o700 });
  const { uid, gid } = runAs();
  if (uid !== undefined && gid !== undefined) chownSync(location, uid, gid);
  const run = (sql: string) => source.server.withClient('postgres', (client) => client.query(sql));
  const beforeCreation = await instantOf(source);
  await run(`CREATE TABLESPACE later LOCATION '${location}'`);
  const afterCreation = await instantOf(source);
  await run('CREATE TABLE lies_later TABLESPACE later AS SELECT 1 AS n; CHECKPOINT');
  await archiveNow(source);
  const contents = (): [string, number][] => readdirSync(location, { recursive: true, encoding: 'utf8' }).sort().map((name) => [name, statSync(join(location, name)).ctimeMs]);
  return { location, contents, beforeCreation, afterCreation };
}
