import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { WorkflowFailedError, WorkflowNotFoundError } from '@temporalio/client';
import { ApplicationFailure, CancelledFailure, TerminatedFailure, TimeoutFailure } from '@temporalio/common';
import { namesOf } from '../../activities/evidence/store.ts';

/** How a run of the demo ended. */
export interface RunEnd {
  /** What it was instead of done, as the second half of a sentence; null where it is. */
  instead: string | null;
  /** The file of its evidence, as far as the run itself came to say it. */
  evidence: string | undefined;
  /** Whether it had no say in its end: then somebody else writes its evidence. */
  isByForce: boolean;
}

/** True at a gate, too, where it has neither. */
const SEEN_TO = 'whatever it had made is torn down by its guardian';

/** Waits for a run's end, which may be another than its own: everybody may terminate or cancel it in the web UI. */
export async function endOf(result: Promise<unknown>): Promise<RunEnd> {
  try {
    return { instead: null, evidence: evidenceIn(await result), isByForce: false };
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return { instead: `was deleted; ${SEEN_TO}`, evidence: undefined, isByForce: false };
    if (!(error instanceof WorkflowFailedError)) throw error;
    const { cause } = error;
    if (cause instanceof TerminatedFailure) return { instead: `was terminated (${cause.message}); ${SEEN_TO}`, evidence: undefined, isByForce: true };
    if (cause instanceof TimeoutFailure) return { instead: `took longer than it may; ${SEEN_TO}`, evidence: undefined, isByForce: true };
    // Before its first task: later it ends in its own way, and with evidence.
    if (cause instanceof CancelledFailure) return { instead: `was cancelled; ${SEEN_TO}`, evidence: undefined, isByForce: false };
    return { instead: `failed: ${cause?.message ?? error.message}`, evidence: cause instanceof ApplicationFailure ? evidenceIn(cause.details?.[0]) : undefined, isByForce: false };
  }
}

function evidenceIn(ending: unknown): string | undefined {
  const { evidence } = (ending ?? {}) as { evidence?: unknown };
  return typeof evidence === 'string' ? evidence : undefined;
}

/** Until who writes the evidence of a run that was ended by force has surely done it. */
const EVIDENCE_MS = 60_000;
/** Between two looks. */
const LOOK_MS = 200;

/**
 * Waits until somebody else has written the evidence and the report of a run that could not do it itself, into that directory. Returns
 * the file of the evidence; undefined where nobody did in time.
 */
export async function evidenceByOthers(directory: string, run: { workflowId: string; runId: string }, withinMs = EVIDENCE_MS): Promise<string | undefined> {
  const [evidence, report] = [namesOf(run).evidence, namesOf(run).report].map((name) => join(directory, name)) as [string, string];
  for (const end = Date.now() + withinMs; ; await sleep(LOOK_MS)) {
    const isThere = await Promise.all([evidence, report].map((file) => access(file).then(() => true, () => false)));
    if (!isThere.includes(false)) return evidence;
    if (Date.now() > end) return undefined;
  }
}
