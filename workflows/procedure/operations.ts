import { ApplicationFailure } from '@temporalio/workflow';
import type { Operation, OperationRecord } from '../../contracts/evidence.ts';
import { LIMITS_IN_WORDS, operatorSchema } from '../../contracts/messages.ts';
import { showDetails } from './presentation.ts';
import type { RunState } from './run-state.ts';
import { instantOf } from './wait.ts';

/** So many operations are kept: evidence must stay small enough to be written, whatever somebody sends. */
const KEPT_OPERATIONS = 100;

/** Validator of the operators' updates: throws a sentence that says what to do, before anything enters history. */
export function validateOperator(state: RunState, operation: Operation, payload: unknown): void {
  const tooLate = whyTooLate(state, operation);
  if (tooLate !== null) throw ApplicationFailure.nonRetryable(tooLate, 'INVALID_INPUT');
  if (operatorSchema.safeParse(payload ?? undefined).success) return;
  throw ApplicationFailure.nonRetryable(`${operation} takes { by?, reason? } with ${LIMITS_IN_WORDS}, or nothing`, 'INVALID_INPUT');
}

/** What is undone can neither wait nor be undone once more. */
function whyTooLate({ isEnding, phase }: RunState, operation: Operation): string | null {
  return isEnding ? `the run is ending (it is at: ${phase}); ${operation} changes nothing any more` : null;
}

/** Does what an operator asks, and notes who asked and why. A signal has no answer: whatever it carries, it does what it is for. */
export function operate(state: RunState, operation: Operation, channel: OperationRecord['channel'], payload: unknown): void {
  const tooLate = whyTooLate(state, operation);
  if (tooLate !== null) {
    state.noteRefusal(`${operation} at ${instantOf(Date.now())}: ${tooLate}`);
    return showDetails(state);
  }
  const operator = operatorSchema.safeParse(payload ?? undefined).data;
  const record: OperationRecord = { at: instantOf(Date.now()), operation, by: operator?.by ?? null, reason: operator?.reason ?? null, channel };
  if (state.record.operations.length < KEPT_OPERATIONS) state.record.operations.push(record);
  if (operation === 'abort') {
    state.abort ??= record;
    state.bodyScope.cancel();
  } else {
    state.paused = operation === 'pause';
  }
  showDetails(state);
}

/** Why an aborted run failed, in words. */
export function describeAbort({ by, reason }: OperationRecord): string {
  return `the run was aborted by ${by ?? 'an unnamed person'}${reason === null ? '' : `: ${reason}`}`;
}
