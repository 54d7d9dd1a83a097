import { describe, expect, it } from 'vitest';
import type { DrillPlan } from '../../contracts/dr-test.ts';
import type { Check } from '../../contracts/evidence.ts';
import { recoveryActuals } from '../../workflows/dr-test/recovery-actuals.ts';
import { summaryOf } from '../../workflows/dr-test/summaries.ts';
import { judge, unanswered } from '../../workflows/dr-test/verdict.ts';
import type { Span } from '../../workflows/procedure/run-state.ts';

const start = Date.parse('2026-11-21T03:00:00.000Z');
const plan = {
  declaredAt: '2026-11-21T02:59:30.000Z', provider: 'archive', depth: 'standard', allowNotProven: false,
  recoveryPoint: { id: 'p', takenAt: '2026-11-20T00:00:00.000Z' }, objectives: { rto: 60_000, rpo: 10_000, rtaIs: 'withoutWait', failWhenMissed: true },
} as unknown as DrillPlan;
let clock = start;
const span = (name: string, seconds: number, kind: Span['kind'] = 'step', gapMs = 0): Span => {
  const startedAtMs = (clock += gapMs);
  clock += seconds * 1000;
  return { name, kind, startedAtMs, finishedAtMs: clock };
};
const timeline = [
  span('plan', 1), span('pre-flight', 1), span('start', 20, 'gate'), span('waiting for the lock', 2, 'lock'), span('copy', 10, 'step', 500),
  span('replay to the manifest of shop', 4), span('compare shop', 6), span('replay to the end', 5), span('own checks', 1), span('application probe', 2), span('measure', 9),
];
const input = {
  plan, startedAtMs: start, timeline,
  recovered: { endLsn: '0/1', lastCommitAt: null, stoppedBeforeLater: false, replaySeconds: 3, promotionSeconds: 2, repeatedSeconds: 1 }, replays: [{ repeatedSeconds: 0.5 }],
  loss: { rpaSeconds: 4.5, lostTransactions: 12, method: 'm', clockSkewSeconds: 0.1, checks: [] },
  hostClockSkew: null,
};
const actuals = recoveryActuals(input);

describe('recoveryActuals', () => {
  it('leaves out what people did after the probe: a pause before the measuring is no part of a recovery', () => {
    const upToProbe = timeline.slice(0, -1);
    const end = upToProbe.at(-1)?.finishedAtMs ?? 0;
    const paused = recoveryActuals({ ...input, timeline: [...upToProbe, { name: 'pause', kind: 'pause', startedAtMs: end, finishedAtMs: end + 600_000 }, { name: 'measure', kind: 'step', startedAtMs: end + 600_000, finishedAtMs: end + 609_000 }] });
    expect(paused).toEqual(actuals);
  });
  it('counts from the declaration to the probe, and not the measuring after it', () => {
    expect(actuals.rtaSeconds).toBe(82.5);
    expect(actuals.rtaWithoutWaitSeconds).toBe(62.5);
    expect(actuals.rtaWithoutComparisonSeconds).toBe(55);
  });
  it('counts what a gate looked at once more as the machine\'s time, not as people\'s', () => {
    const of = (...gate: [kind: Span['kind'], name: string, seconds: number][]) => {
      clock = start;
      const looked = recoveryActuals({ ...input, timeline: [span('plan', 2), ...gate.map(([kind, name, seconds]) => span(name, seconds, kind)), span('copy', 10)] });
      return { ...Object.fromEntries(looked.phases.map(({ name, seconds }) => [name, seconds])), rta: looked.rtaSeconds, withoutWait: looked.rtaWithoutWaitSeconds, sum: looked.phases.reduce((sum, { seconds }) => sum + seconds, 0) };
    };
    expect(of(['gate', 'start', 20], ['step', 'plan once more', 3.5], ['gate', 'start', 0.5])).toMatchObject({ 'human wait': 20.5, locating: 5.5, orchestration: 0, rta: 66, withoutWait: 45.5, sum: 66 });
  });
  it('has phases that add up to the RTA', () => {
    expect(actuals.phases.reduce((sum, phase) => sum + phase.seconds, 0)).toBeCloseTo(actuals.rtaSeconds, 6);
    expect(Object.fromEntries(actuals.phases.map((phase) => [phase.name, phase.seconds]))).toEqual({
      detection: 30, 'human wait': 20, 'waiting for the lock': 2, locating: 2, copying: 10, replaying: 5.5, promotion: 2, comparison: 7.5, checks: 1, probe: 2, orchestration: 0.5,
    });
  });
});

describe('recoveryActuals beside a worker of older code', () => {
  it('takes what it does not say for nothing', () => {
    const { repeatedSeconds: _, ...recovered } = input.recovered;
    const older = recoveryActuals({ ...input, recovered, replays: [{}, { repeatedSeconds: 1.5 }] });
    expect(older).toEqual(actuals);
    expect(recoveryActuals({ ...input, recovered, replays: [{}] }).phases.find(({ name }) => name === 'comparison')?.seconds).toBe(6);
  });
});

