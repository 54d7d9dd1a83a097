import type { DrillPlan } from '../../contracts/dr-test.ts';
import type { Recovery } from '../../contracts/evidence.ts';

/**
 * How far the clock of the drill's host is ahead of Temporal's: the least that explains when planning was scheduled and
 * answered by the one clock, and began and ended by the other. How long a worker was waited for is not known, so it may be
 * off by that.
 */
export function hostClockSkew({ scheduledAt, beganAt, endedAt }: DrillPlan['clocks'], answeredAtMs: number): NonNullable<Recovery['hostClockSkew']> {
  const atMost = Date.parse(beganAt) - Date.parse(scheduledAt);
  const atLeast = Date.parse(endedAt) - answeredAtMs;
  const skewMs = Math.min(Math.max(0, atLeast), atMost);
  return { seconds: skewMs / 1000, withinSeconds: Math.max(Math.abs(atMost - skewMs), Math.abs(skewMs - atLeast)) / 1000 };
}
