import { LIMITS, type RowName } from './limits.ts';
import { median, summarise, type Summary } from './statistics.ts';

/** What a part of a row is measured in. */
type Unit = 's' | 'ms' | 'events' | 'bytes' | 'KiB';

/** What a row measured. */
export interface RowOutcome {
  name: RowName;
  /** The ratio of medians, or the median of seconds. */
  value: number;
  met: boolean;
  /** Why the value says nothing of the limit, which then is not met; null where it does. */
  notJudged: string | null;
  /** What the value was made of: by name, in the unit that is given. */
  parts: { name: string; unit: Unit; summary: Summary }[];
  /** Lowest and highest ratio of one repetition: how far noise reaches. */
  ratioRange: [number, number] | null;
  /** What a reader must know, such as that the script was too short. */
  notes: string[];
}

interface Series { name: string; samples: readonly number[] }

/**
 * Ratio of the medians of two series that were measured in turn; with `paired` the median of the ratios of neighbours,
 * for what a drift of the machine would move more than the difference. What is `notJudged`, and why, has not met its limit.
 */
export function ratioOutcome(name: RowName, ours: Series, baseline: Series, options: { unit?: Unit; paired?: boolean; notJudged?: string | null; notes?: string[] } = {}): RowOutcome {
  const { unit = 's', paired = false, notJudged = null, notes = [] } = options;
  const parts = [ours, baseline].map((part) => ({ name: part.name, unit, summary: summarise(part.samples) }));
  const ratios = ours.samples.map((sample, index) => sample / (baseline.samples[index] as number));
  const value = paired ? median(ratios) : (parts[0]?.summary.median as number) / (parts[1]?.summary.median as number);
  return { name, value, met: notJudged === null && value <= LIMITS[name].atMost, notJudged, parts, ratioRange: [Math.min(...ratios), Math.max(...ratios)], notes };
}

/** Median of one series of seconds. */
export function secondsOutcome(name: RowName, samples: readonly number[], options: { others?: Series[]; notes?: string[] } = {}): RowOutcome {
  const summary = summarise(samples);
  const others = (options.others ?? []).map((other) => ({ name: other.name, unit: 's' as const, summary: summarise(other.samples) }));
  return { name, value: summary.median, met: summary.median <= LIMITS[name].atMost, notJudged: null, parts: [{ name, unit: 's', summary }, ...others], ratioRange: null, notes: options.notes ?? [] };
}

/** Mean of one series, for what is limited on average. */
export function meanOutcome(name: RowName, samples: readonly number[], notes: string[] = []): RowOutcome {
  const value = samples.reduce((sum, sample) => sum + sample, 0) / samples.length;
  return { name, value, met: value <= LIMITS[name].atMost, notJudged: null, parts: LIMITS[name].kind === 'seconds' ? [{ name, unit: 's', summary: summarise(samples) }] : [], ratioRange: null, notes };
}
