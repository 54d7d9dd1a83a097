import type { Evidence } from '../../contracts/evidence.ts';
import { formatSeconds } from '../../contracts/quantities.ts';
import { shortened } from '../../contracts/whole-characters.ts';
import { html, readable, secondsBetween, type Markup } from './report-format.ts';

/** A step or a gate of a run; `from` and `to` in seconds since its start. */
interface Bar { label: string; kind: 'step' | 'gate' | 'failed' | 'cancelled' | 'skipped' | 'waiting'; from: number; to: number; title: string }

const WIDTH = 960;
const LABEL = 210;
const DURATION = 90;
const ROW = 22;
const AXIS = 26;
const DRAWN = WIDTH - LABEL - DURATION;
/** A bar of nothing would not be seen; the number beside it says the true length. */
const LEAST_BAR = 1.5;

/** Steps and gates from start to finish, drawn to scale: every bar's place and length is its time. */
export function renderTimeline(evidence: Evidence): Markup {
  const { total, bars } = timelineOf(evidence);
  if (bars.length === 0) return html`<p class="soft">The run ended before its first step.</p>`;
  const height = AXIS + bars.length * ROW + 4;
  const x = (seconds: number) => round(LABEL + (Math.min(Math.max(seconds, 0), total) / total) * DRAWN);
  const ticks = ticksOf(total).map((seconds) => html`<line class="grid" x1="${x(seconds)}" x2="${x(seconds)}" y1="${AXIS - 6}" y2="${height}"/><text class="axis" x="${x(seconds)}" y="13" text-anchor="middle">${seconds === 0 ? '0' : formatTick(seconds)}</text>`);
  const rows = bars.map((bar, index) => {
    const top = AXIS + index * ROW;
    const [left, right] = [x(bar.from), x(bar.to)];
    return html`<g><title>${bar.title}</title><text x="${LABEL - 8}" y="${top + 14}" text-anchor="end">${shorten(bar.label)}</text><rect class="${bar.kind}" x="${left}" y="${top + 4}" width="${round(Math.max(right - left, LEAST_BAR))}" height="${ROW - 8}" rx="2"/><text x="${WIDTH}" y="${top + 14}" text-anchor="end">${formatSeconds(bar.to - bar.from)}</text></g>`;
  });
  return html`<div class="timeline" tabindex="0">
<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="Timeline of the run, to scale">${ticks}${rows}</svg></div>
<p class="soft">To scale, ${formatSeconds(total)} from start to finish.<span class="legend">
<span class="key" style="background:var(--step)"></span>step</span> <span class="legend">
<span class="key" style="background:var(--gate)"></span>gate: waiting for people</span> <span class="legend">
<span class="key" style="background:var(--bad)"></span>failed</span>${legendOf(bars)} </p>`;
}

/** What is not there in most runs is not explained in all. */
function legendOf(bars: readonly Bar[]): Markup[] {
  const rare = [['waiting', '--unsure', 'waiting for an operator'], ['skipped', '--soft', 'skipped']] as const;
  // The style's own names; no value from outside.
  return rare.filter(([kind]) => bars.some((bar) => bar.kind === kind)).map(([, colour, words]) => html` <span class="legend">
<span class="key" style="background:var(${colour})"></span>${words}</span>`);
}

/** Steps and gates in the order in which they began, and the seconds from start to finish, which are more than none. */
export function timelineOf(evidence: Evidence): { total: number; bars: Bar[] } {
  const total = Math.max(secondsBetween(evidence.startedAt, evidence.finishedAt) || 0, 0.001);
  return { total, bars: barsOf(evidence, total) };
}

const SPECIAL = ['failed', 'cancelled', 'skipped', 'waiting'] as const;

function barsOf(evidence: Evidence, total: number): Bar[] {
  const at = (instant: string | null) => (instant === null ? total : secondsBetween(evidence.startedAt, instant));
  const steps = evidence.steps.map((step): Bar => ({
    label: step.name,
    kind: SPECIAL.find((kind) => kind === step.outcome) ?? 'step',
    from: at(step.startedAt), to: at(step.finishedAt),
    title: `${step.name}: ${step.outcome}, ${step.startedAt} to ${step.finishedAt ?? 'the end'}`,
  }));
  const gates = evidence.gates.map((gate): Bar => ({
    label: `gate ${gate.name}`, kind: 'gate', from: at(gate.openedAt), to: at(gate.closedAt),
    title: `gate ${gate.name}: ${readable(gate.outcome)}, ${gate.openedAt} to ${gate.closedAt ?? 'the end'}`,
  }));
  // Of one whose time was redacted nobody knows the place.
  return [...steps, ...gates].filter(({ from, to }) => !Number.isNaN(to - from)).sort((a, b) => a.from - b.from || a.to - b.to);
}

const STEPS_OF_AXIS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400];

/** Between three and eight round marks. */
function ticksOf(total: number): number[] {
  const step = STEPS_OF_AXIS.find((candidate) => total / candidate <= 8) ?? Math.ceil(total / 8 / 86_400) * 86_400;
  return Array.from({ length: Math.floor(total / step) + 1 }, (_, index) => index * step);
}

function formatTick(seconds: number): string {
  if (seconds < 60) return `${Number(seconds.toFixed(2))} s`;
  if (seconds < 3_600) return `${Number((seconds / 60).toFixed(1))} min`;
  return seconds < 86_400 ? `${Number((seconds / 3_600).toFixed(1))} h` : `${Number((seconds / 86_400).toFixed(1))} d`;
}

/** A name that fits the place it has. */
export function shorten(label: string): string {
  return shortened(label, 32);
}

function round(pixels: number): number {
  return Math.round(pixels * 100) / 100;
}
