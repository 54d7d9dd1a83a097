import { MockActivityEnvironment } from '@temporalio/testing';
import { expect } from 'vitest';
import type { BackupPlan, PlanBackupInput } from '../../activities/backup/backup-activities.ts';
import { createBackupActivities } from '../../activities/backup/create-backup-activities.ts';
import { type Configuration, configurationSchema } from '../../contracts/configuration.ts';
import type { Server } from './postgres.ts';

/** Of the run whose backup is planned. */
export const OWNER = { workflowId: 'backup/shop/1', firstExecutionRunId: 'run' };

/** A configuration whose one database is called shop. */
export function backupConfiguration({ server, repository, walDirectory, reserve = '0MiB' }: { server: Server; repository: string; walDirectory: string; reserve?: string }): Configuration {
  const connection = { host: server.socketDirectory, port: server.port, database: 'postgres', user: server.superuser };
  return configurationSchema.parse({ version: 1, drills: { reserve }, databases: { shop: { connection, provider: { kind: 'archive', repository, walDirectory } } } });
}

/** Plans a backup of it, or a manifest alone, as the workflows do first. */
export function planBackup(configuration: Configuration, copiesFiles = true): Promise<BackupPlan> {
  const activities = createBackupActivities({ configuration, resolvePassword: () => Promise.resolve(undefined) });
  return new MockActivityEnvironment().run((input: PlanBackupInput) => activities.planBackup(input), { database: 'shop', owner: OWNER, startedAtMs: 0, copiesFiles });
}

/** What a plan is where nothing speaks against it. */
export const PASSES = expect.objectContaining({ database: 'shop', noManifest: null }) as unknown;

/** A failure that is final. */
export function refused(message: string | RegExp): { type: string; nonRetryable: boolean; message: string } {
  return { type: 'PREFLIGHT', nonRetryable: true, message: typeof message === 'string' ? message : expect.stringMatching(message) as string };
}

/** A failure that is tried again. */
export function tried(message: RegExp): ReturnType<typeof refused> {
  return { ...refused(message), nonRetryable: false };
}
