import { createHash } from 'node:crypto';
import type { Owner } from '../../contracts/ledger.ts';

/** Eight characters that stand for a run, and for what it is reset to. */
export function ownerTag(owner: Owner): string {
  return createHash('sha256').update(`${owner.workflowId}\n${owner.firstExecutionRunId}`).digest('hex').slice(0, 8);
}

/** Name of what a run may create under a fence; a later owner's differs, so a stalled predecessor cannot meet it. */
export function fenceName(prefix: string, owner: Owner, fence: number | '<fence>'): string {
  return `${prefix}-${ownerTag(owner)}-${fence}`;
}

/** By this application name a run's sessions at the source are found and ended. */
export function applicationName(owner: Owner): string {
  return `runbook ${ownerTag(owner)}`;
}

/** Id of a backup: readable, sortable, and the same when an activity runs again. */
export function backupId(startedAtMs: number, owner: Owner): string {
  return `${new Date(startedAtMs).toISOString().replaceAll(/[-:]/g, '').slice(0, 15)}Z-${ownerTag(owner)}`;
}

const BACKUP_ID = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-[0-9a-f]{8}$/;

/** When the run began that took a backup, by its id, to the second; NaN for a name that {@link backupId} did not give. */
export function backupBeganMs(id: string): number {
  return BACKUP_ID.test(id) ? Date.parse(id.replace(BACKUP_ID, '$1-$2-$3T$4:$5:$6Z')) : NaN;
}