describe('judge', () => {
  const passed = { name: 'a', outcome: 'passed' as const, detail: '' };
  it('is unsound when one check failed, whatever else is missing', () => {
    expect(judge(plan, [passed, { name: 'table x', outcome: 'failed', detail: 'differs' }], ['something'], actuals)).toMatchObject({ verdict: { restore: 'unsound' }, failure: { type: 'RESTORE_UNSOUND' } });
  });
  it('is not proven when something was not compared, which fails unless it is allowed', () => {
    expect(judge(plan, [passed], ['rows'], actuals)).toMatchObject({ verdict: { restore: 'notProven' }, failure: { type: 'RESTORE_NOT_PROVEN' } });
    expect(judge({ ...plan, allowNotProven: true, objectives: { ...plan.objectives, failWhenMissed: false } }, [passed], ['rows'], actuals).failure).toBeUndefined();
    expect(judge({ ...plan, depth: 'quick', objectives: { ...plan.objectives, failWhenMissed: false } }, [passed], [], actuals)).toEqual({ verdict: { restore: 'notProven', rto: 'missed', rpo: 'met' } });
  });
  it("is not proven when a check of the owner's has no answer", () => {
    const unfinished = { name: 'totals', outcome: 'skipped' as const, detail: 'did not finish' };
    expect(unanswered([passed, unfinished])).toEqual(['check totals: did not finish']);
    expect(judge(plan, [passed, unfinished], unanswered([unfinished]), actuals)).toMatchObject({ verdict: { restore: 'notProven' }, failure: { type: 'RESTORE_NOT_PROVEN' } });
  });
  it('holds the RTA that the configuration names against the RTO', () => {
    expect(judge(plan, [passed], [], actuals)).toMatchObject({ verdict: { restore: 'sound', rto: 'missed', rpo: 'met' }, failure: { type: 'OBJECTIVE_MISSED' } });
    expect(judge({ ...plan, objectives: { ...plan.objectives, rtaIs: 'withoutComparison' } }, [passed], [], actuals)).toEqual({ verdict: { restore: 'sound', rto: 'met', rpo: 'met' } });
  });
  it('takes an objective that could not be measured as missed', () => {
    expect(judge(plan, [passed], [], { ...actuals, rpaSeconds: null }).verdict.rpo).toBe('missed');
  });
  it('holds against no objective what has none', () => {
    expect(judge(plan, [passed], [], { ...actuals, rtoSeconds: null, rpoSeconds: null })).toEqual({ verdict: { restore: 'sound', rto: 'notSet', rpo: 'notSet' } });
  });

  describe('with an application probe', () => {
    const asked = { ...plan, probe: { command: ['true'], timeout: 1 }, objectives: { ...plan.objectives, rtaIs: 'withoutComparison' }, manifest: { id: 'm', databases: [] }, checks: [{ name: 'totals', sql: '', expect: '' }] } as unknown as DrillPlan;
    const probed = (outcome: Check['outcome']) => ({ name: 'application probe', outcome, detail: 'd' });
    it('met its RTO only where the probe passed: else it never came so far', () => {
      expect(judge(asked, [probed('passed')], [], actuals).verdict.rto).toBe('met');
      expect(judge(asked, [probed('failed')], [], actuals).verdict.rto).toBe('missed');
      expect(judge(asked, [probed('skipped')], ['application probe: no answer'], actuals).verdict.rto).toBe('missed');
    });
    it('says that the comparison found nothing where only what was asked for beside it failed', () => {
      const failed = { name: 'totals', outcome: 'failed' as const, detail: 'is not 5' };
      expect(judge(asked, [passed, failed, probed('failed')], [], actuals).failure?.message).toBe('the comparison found no difference, but this failed: totals: is not 5; application probe: d');
      expect(judge({ ...asked, manifest: null }, [failed], [], actuals).failure?.message).toBe('there was nothing to compare with, and this failed: totals: is not 5');
      expect(judge(asked, [failed, { name: 'table x', outcome: 'failed', detail: 'differs' }], [], actuals).failure?.message).toBe('the restored database is not what was backed up: totals: is not 5; table x: differs');
    });
  });
});

describe('what a step found, in one line', () => {
  const check = (outcome: Check['outcome']) => ({ name: 'n', outcome, detail: `it ${outcome}` });
  it.each([
    [['passed', 'passed'], '2 passed'], [['passed', 'failed', 'failed'], '2 of 3 failed'], [['passed', 'skipped'], '1 of 2 without an answer'],
    [['failed', 'skipped', 'passed'], '1 of 3 failed, 1 without an answer'], [['failed'], 'it failed'], [[], 'nothing to check'],
  ] as const)('%j: %s', (outcomes, words) => {
    expect(summaryOf(outcomes.map(check))).toBe(words);
  });
});
