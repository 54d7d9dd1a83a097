import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { RunStep } from '../../contracts/record.ts';
import { endWait, lookOnceMore } from '../../workflows/procedure/recheck.ts';
import type { OpenGate, RunState, Span } from '../../workflows/procedure/run-state.ts';

const OPENED = Date.parse('2026-11-21T03:00:00.000Z');
beforeEach(() => { vi.useFakeTimers({ now: OPENED }); });
afterEach(() => { vi.useRealTimers(); });

/** A gate that looks once more for so long, and what its run's state then holds. */
function opened(recheckMs: number, found: () => string = () => 'plan') {
  const record = { steps: [] as RunStep[], planHash: 'plan' };
  const gate = { name: 'start', openedAtMs: OPENED, waitsSinceMs: OPENED, record: { planHash: 'plan' }, recheck: async () => { vi.advanceTimersByTime(recheckMs); record.planHash = found(); } } as unknown as OpenGate;
  const state = { record, spans: [] as Span[], openGate: gate, noteStep: (step: RunStep) => record.steps.push(step), summaryOf: (_: RunStep, said: string | null) => said };
  return { gate, record, state: state as unknown as RunState };
}
const inSeconds = ({ spans }: RunState) => spans.map(({ name, kind, startedAtMs, finishedAtMs }) => [name, kind, (startedAtMs - OPENED) / 1000, (finishedAtMs - OPENED) / 1000]);

describe('the time of a gate that looks at its plan once more', () => {
  it('is people\'s while it waits for them, and a step of the run while it looks', async () => {
    const { state, gate, record } = opened(3_500);
    vi.advanceTimersByTime(20_000);
    await lookOnceMore(state, gate);
    vi.advanceTimersByTime(5_000);
    await lookOnceMore(state, gate);
    endWait(state, Date.now());
    expect(inSeconds(state)).toEqual([['start', 'gate', 0, 20], ['plan once more', 'step', 20, 23.5], ['start', 'gate', 23.5, 28.5], ['plan once more', 'step', 28.5, 32], ['start', 'gate', 32, 32]]);
    expect(record.steps).toMatchObject([{ name: 'plan once more', outcome: 'done', startedAt: '2026-11-21T03:00:20.000Z', finishedAt: '2026-11-21T03:00:23.500Z', summary: 'the plan is the same' }, { outcome: 'done' }]);
  });

  it('says what the look found, and that it failed', async () => {
    const changed = opened(100, () => 'another');
    await lookOnceMore(changed.state, changed.gate);
    expect(changed.record.steps).toMatchObject([{ outcome: 'done', summary: 'the plan is another one' }]);
    const gone = opened(100, () => { throw new Error('the backup is gone'); });
    await expect(lookOnceMore(gone.state, gone.gate)).rejects.toThrow('the backup is gone');
    expect(gone.record.steps).toMatchObject([{ outcome: 'failed', finishedAt: '2026-11-21T03:00:00.200Z' }]);
    expect(inSeconds(gone.state).at(-1)?.slice(0, 2)).toEqual(['plan once more', 'step']);
  });
});
