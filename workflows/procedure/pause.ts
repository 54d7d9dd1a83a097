import { ApplicationFailure } from '@temporalio/workflow';
import { enterPhase } from './presentation.ts';
import type { Answer, RunState, WaitingStep } from './run-state.ts';
import { waitUntil } from './wait.ts';

/**
 * Waits while the run is paused. `step`: that it is before a step, which operators may skip meanwhile where that has a
 * price; then their answer is returned. Throws a failure of type `LEASE_OVER` when a lease has passed.
 */
export async function pauseBefore(state: RunState, what: string, step?: { skippingCosts: string | null }): Promise<Answer | undefined> {
  if (!state.paused) return undefined;
  const pausedAtMs = Date.now();
  enterPhase(state, `paused before: ${what}`);
  const maximumMs = state.settings?.lease.maximumMs ?? 0;
  const waiting: WaitingStep = { name: what, failure: null, untilMs: pausedAtMs + maximumMs, input: undefined, skippingCosts: null, ...step };
  if (step) state.waitingStep = waiting;
  try {
    // Once the target is taken its lease ends the run; before that nothing else would.
    if (!(await waitUntil(() => !state.paused || waiting.answer !== undefined, maximumMs, 'a pause lasts as long as a lease at most'))) {
      state.overdue ??= `it was paused before "${what}" for as long as a lease lasts`;
      throw ApplicationFailure.nonRetryable(state.overdue, 'LEASE_OVER');
    }
  } finally {
    state.waitingStep = undefined;
  }
  state.spans.push({ name: 'pause', kind: 'pause', startedAtMs: pausedAtMs, finishedAtMs: Date.now() });
  // Who resumed it may have paused it once more before this went on.
  return waiting.answer ?? pauseBefore(state, what, step);
}
