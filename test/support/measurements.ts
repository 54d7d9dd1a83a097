import { expect } from 'vitest';
import type { Evidence, Recovery } from '../../contracts/evidence.ts';

/** What every measurement promises, in seconds. */
const WITHIN = 1;

/** What was measured; a run that ended before has nothing. */
export function recoveryOf(evidence: Evidence): Recovery {
  expect(evidence.recovery, evidence.failure?.message).not.toBeNull();
  return evidence.recovery as Recovery;
}
/** Seconds of a phase by its name. */
export const phase = (recovery: Recovery, name: string) => recovery.phases.find((one) => one.name === name)?.seconds ?? Number.NaN;
/** Fails where a measurement is not what it should be. */
export const near = (actual: number | null, expected: number) => expect(Math.abs((actual ?? Number.NaN) - expected), `${actual} against ${expected}`).toBeLessThanOrEqual(WITHIN);
/** What a phase is made of, in the evidence's own list of steps. */
const STEPS_OF: Record<string, RegExp> = { locating: /^(plan|plan once more|pre-flight)$/, copying: /^copy$/, checks: /^own checks$/, probe: /^application probe$/ };
/** Orchestration is what is left over, so that sums prove nothing: every other phase must be its steps, and little must be left. */
export function addsUp(evidence: Evidence): void {
  const recovery = recoveryOf(evidence);
  const spent = (pattern: RegExp) => evidence.steps.filter(({ name }) => pattern.test(name)).reduce((sum, step) => sum + (Date.parse(step.finishedAt ?? '') - Date.parse(step.startedAt)) / 1000, 0);
  for (const [name, pattern] of Object.entries(STEPS_OF)) {
    expect(phase(recovery, name), name).toBeGreaterThan(0);
    expect(phase(recovery, name), name).toBeCloseTo(spent(pattern), 2);
  }
  expect(phase(recovery, 'replaying') + phase(recovery, 'promotion') + phase(recovery, 'comparison')).toBeCloseTo(spent(/^(replay|compare) /), 2);
  // A copy that waits to be compared is stopped and started again: more than nothing, and by far not all.
  const repeated = phase(recovery, 'comparison') - spent(/^compare /);
  expect(repeated).toBeGreaterThan(0.05);
  expect(repeated).toBeLessThan(spent(/^replay /));
  expect(phase(recovery, 'orchestration')).toBeGreaterThanOrEqual(0);
  expect(phase(recovery, 'orchestration')).toBeLessThan(5);
  for (const { name, seconds } of recovery.phases) {
    expect(seconds, name).toBeGreaterThanOrEqual(0);
    expect(seconds, name).toBeLessThan(recovery.rtaSeconds);
  }
  expect(recovery.phases.reduce((sum, one) => sum + one.seconds, 0)).toBeCloseTo(recovery.rtaSeconds, 2);
}
