import type { PastDrill } from './dependencies.ts';

/** Bytes a second that a drill restores on a plain disk, where no earlier drill says better. */
const GUESS = 150 * 2 ** 20;
/** Starting servers, promotion and the like, whatever the size. */
const FIXED_SECONDS = 3;

/** How long a drill of this size will take: by the median speed of earlier drills of the target, or a guess that says so. */
export function predict(bytes: number, past: readonly PastDrill[]): { seconds: number; from: string } {
  const speeds = past.filter((drill) => drill.bytes > 0 && drill.seconds > 0).map((drill) => drill.bytes / drill.seconds).sort((a, b) => a - b);
  const median = speeds[Math.floor(speeds.length / 2)];
  if (median === undefined) return { seconds: Math.ceil(bytes / GUESS) + FIXED_SECONDS, from: 'a guess: no earlier drill of this target is known' };
  return { seconds: Math.ceil(bytes / median), from: `the speed of ${speeds.length} earlier ${speeds.length === 1 ? 'drill' : 'drills'}` };
}
