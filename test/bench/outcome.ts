import { LIMITS, type RowName } from './limits.ts';
import { summarise, type Summary } from './statistics.ts';

/** What a row measured. */
export interface RowOutcome {
  name: RowName;
  /** The ratio of medians, or the median of seconds. */
  value: number;
  met: boolean;
  /** What the value was made of: by name, in the unit that is given. */
  parts: { name: string; unit: 's' | 'ms'; summary: Summary }[];
  /** Lowest and highest ratio of one repetition: how far noise reaches. */
  ratioRange: [number, number] | null;
  /** What a reader must know, such as that the script was too short. */
  notes: string[];
}

/** Ratio of the medians of two series that were measured in turn. */
export function ratioOutcome(name: RowName, ours: { name: string; samples: readonly number[] }, baseline: { name: string; samples: readonly number[] }, options: { unit?: 's' | 'ms'; notes?: string[] } = {}): RowOutcome {
  const { unit = 's', notes = [] } = options;
  const parts = [ours, baseline].map((part) => ({ name: part.name, unit, summary: summarise(part.samples) }));
  const ratios = ours.samples.map((sample, index) => sample / (baseline.samples[index] as number));
  const value = (parts[0]?.summary.median as number) / (parts[1]?.summary.median as number);
  return { name, value, met: value <= LIMITS[name].atMost, parts, ratioRange: [Math.min(...ratios), Math.max(...ratios)], notes };
}

/** Median of one series of seconds. */
export function secondsOutcome(name: RowName, samples: readonly number[], options: { others?: { name: string; samples: readonly number[] }[]; notes?: string[] } = {}): RowOutcome {
  const summary = summarise(samples);
  const others = (options.others ?? []).map((other) => ({ name: other.name, unit: 's' as const, summary: summarise(other.samples) }));
  return { name, value: summary.median, met: summary.median <= LIMITS[name].atMost, parts: [{ name, unit: 's', summary }, ...others], ratioRange: null, notes: options.notes ?? [] };
}
