import { formatBytes, formatSeconds } from '../../contracts/quantities.ts';
import { html, type Markup } from './report-format.ts';

/** A hostile or mistaken plan must not overflow the stack of the worker that writes evidence. */
const DEEPEST = 8;

/** A plan, whatever its form: members as a list, lists as lists, the rest as text. */
export function renderPlan(plan: unknown, depth = 0): Markup {
  if (plan === null || plan === undefined) return html`<span class="soft">none</span>`;
  if (typeof plan !== 'object') return html`${String(plan as string | number | boolean)}`;
  if (depth >= DEEPEST) return html`<code>${JSON.stringify(plan)}</code>`;
  if (Array.isArray(plan)) {
    if (plan.length === 0) return html`<span class="soft">none</span>`;
    return html`<ul>${plan.map((item: unknown) => html`<li>${renderPlan(item, depth + 1)}</li>`)}</ul>`;
  }
  return html`<dl>${Object.entries(plan).map(([name, value]) => html`<dt>${name}</dt><dd>${typeof value === 'number' ? withUnit(name, value) : renderPlan(value, depth + 1)}</dd>`)}</dl>`;
}

/** Durations and sizes as people read them. Names say the unit, but for objectives, which are milliseconds everywhere. */
function withUnit(name: string, value: number): string {
  if (name === 'rto' || name === 'rpo' || name.endsWith('Ms')) return formatSeconds(value / 1000);
  if (/seconds$/i.test(name)) return formatSeconds(value);
  return /bytes$/i.test(name) ? formatBytes(value) : String(value);
}
