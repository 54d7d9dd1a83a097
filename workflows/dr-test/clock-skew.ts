import type { DrillPlan } from '../../contracts/dr-test.ts';
import type { Recovery } from '../../contracts/evidence.ts';

/**
 * How far the clock of the drill's host is ahead of Temporal's: what was measured when planning began, which is at most what it took
 * to hand that over more than it is; where nothing was, the least that explains when planning was scheduled and answered by the one
 * clock, and began and ended by the other. How long a worker was waited for is not known then, so it may be off by that.
 * @param measuredMs 0, or left out, where it was not measured
 */
export function hostClockSkew({ scheduledAt, beganAt, endedAt }: DrillPlan['clocks'], answeredAtMs: number, measuredMs = 0): NonNullable<Recovery['hostClockSkew']> {
  const atLeast = Date.parse(endedAt) - answeredAtMs;
  const seen = Date.parse(beganAt) - Date.parse(scheduledAt);
  const atMost = measuredMs === 0 ? seen : Math.min(seen, Math.max(measuredMs, atLeast));
  const skewMs = Math.min(Math.max(measuredMs, atLeast), atMost);
  return { seconds: skewMs / 1000, withinSeconds: Math.max(Math.abs(atMost - skewMs), Math.abs(skewMs - atLeast)) / 1000 };
}
