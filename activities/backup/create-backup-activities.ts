import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { hostname } from 'node:os';
import { Context } from '@temporalio/activity';
import { hostTaskQueue } from '../../contracts/search-attributes.ts';
import { ARCHIVE_TIMEOUT_MS } from '../archive/archive-lag.ts';
import { publishBackup, takeBaseBackup } from '../archive/base-backup.ts';
import { backupPaths } from '../archive/layout.ts';
import { SIZE_OF_ALL } from '../archive/source-facts.ts';
import { identifyServer, refuseOtherServersFiles } from '../archive/source-host.ts';
import { writeDurably } from '../archive/write-durably.ts';
import { takeManifest } from '../manifest/take-manifest.ts';
import { endSessions, endSourceSessions } from '../postgres/run-sessions.ts';
import { sourceConfig, withClient } from '../postgres/source.ts';
import { classified } from '../temporal/classify.ts';
import { longActivity } from '../temporal/long-activity.ts';
import { awaitSegment, markEndOfManifest } from './await-archived.ts';
import { openAttempt } from './backup-attempt.ts';
import { backupPlace, closeBackupPlace, openBackupPlace, proveBackupPlaceAbsent } from './backup-place.ts';
import type { BackupActivities, BackupPlaceCall, BackupRef } from './backup-activities.ts';
import { checkBackup } from './preflight.ts';
import { reasonsOf } from '../dr-test/findings.ts';
import { settingsIn, type DatabaseDependencies } from '../dr-test/dependencies.ts';
import { applicationName, backupId } from '../kernel/names.ts';
import { archiveOf } from '../archive-provider/archive-provider.ts';
import { layoutOf } from '../archive-provider/kept-in.ts';
import { publishManifestAlone } from '../archive-provider/manifests.ts';

/** Of RDS itself. */
const RDS_DATABASE = 'rdsadmin';

