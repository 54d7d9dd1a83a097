import type { OperationRecord } from '../../contracts/evidence.ts';
import { LIMITS_IN_WORDS, operatorSchema, type SIGNALS } from '../../contracts/messages.ts';
import { showDetails } from './presentation.ts';
import { refused } from './refused.ts';
import type { RunState } from './run-state.ts';
import { note } from './steering.ts';
import { instantOf } from './wait.ts';

/** What an operator can ask of a run as a whole, also by a signal without argument. */
export type RunOperation = Exclude<keyof typeof SIGNALS, 'approve' | 'reject'>;

/** Validator of the operators' updates: throws a sentence that says what to do, before anything enters history. */
export function validateOperator(state: RunState, operation: RunOperation, payload: unknown): void {
  const tooLate = whyTooLate(state, operation);
  if (tooLate !== null) throw refused(tooLate);
  if (operatorSchema.safeParse(payload ?? undefined).success) return;
  throw refused(`${operation} takes { by?, reason? } with ${LIMITS_IN_WORDS}, or nothing`);
}

/** What is undone can neither wait nor be undone once more. */
function whyTooLate({ isEnding, phase }: RunState, operation: RunOperation): string | null {
  return isEnding ? `the run is ending (it is at: ${phase}); ${operation} changes nothing any more` : null;
}

/** Does what an operator asks, and notes who asked and why. A signal has no answer: whatever it carries, it does what it is for. @throws to an update that comes too late */
export function operate(state: RunState, operation: RunOperation, channel: OperationRecord['channel'], payload: unknown): void {
  const tooLate = whyTooLate(state, operation);
  if (tooLate !== null) {
    // The body may have ended between the update's validator and this.
    if (channel === 'update') throw refused(tooLate);
    state.noteRefusal(`${operation} at ${instantOf(Date.now())}: ${tooLate}`);
    return showDetails(state);
  }
  const operator = operatorSchema.safeParse(payload ?? undefined).data;
  if (operation !== 'abort') state.paused = operation === 'pause';
  const record = note(state, { operation, by: operator?.by ?? null, reason: operator?.reason ?? null, channel, of: null, detail: null });
  if (operation !== 'abort') return;
  state.abort ??= record;
  state.bodyScope.cancel();
}

/** Why an aborted run failed, in words. */
export function describeAbort({ by, reason }: OperationRecord): string {
  return `the run was aborted by ${by ?? 'an unnamed person'}${reason === null ? '' : `: ${reason}`}`;
}
