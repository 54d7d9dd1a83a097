import type { z } from 'zod';
import type { finishSchema, guardianInputSchema, overdueSchema, ownedSchema, settledSchema, takeSchema } from './internal-messages.ts';
import type { Owner } from './ledger.ts';
import { shortWorkflowId } from './workflow-id.ts';

/** Input of the guardian workflow. It is started before its run wants anything of it: the lock is asked for with {@link Take}. */
export type GuardianInput = z.output<typeof guardianInputSchema>;

/** Run to guardian: take the target, and open this place. */
export type Take = z.output<typeof takeSchema>;

/**
 * Guardian to run: the target is yours. `fence` is the number that every create checks. With `refused`, the place could
 * not be opened, or is closed already, in words: the run has to end, and the guardian undoes what little there may be.
 */
export type Owned = z.output<typeof ownedSchema>;

/** Guardian to run: the lease is over; undo what you did, and end. */
export type Overdue = z.output<typeof overdueSchema>;

/** Guardian to run: everything is undone, and this is the proof. */
export type Settled = z.output<typeof settledSchema>;

/** Run to guardian: the body has ended like this; undo what is to be undone. */
export type Finish = z.output<typeof finishSchema>;

/** Workflow id of a run's guardian: the same for a run and for what it is reset to. The run id alone is unique too; the workflow's is for people, where there is room. */
export function guardianId(owner: Owner): string {
  return shortWorkflowId(`guardian/${owner.workflowId}/`, owner.firstExecutionRunId);
}

/**
 * Workflow id of what writes the evidence of a run that was ended by force and has no guardian: of each life its own, so
 * that what a run is reset to never takes it for its guardian.
 */
export function evidenceWriterId({ workflowId, runId }: { workflowId: string; runId: string }): string {
  return shortWorkflowId(`evidence/${workflowId}/`, runId);
}

/** Workflow id of a target's lock. */
export function lockId(target: string): string {
  return `lock/${target}`;
}

/** Workflow type of guardians. Histories name it: it never changes. */
export const GUARDIAN_TYPE = 'guardian';
/** Workflow type of the locks of targets. Histories name it: it never changes. */
export const LOCK_TYPE = 'lock';