/** What taking a backup does, for databases whose backups are base backups with a WAL archive. */
export function createBackupActivities({ configuration, resolvePassword, host = hostname() }: DatabaseDependencies): BackupActivities {
  const settingsOf = (database: string) => settingsIn(configuration, database);
  const layoutFor = (database: string) => layoutOf(settingsOf(database).provider);
  const placeOf = (call: Pick<BackupPlaceCall, 'database' | 'owner' | 'fence'>) => backupPlace(layoutFor(call.database).incoming, call);
  const connect = (backup: Pick<BackupRef, 'database' | 'owner'>) => sourceConfig(settingsOf(backup.database).connection, resolvePassword, applicationName(backup.owner));

  return classified<BackupActivities>({
    async planBackup({ database, owner, startedAtMs, copiesFiles }) {
      const config = await connect({ database, owner });
      return withClient(config(), async (client) => {
        if (copiesFiles) {
          archiveOf(settingsOf(database));
          await refuseOtherServersFiles(await identifyServer(client));
        }
        const { rows: [row] } = await client.query<{ size: number; version: string; wal_level: string; slots: string; used: string }>(
          `SELECT ${SIZE_OF_ALL} AS size, current_setting('server_version') AS version, current_setting('wal_level') AS wal_level,
                  current_setting('max_replication_slots') AS slots, (SELECT count(*) FROM pg_replication_slots)::text AS used`);
        const sizeBytes = row?.size ?? 0;
        await checkBackup({ client, layout: layoutFor(database), archives: settingsOf(database).provider.kind === 'archive', copies: copiesFiles ? { bytes: sizeBytes, reserve: configuration.drills.reserve } : null });
        const noManifest = row?.wal_level !== 'logical' ? `wal_level is ${row?.wal_level}; set it to logical and restart the source`
          : Number(row.used) >= Number(row.slots) ? `all ${row.slots} replication slots are in use; raise max_replication_slots` : null;
        return { database, taskQueue: hostTaskQueue(host), id: backupId(startedAtMs, owner), sizeBytes, serverVersion: row?.version ?? '', noManifest };
      });
    },

    takeBaseBackup: ({ backup }) => longActivity(async ({ signal, onProgress }) => {
      const started = performance.now();
      const config = await connect(backup);
      // An attempt whose worker died or stalled may still hold the source in backup mode.
      signal.throwIfAborted();
      await endSessions(config(), applicationName(backup.owner));
      const part = await openAttempt(placeOf(backup), Context.current().info.attempt, signal);
      const point = await takeBaseBackup({
        id: backup.id, connection: config(), applicationName: `${applicationName(backup.owner)} backup`, incoming: join(placeOf(backup), part), walDirectory: layoutFor(backup.database).wal,
        archiveTimeoutMs: ARCHIVE_TIMEOUT_MS, reserveBytes: configuration.drills.reserve, bytesPerSecond: configuration.drills.copyBytesPerSecond, signal, onProgress,
      });
      return { part, bytes: point.sizeBytes, files: point.fileCount, startLsn: point.startLsn, stopLsn: point.stopLsn, seconds: (performance.now() - started) / 1000 };
    }),

    takeManifest: ({ backup }) => longActivity(async ({ signal, onProgress }) => {
      const started = performance.now();
      const config = await connect(backup);
      const { manifest: limits, connection, provider } = settingsOf(backup.database);
      // An attempt whose worker died may still be reading: its snapshot would hold back vacuum until it ends.
      signal.throwIfAborted();
      await endSessions(config(), applicationName(backup.owner));
      const manifest = await takeManifest({
        connect: config, database: connection.database, except: provider.kind === 'rds' ? [RDS_DATABASE] : [], applicationName: applicationName(backup.owner), signal,
        limits: { connections: limits.connections, statementTimeoutMs: limits.statementTimeout, lockTimeoutMs: limits.lockTimeout, maxBlockingMs: limits.maxBlocking, maxXminAgeMs: limits.maxXminAge, maxRetainedWalBytes: limits.maxRetainedWal, dutyCycle: limits.dutyCycle },
        onProgress: (progress) => onProgress({ phase: `${progress.phase} of ${progress.database}`, bytesDone: progress.bytesDone, bytesTotal: progress.bytesTotal }),
      });
      const { manifest: file } = backupPaths(join(placeOf(backup), backup.part ?? ''));
      const text = JSON.stringify(manifest);
      // A successor may have sealed another one by now.
      signal.throwIfAborted();
      await writeDurably(file, text);
      const tables = manifest.databases.flatMap((database) => database.tables);
      return {
        tables: tables.length, rows: tables.reduce((sum, table) => sum + table.rows, 0), lsns: manifest.databases.map((database) => database.lsn),
        attempts: manifest.cost.attempts, seconds: (performance.now() - started) / 1000,
        notVerified: reasonsOf(manifest.notVerified),
      };
    }),

    awaitArchived: ({ backup }) => longActivity(async ({ signal, onProgress }) => {
      // Whoever compares with the living source needs no WAL beyond the manifest.
      if (settingsOf(backup.database).provider.kind !== 'archive') return { lastSegment: 'none: RDS keeps its WAL for itself' };
      const config = await connect(backup);
      const { segment, segmentSize } = await withClient(config(), (client) => markEndOfManifest(client, backup.id));
      await awaitSegment({ directory: layoutFor(backup.database).wal, segment, segmentSize, timeoutMs: ARCHIVE_TIMEOUT_MS, signal, onWait: () => onProgress({ phase: `waiting for ${segment}`, bytesDone: 0, bytesTotal: 0 }) });
      return { lastSegment: segment };
    }),

    publishBackup: ({ backup }) => longActivity(async ({ signal }) => {
      const { backups } = layoutFor(backup.database);
      await mkdir(backups, { recursive: true, mode: 0o700 });
      await publishBackup({ incoming: join(placeOf(backup), backup.part ?? ''), backups, id: backup.id, signal });
      return { directory: join(backups, backup.id) };
    }),

    publishManifest: ({ backup }) => longActivity(async () => ({
      file: await publishManifestAlone(layoutFor(backup.database), { name: backup.id, file: backupPaths(placeOf(backup)).manifest }),
    })),

    openBackupPlace: (call) => longActivity(() => openBackupPlace(layoutFor(call.database).incoming, call)),

    closeBackupPlace: (call) => longActivity(async () => {
      const destroyed = await closeBackupPlace(layoutFor(call.database).incoming, call);
      const config = await connect(call).catch(() => undefined);
      // A source that does not answer is what the proof says, after what is on this host is gone.
      const ended = config ? await endSourceSessions(config(), applicationName(call.owner)) : 0;
      return { destroyed: [...destroyed, ...(ended > 0 ? [`${ended} sessions at the source`] : [])] };
    }),

    proveBackupPlaceAbsent: (call) => longActivity(async () => proveBackupPlaceAbsent(layoutFor(call.database).incoming, call, (await connect(call))(), Context.current().info.attempt)),
  });
}
