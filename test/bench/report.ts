import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { LIMITS, type BenchName } from './limits.ts';
import type { RowOutcome } from './outcome.ts';

/** A load average above this before the start spoils the numbers. */
export const QUIET_LOAD = 1;

/** The last line with `--json`. */
export function jsonLine(bench: BenchName, outcomes: readonly RowOutcome[]): string {
  const ofKind = (kind: 'ratio' | 'seconds') => Object.fromEntries(outcomes.filter(({ name }) => LIMITS[name].kind === kind).map(({ name, value }) => [name, Number(value.toFixed(4))]));
  return JSON.stringify({ bench, ratios: ofKind('ratio'), seconds: ofKind('seconds') });
}

/** What a row measured, for people: the value against its limit first, then what it is made of. */
export function rowLines({ name, value, met, notJudged, parts, ratioRange, notes }: RowOutcome): string[] {
  const { kind, atMost, title } = LIMITS[name];
  const unit = kind === 'seconds' ? ' s' : '';
  const range = ratioRange ? `; by repetition ${ratioRange.map((ratio) => ratio.toFixed(3)).join(' to ')}` : '';
  const details = parts.map((part) => `${part.name} ${figure(part.summary.median)} ${part.unit} [${figure(part.summary.least)} to ${figure(part.summary.most)}, MAD ${figure(part.summary.mad)}]`);
  return [
    `${name.padEnd(17)} ${`${value.toFixed(3)}${unit}`.padStart(8)}  limit ${atMost}${unit}  ${notJudged !== null ? 'NOT JUDGED' : met ? 'met' : 'MISSED'}   ${title}`,
    `${' '.repeat(19)}${details.join(' · ')}${range}`,
    ...[notJudged ?? [], ...notes].flat().map((note) => `${' '.repeat(19)}${note}`),
  ];
}

/** What it all comes to. */
export function verdictLine(outcomes: readonly RowOutcome[]): string {
  const named = (label: string, some: readonly RowOutcome[]) => (some.length === 0 ? [] : [`${label}: ${some.map(({ name }) => name).join(', ')}`]);
  const unmet = outcomes.filter(({ met }) => !met);
  const lines = [...named('missed', unmet.filter(({ notJudged }) => notJudged === null)), ...named('not judged', unmet.filter(({ notJudged }) => notJudged !== null))];
  return lines.length === 0 ? 'every limit is met' : lines.join('; ');
}

/** Where and under which load it was measured: without it a number says nothing. */
export function machineLine(when: string): string {
  return `${when}: load average ${loadavg().map((load) => load.toFixed(2)).join(' ')}, ${availableParallelism()} × ${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${Math.round(totalmem() / 2 ** 30)} GiB memory, Node ${process.versions.node}`;
}

/** What to do about a busy machine; null when it is quiet. */
export function noiseWarning(): string | null {
  const [load = 0] = loadavg();
  return load <= QUIET_LOAD ? null : `warning: other work is running (load average ${load.toFixed(2)}, quiet is up to ${QUIET_LOAD}): these numbers can only be compared with each other; stop it, wait a minute and measure again`;
}

/** Three digits that mean something. */
function figure(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value >= 1 ? value.toFixed(2) : value.toFixed(3);
}
