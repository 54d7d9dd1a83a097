import type { Outcome } from './evidence.ts';
import type { Owner, Place } from './ledger.ts';
import type { LeasePolicy } from './runbook.ts';

/** Input of the guardian workflow. It starts with the run, before that wants anything: the lock is asked for with {@link Take}. */
export interface GuardianInput {
  owner: Owner;
  runbook: string;
  target: string;
  sharesTargetWith: readonly string[];
  lease: LeasePolicy;
}

/** Run to guardian: take the target, and open this place. */
export interface Take { place: Place | null }

/**
 * Guardian to run: the target is yours. `fence` is the number that every create checks. With `refused`, the place could
 * not be opened, in words: the run has to end, and the guardian undoes what little there may be.
 */
export interface Owned { fence: number; leaseExpiresAtMs: number; refused?: string }

/** Run to guardian: the body has ended like this; undo what is to be undone. */
export interface Finish { outcome: Outcome }

/** Workflow id of a run's guardian: the same for a run and for what it is reset to. */
export function guardianId(owner: Owner): string {
  return `guardian/${owner.workflowId}/${owner.firstExecutionRunId}`;
}

/** Workflow id of a target's lock. */
export function lockId(target: string): string {
  return `lock/${target}`;
}

export const GUARDIAN_TYPE = 'guardian';
export const LOCK_TYPE = 'lock';
