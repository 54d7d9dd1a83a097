import { isCancellation } from '@temporalio/workflow';
import type { RunStep } from '../../contracts/record.ts';
import type { OpenGate, RunState } from './run-state.ts';
import { instantOf } from './wait.ts';

/** The step as which a run looks at its plan once more, while a gate is open. */
const STEP = 'plan once more';

/**
 * Looks at a gate's plan once more, where it does so: a step of its own, since nobody is waited for meanwhile. No phase,
 * which would be one more event of each run: the gate is open all the same.
 */
export async function lookOnceMore(state: RunState, { recheck, record: { planHash: before } }: OpenGate): Promise<void> {
  const startedAtMs = Date.now();
  const record: RunStep = { name: STEP, outcome: 'running', startedAt: instantOf(startedAtMs), finishedAt: null, summary: null };
  state.noteStep(record);
  endWait(state, startedAtMs);
  try {
    await recheck?.();
    record.outcome = 'done';
    record.summary = state.summaryOf(record, state.record.planHash === before ? 'the plan is the same' : 'the plan is another one');
  } catch (error) {
    record.outcome = isCancellation(error) ? 'cancelled' : 'failed';
    throw error;
  } finally {
    const finishedAtMs = Date.now();
    record.finishedAt = instantOf(finishedAtMs);
    state.spans.push({ name: STEP, kind: 'step', startedAtMs, finishedAtMs });
    if (state.openGate) state.openGate.waitsSinceMs = finishedAtMs;
  }
}

/** Notes for how long the open gate has waited for people, up to here. */
export function endWait(state: RunState, nowMs: number): void {
  const { openGate } = state;
  if (openGate) state.spans.push({ name: openGate.name, kind: 'gate', startedAtMs: openGate.waitsSinceMs, finishedAtMs: nowMs });
}
