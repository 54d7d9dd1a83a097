import { chmod, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client, ClientConfig } from 'pg';
import { type BackupFiles, type RecoveryPoint, recoveryPointSchema } from '../../contracts/recovery-point.ts';
import { syncDirectory } from '../disk/sync-directory.ts';
import { glibcVersion } from '../postgres/glibc.ts';
import { parseLsn } from '../postgres/lsn.ts';
import { withClient } from '../postgres/source.ts';
import { listCluster, placesInBackup } from './backup-listing.ts';
import { copyFiles, type CopyFilesArgs } from './copy-files.ts';
import { backupPaths, sha256Of } from './layout.ts';
import { type OnProgress, RecoveryFailure } from './recovery-failure.ts';
import { readSourceFacts, type SourceFacts } from './source-facts.ts';
import { identifyServer, refuseOtherServersFiles } from './source-host.ts';
import { syncTree } from './sync-tree.ts';
import { checkWalContinuity } from './wal.ts';
import { writeDurably } from './write-durably.ts';

/** What to back up, where to, and what that may take of the host: `bytesPerSecond` and `reserveBytes` are without a limit where absent. */
export interface BaseBackupArgs {
  id: string;
  /** A role that may call pg_backup_start and read settings. */
  connection: ClientConfig;
  /** Of the session that holds the backup open: by it the session is found and ended when its process no longer can. */
  applicationName: string;
  /** `incoming/<fence>`, made by the caller: nothing above it is ever made here. */
  incoming: string;
  walDirectory: string;
  /** How long the archiver may take for the last segment of the backup. */
  archiveTimeoutMs: number;
  bytesPerSecond?: number | undefined;
  reserveBytes?: number | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: OnProgress | undefined;
}

/**
 * Takes a physical backup of a server on this host into `incoming` and waits until its WAL is archived. Safe to repeat:
 * a finished one is given back, a half-written one is begun again. It is not published; see `publishBackup`.
 * @throws RecoveryFailure
 */
export async function takeBaseBackup(args: BaseBackupArgs): Promise<RecoveryPoint> {
  const paths = backupPaths(args.incoming);
  const finished = await readFile(paths.description, 'utf8').then((text) => recoveryPointSchema.parse(JSON.parse(text)), () => undefined);
  if (finished?.id === args.id) return finished;
  await refuseRevoked(args.incoming);
  for (const name of await readdir(args.incoming)) await rm(join(args.incoming, name), { recursive: true, force: true });

  // Closing the session also ends a backup that was not stopped; cutting it, one that waits for the server's checkpoint.
  return withClient({ ...args.connection, application_name: args.applicationName.slice(0, 63) }, async (client) => {
    // Nobody types into this session for as long as the copy takes, and it waits for a checkpoint for as long as that takes,
    // whatever limits the database or the role has for queries.
    await client.query(`SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN ('idle_session_timeout', 'statement_timeout', 'lock_timeout', 'transaction_timeout')`);
    const facts = await readSourceFacts({ client, connection: args.connection });
    if (facts.inRecovery) throw new RecoveryFailure('UNFIT_HOST', 'The source is a standby; take the base backup from its primary.');
    await refuseOtherServersFiles(await identifyServer(client));
    const started = await startBackup(client, args.id, facts.serverMajor);
    const copied = await copyCluster(args, facts, client);
    const stopped = await stopBackup(client, facts.serverMajor);
    const label = readLabel(stopped.labelfile);
    await writeFile(paths.backupLabel, stopped.labelfile, { mode: 0o600 });
    await writeFile(paths.tablespaceMap, stopped.spcmapfile, { mode: 0o600 });
    const list = JSON.stringify(copied.files);
    await writeFile(paths.files, list, { mode: 0o600 });
    const { inRecovery: _standby, logDirectory: _log, ...described } = facts;
    const point = recoveryPointSchema.parse({
      schemaVersion: 1, id: args.id, kind: 'baseBackup', ...described,
      architecture: process.arch, glibcVersion: glibcVersion(),
      timeline: label.timeline, startLsn: label.startLsn, stopLsn: stopped.lsn,
      startedAt: started.toISOString(), stoppedAt: stopped.now.toISOString(), publishedAt: null,
      sizeBytes: copied.files.files.reduce((sum, file) => sum + file.size, 0), fileCount: copied.files.files.length,
      filesSha256: sha256Of(list), backupLabelSha256: sha256Of(stopped.labelfile), tablespaceMapSha256: sha256Of(stopped.spcmapfile), manifestSha256: null,
      tablespaces: copied.tablespaces,
    } satisfies RecoveryPoint);
    await waitForArchive(args, point);
    await syncTree(args.incoming, args.signal);
    // Last, and at once: a directory with this file is a whole backup.
    await describe(args.incoming, point);
    return point;
  }, args.signal);
}

async function describe(incoming: string, point: RecoveryPoint): Promise<void> {
  await writeDurably(backupPaths(incoming).description, JSON.stringify(point, null, 2));
}

/** What is only known now: when it was published, and its manifest, which is part of it from here on, and its loss damage. */
async function seal(incoming: string): Promise<void> {
  const paths = backupPaths(incoming);
  const point = recoveryPointSchema.parse(JSON.parse(await readFile(paths.description, 'utf8')));
  const manifest = await readFile(paths.manifest).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  await describe(incoming, { ...point, publishedAt: new Date().toISOString(), manifestSha256: manifest ? sha256Of(manifest) : null });
}

