/** When to look whether something is ready that a service makes in its own time: often where that is likely, seldom where it is not. */
export interface LookSchedule {
  /** Milliseconds from an instant of the wait, counted from its begin, until the next look. Depends on nothing else, so that a wait that another process goes on with looks at the same times. */
  nextLookInMs: (elapsedMs: number) => number;
}

/** What is known of how long it takes, and how often may be looked at most. */
export interface LookOptions {
  /** How long earlier ones took, in milliseconds; none where none is known. */
  earlierMs: readonly number[];
  /** How often somebody who knows nothing would look: over a wait as long as the earlier ones, no more looks are made than that. Default: 30 s. */
  everyMs?: number;
  /** Two looks are never closer than this. Default: a second, or `everyMs` where that is shorter. */
  leastMs?: number;
}

/** The share of a simple poller's looks that are planned for: what is left pays for waits that are longer than the earlier ones. */
const SHARE = 0.9;
/** How far durations differ from each other where few are known, as a share of their mean, and how many observations that counts as. */
const ASSUMED = { variation: 0.25, weight: 4 };
/** Beyond so many standard deviations the past says nothing of when it will be: it stays as likely as there. */
const FARTHEST = 3.5;
/** In each of how many steps the density of looks is summed up, between no time and four times the mean. */
const STEPS = 800;
/** Where nothing is known, for a long wait so much of it may be added by looking too late. */
const PATIENCE = 1 / 40;
/** And the first look comes after so many of its intervals: nothing that is waited for this way is ready at once. */
const FIRST = 4;

/**
 * Without earlier waits, every `everyMs`, and less often the longer it takes. With some, durations are taken for log-normal, as
 * times of work are, and looks are as dense as the square root of the hazard: of all ways to spend so many looks, that is the
 * one with the least lateness on average (J. B. Keller, "Optimum Checking Schedules for Systems Subject to Random Failure",
 * Management Science 21, 1974).
 */
export function lookSchedule({ earlierMs, everyMs = 30_000, leastMs = Math.min(1_000, everyMs) }: LookOptions): LookSchedule {
  const least = (ms: number): number => Math.max(leastMs, Math.ceil(ms));
  const known = earlierMs.filter((ms) => Number.isFinite(ms) && ms > 0);
  if (known.length === 0) {
    return { nextLookInMs: (elapsedMs) => least(elapsedMs < FIRST * everyMs ? FIRST * everyMs - elapsedMs : Math.max(everyMs, elapsedMs * PATIENCE)) };
  }
  const { mean, hazard } = distributionOf(known);
  const stepMs = (4 * mean) / STEPS;
  const looks = (SHARE * mean) / everyMs;
  const density = densityFor(looks, hazard, stepMs);
  return {
    nextLookInMs(elapsedMs) {
      // From each look until the sum of the density is one. A wait far beyond all others is asked for as often as somebody who knows nothing would.
      if (elapsedMs > 4 * mean) return least(Math.max(everyMs, elapsedMs * PATIENCE));
      let [sum, at] = [0, elapsedMs];
      const fine = stepMs / 8;
      while (sum < 1 && at < 4 * mean) {
        sum += density(at + fine / 2) * fine;
        at += fine;
      }
      return least(at - elapsedMs);
    },
  };
}

/** Looks a millisecond at an instant, so that `looks` are made on average until it is ready. */
function densityFor(looks: number, hazard: (ms: number) => number, stepMs: number): (ms: number) => number {
  let [waiting, sum] = [1, 0];
  for (let step = 0; step < STEPS; step += 1) {
    const rate = hazard((step + 0.5) * stepMs);
    sum += waiting * Math.sqrt(rate) * stepMs;
    waiting *= Math.exp(-rate * stepMs);
  }
  const scale = looks / sum;
  return (ms) => scale * Math.sqrt(hazard(ms));
}

function distributionOf(known: readonly number[]): { mean: number; hazard: (ms: number) => number } {
  const count = known.length;
  const mean = known.reduce((sum, ms) => sum + ms, 0) / count;
  const squares = known.reduce((sum, ms) => sum + (ms - mean) ** 2, 0);
  // Of few, what is assumed counts for more; and the next one differs from their mean, which itself is not known well.
  const variance = ((squares + ASSUMED.weight * (ASSUMED.variation * mean) ** 2) / (count - 1 + ASSUMED.weight)) * (1 + 1 / count);
  const sigma = Math.sqrt(Math.log(1 + variance / mean ** 2));
  const mu = Math.log(mean) - sigma ** 2 / 2;
  return {
    mean,
    hazard(ms) {
      if (ms <= 0) return 0;
      const z = Math.min((Math.log(ms) - mu) / sigma, FARTHEST);
      return normalDensity(z) / upperTail(z) / (sigma * ms);
    },
  };
}

function normalDensity(z: number): number {
  return Math.exp(-(z ** 2) / 2) / Math.sqrt(2 * Math.PI);
}

/** Abramowitz and Stegun, 26.2.17: exact to 7.5e-8, enough up to {@link FARTHEST}. */
function upperTail(z: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(z));
  const tail = normalDensity(z) * t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return z >= 0 ? tail : 1 - tail;
}
