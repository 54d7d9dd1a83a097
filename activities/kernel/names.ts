import { createHash } from 'node:crypto';
import type { Owner } from '../../contracts/ledger.ts';

/** Eight characters that stand for a run, and for what it is reset to. */
export function ownerTag(owner: Owner): string {
  return createHash('sha256').update(`${owner.workflowId}\n${owner.firstExecutionRunId}`).digest('hex').slice(0, 8);
}

/** Name of what a run may create under a fence; a later owner's differs, so a stalled predecessor cannot meet it. */
export function fenceName(prefix: string, owner: Owner, fence: number): string {
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
