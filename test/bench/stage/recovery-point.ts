import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { Client as Database } from 'pg';
import { type ArchiveLayout, backupPaths, readBackupFiles, readRecoveryPoint } from '../../../activities/archive/layout.ts';
import type { BackupResult } from '../../../contracts/backup.ts';
import { type Manifest, manifestSchema } from '../../../contracts/manifest.ts';
import type { BackupFiles, RecoveryPoint } from '../../../contracts/recovery-point.ts';
import { TASK_QUEUE } from '../../../contracts/search-attributes.ts';
import type { Production } from '../../../scripts/demo/production.ts';
import { startWriters } from '../../../scripts/demo/writers.ts';
import { archiveUpToNow } from '../../support/wal-segments.ts';

/** A published backup, its manifest, and an archive that goes on after it. */
export interface Recoverable {
  point: RecoveryPoint;
  files: BackupFiles;
  manifest: Manifest;
  layout: ArchiveLayout;
  /** Holds `data/` and `tablespaces/`. */
  backup: string;
}

/**
 * Takes a backup as people do, under write load. Writing goes on for a while, so that recovery has something to replay;
 * afterwards the source is at rest.
 */
export async function takeRecoveryPoint({ name, production, client, layout, writeAfterSeconds, log }: { name: string; production: Production; client: Client; layout: ArchiveLayout; writeAfterSeconds: number; log: (line: string) => void }): Promise<Recoverable> {
  let broken: Error | undefined;
  const writers = await startWriters({ config: production.config, count: 4, seed: 1, opsPerSecond: 150, onError: (error) => { broken = error; } });
  let result: BackupResult;
  try {
    const started = performance.now();
    result = await client.workflow.execute('backup', { workflowId: `backup/${name}/${randomUUID()}`, taskQueue: TASK_QUEUE, args: [{}] }) as BackupResult;
    log(`backup of ${name}: ${Math.round(result.bytes / 2 ** 20)} MiB in ${((performance.now() - started) / 1000).toFixed(1)} s`);
    await sleep(writeAfterSeconds * 1000);
  } finally {
    await writers.stop();
  }
  if (broken) throw broken;
  await archiveAll(production, layout);
  const point = await readRecoveryPoint({ layout, id: result.id });
  const paths = backupPaths(join(layout.backups, result.id));
  return { point, files: await readBackupFiles({ layout, point }), manifest: manifestSchema.parse(JSON.parse(await readFile(paths.manifest, 'utf8'))), layout, backup: paths.root };
}

async function archiveAll(production: Production, layout: ArchiveLayout): Promise<void> {
  const database = new Database(production.config);
  await database.connect();
  await archiveUpToNow(database, layout.wal).finally(() => database.end());
}
