/** What is said of one series of measurements. */
export interface Summary {
  median: number;
  least: number;
  most: number;
  /** Median absolute deviation from the median: a spread that one outlier does not move. */
  mad: number;
}

/** @throws RangeError when there is nothing to summarise, or something that is no number */
export function summarise(samples: readonly number[]): Summary {
  const middle = median(samples);
  return { median: middle, least: Math.min(...samples), most: Math.max(...samples), mad: median(samples.map((sample) => Math.abs(sample - middle))) };
}

/** Mean of the two in the middle when there is no middle one. */
export function median(samples: readonly number[]): number {
  const sorted = sort(samples);
  const half = sorted.length / 2;
  const upper = sorted[Math.floor(half)] as number;
  return Number.isInteger(half) ? ((sorted[half - 1] as number) + upper) / 2 : upper;
}

/**
 * The smallest sample that at least `share` of all samples do not exceed (nearest rank).
 * @param share above 0 and at most 1
 */
export function percentile(samples: readonly number[], share: number): number {
  if (!(share > 0 && share <= 1)) throw new RangeError(`a percentile is a share above 0 and at most 1, not ${share}`);
  const sorted = sort(samples);
  // The product of a share such as 0.07 and 100 lies a hair above 7: without this its rank would be 8.
  return sorted[Math.max(0, Math.ceil(sorted.length * share - 1e-9) - 1)] as number;
}

/** A timer may fire that much early, and a window that it ends still has its last second. */
const TIMER_IS_EARLY_MS = 5;

/** The latencies of what was due in each whole second of a window; a second in which nothing was due is left out. Times in ms. */
export function bySecond(operations: readonly (readonly [dueAt: number, latencyMs: number])[], { from, to }: { from: number; to: number }): number[][] {
  const seconds = Array.from({ length: Math.floor((to - from + TIMER_IS_EARLY_MS) / 1000) }, (): number[] => []);
  for (const [dueAt, latency] of operations) if (dueAt >= from) seconds[Math.floor((dueAt - from) / 1000)]?.push(latency);
  return seconds.filter((latencies) => latencies.length > 0);
}

function sort(samples: readonly number[]): Float64Array {
  if (samples.length === 0) throw new RangeError('there are no measurements');
  const broken = samples.find((sample) => !Number.isFinite(sample));
  if (broken !== undefined) throw new RangeError(`${broken} is no measurement`);
  return Float64Array.from(samples).sort();
}
