import { ApplicationFailure } from '@temporalio/workflow';
import { enterPhase } from './presentation.ts';
import type { Answer, RunState, WaitingStep } from './run-state.ts';
import { waitUntil } from './wait.ts';

/** The name of a stretch in which a run was paused. */
const PAUSE = 'pause';

/**
 * Waits while the run is paused. `step`: that it is before a step, which operators may skip meanwhile where that has a
 * price; then their answer is returned. Throws a failure of type `LEASE_OVER` when a lease has passed, or all pauses before
 * the target is taken have together lasted as long.
 */
export async function pauseBefore(state: RunState, what: string, step?: { skippingCosts: string | null }): Promise<Answer | undefined> {
  if (!state.paused) return undefined;
  const pausedAtMs = Date.now();
  enterPhase(state, `paused before: ${what}`);
  const earlierMs = pausedBeforeMs(state);
  const maximumMs = (state.settings?.lease.maximumMs ?? 0) - earlierMs;
  const waiting: WaitingStep = { name: what, failure: null, untilMs: pausedAtMs + maximumMs, input: undefined, skippingCosts: null, ...step };
  if (step) state.waitingStep = waiting;
  try {
    // Once the target is taken its lease ends the run; before that nothing else would.
    if (!(await waitUntil(() => !state.paused || waiting.answer !== undefined, maximumMs, 'pauses last as long as a lease at most'))) {
      state.overdue ??= `it was paused before "${what}"${earlierMs > 0 ? ', and earlier,' : ''} for as long as a lease lasts`;
      throw ApplicationFailure.nonRetryable(state.overdue, 'LEASE_OVER');
    }
  } finally {
    state.waitingStep = undefined;
  }
  state.spans.push({ name: PAUSE, kind: 'pause', startedAtMs: pausedAtMs, finishedAtMs: Date.now() });
  // Who resumed it may have paused it once more before this went on.
  return waiting.answer ?? pauseBefore(state, what, step);
}

/** For how long the run has been paused already, as long as it has no lease that goes on meanwhile. */
function pausedBeforeMs({ owned, spans }: RunState): number {
  if (owned) return 0;
  return spans.reduce((ms, { kind, name, startedAtMs, finishedAtMs }) => (kind === 'pause' && name === PAUSE ? ms + finishedAtMs - startedAtMs : ms), 0);
}
