import type { Evidence, Verdict } from '../../contracts/evidence.ts';
import { formatSeconds } from '../../contracts/quantities.ts';
import type { EarlierRun } from './earlier-runs.ts';
import { html, word, type Markup } from './report-format.ts';

/** What of a verdict applies, with its name. */
export function verdictParts({ restore, rto, rpo }: Verdict): [string, string][] {
  return ([['restore', restore], ['RTO', rto], ['RPO', rpo]] as const).flatMap(([name, value]): [string, string][] => (value === null ? [] : [[name, value]]));
}

/** An earlier run's recovery time, with which one it is, as text; a dash where nothing was recovered. */
export function earlierRta({ rta }: EarlierRun): string {
  return rta ? `${formatSeconds(rta.seconds)}${rta.words}` : '–';
}

/** An earlier run's recovery point, as text; a dash where it is not known. */
export function earlierRpa({ rpaSeconds }: EarlierRun): string {
  return rpaSeconds === null ? '–' : formatSeconds(rpaSeconds);
}

/** What earlier runs are no part of. */
export const EARLIER_NOTE = 'As the evidence beside this one says; no part of this chain.';

/** How the runs before this one went. */
export function renderEarlier({ runbook, target }: Evidence, earlier: readonly EarlierRun[]): Markup {
  if (earlier.length === 0) return html`<h2>Earlier runs</h2><p class="soft">There is no evidence of an earlier ${runbook}${target !== null && html` on ${target}`} here.</p>`;
  return html`<h2>Earlier runs</h2><table class="stack"><tr><th>started</th><th>outcome</th><th>verdict</th><th class="number">RTA</th><th class="number">RPA</th><th>head</th></tr>
${earlier.map((run) => html`<tr><td>${run.startedAt}</td><td>${word(run.outcome)}</td><td>${verdictParts(run.verdict).map(([name, value], index) => html`${index > 0 && ', '}${name} ${word(value)}`)}</td><td class="number" data-label="RTA">${earlierRta(run)}</td><td class="number" data-label="RPA">${earlierRpa(run)}</td><td class="long"><code>${run.head ?? 'no chain'}</code></td></tr>`)}</table>
<p class="soft">${EARLIER_NOTE}</p>`;
}