/**
 * Makes a finished backup visible under its id, with the manifest that lies in it, if there is one. Safe to repeat.
 * @throws what aborted `signal`, as long as nothing is published
 */
export async function publishBackup(args: { incoming: string; backups: string; id: string; signal?: AbortSignal | undefined }): Promise<void> {
  const target = join(args.backups, args.id);
  try {
    await chmod(args.incoming, 0o700);
    // All else came to the disk when the backup was finished, and the manifest when it was written.
    await seal(args.incoming);
    // Who slept through it may have a successor by now.
    args.signal?.throwIfAborted();
    await rename(args.incoming, target);
  } catch (cause) {
    const published = await stat(join(target, 'backup.json')).then(() => true, () => false);
    const gone = await stat(args.incoming).then(() => false, () => true);
    if (published && gone) return;
    if (args.signal?.aborted) throw cause;
    throw new RecoveryFailure(gone ? 'FENCED' : 'BACKUP_INCOMPLETE', `Backup "${args.id}" could not be published: ${(cause as Error).message}`, { cause });
  }
  await syncDirectory(args.backups);
}

async function startBackup(client: Client, id: string, major: number): Promise<Date> {
  const call = major >= 15 ? 'pg_backup_start($1, true)' : 'pg_start_backup($1, true, false)';
  const { rows } = await client.query(`SELECT now() AS now, ${call}`, [`durable-runbooks ${id}`]);
  return (rows[0] as { now: Date }).now;
}

async function stopBackup(client: Client, major: number): Promise<{ lsn: string; labelfile: string; spcmapfile: string; now: Date }> {
  // We look at the archive ourselves: the server would wait for ever on a broken archiver.
  const call = major >= 15 ? 'pg_backup_stop(false)' : 'pg_stop_backup(false, false)';
  const { rows } = await client.query(`SELECT lsn::text, labelfile, spcmapfile, clock_timestamp() AS now FROM ${call}`);
  return rows[0] as { lsn: string; labelfile: string; spcmapfile: string; now: Date };
}

function readLabel(label: string): { startLsn: string; timeline: number } {
  const startLsn = /^START WAL LOCATION: (\S+)/m.exec(label)?.[1];
  const timeline = /^START TIMELINE: (\d+)/m.exec(label)?.[1];
  if (!startLsn || !timeline) throw new RecoveryFailure('BACKUP_INCOMPLETE', 'The server gave a backup label without start position or timeline.');
  return { startLsn, timeline: Number(timeline) };
}

async function copyCluster(args: BaseBackupArgs, facts: SourceFacts, client: Client): Promise<{ files: BackupFiles; tablespaces: RecoveryPoint['tablespaces'] }> {
  const { incoming } = args;
  const { pieces, tablespaces } = await listCluster(client, facts);
  const { directories, files: planned } = placesInBackup(pieces);
  // pg_control last, as pg_basebackup does: it must not be older than what was copied before it.
  const control = planned.filter((file) => file.path === 'data/global/pg_control');
  const others = planned.filter((file) => file.path !== 'data/global/pg_control').sort((a, b) => b.size - a.size || (a.path < b.path ? -1 : 1));
  const base = {
    phase: 'backup', setting: 'provider.repository', spaceOf: incoming, reserveBytes: args.reserveBytes, bytesPerSecond: args.bytesPerSecond, signal: args.signal,
    marker: { name: 'DURABLE_RUNBOOKS_BACKUP', value: args.id },
  } satisfies Partial<CopyFilesArgs>;
  const files: BackupFiles['files'] = [];
  for (const [batch, dirs] of [[others, directories], [control, []]] as const) {
    const jobs = batch.map((file) => ({ source: file.source, target: join(incoming, file.path), size: file.size }));
    const results = await copyFiles({
      ...base, jobs, directories: dirs.map((path) => join(incoming, path)),
      onProgress: batch === others ? args.onProgress : undefined,
    });
    for (const [index, file] of batch.entries()) {
      const result = results[index];
      // Files vanish while a server runs; replay of WAL knows of it.
      if (result?.state === 'copied') files.push({ path: file.path, size: result.size, sha256: result.sha256 });
    }
  }
  return { files: { directories, files }, tablespaces };
}

async function waitForArchive(args: BaseBackupArgs, point: RecoveryPoint): Promise<void> {
  const deadline = Date.now() + args.archiveTimeoutMs;
  for (;;) {
    args.signal?.throwIfAborted();
    try {
      await checkWalContinuity({
        walDirectory: args.walDirectory, timeline: point.timeline, startLsn: parseLsn(point.startLsn), mustReachLsn: parseLsn(point.stopLsn),
        segmentSize: point.walSegmentSize, asOf: new Date(Date.now() + 86_400_000),
        // It is looked at again anyway.
        overtakingMs: 0,
      });
      return;
    } catch (error) {
      if (Date.now() > deadline || !(error instanceof RecoveryFailure) || error.type === 'UNREADABLE') throw error;
    }
    args.onProgress?.({ phase: 'waitForArchive', bytesDone: 0, bytesTotal: 0 });
    await sleep(200, undefined, args.signal ? { signal: args.signal } : {});
  }
}

async function refuseRevoked(incoming: string): Promise<void> {
  const info = await stat(incoming).catch(() => undefined);
  if (!info?.isDirectory()) throw new RecoveryFailure('FENCED', `${incoming} is not there: this backup's right to write was revoked.`);
}
