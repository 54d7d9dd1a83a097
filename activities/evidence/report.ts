import { isAskedFor } from '../../contracts/asked-checks.ts';
import type { Evidence } from '../../contracts/evidence.ts';
import { formatSeconds } from '../../contracts/quantities.ts';
import { leftBehind } from '../../contracts/record.ts';
import type { EarlierRun } from './earlier-runs.ts';
import { verdictParts } from './report-earlier.ts';
import { renderFindings } from './report-findings.ts';
import { html, Markup, readable, secondsBetween } from './report-format.ts';
import { renderRecovery } from './report-recovery.ts';
import { REPORT_STYLE } from './report-style.ts';
import { renderTimeline } from './report-timeline.ts';
import type { Standing } from './standing.ts';

/**
 * The evidence of a run as one HTML file for people: no script and no external resource, so it can be mailed, printed
 * and kept. Whatever comes from outside is escaped. `earlier`: the runs before it, which are no part of the evidence.
 */
export function renderReport(evidence: Evidence, earlier: readonly EarlierRun[] = [], standing?: Standing): string {
  const title = standing?.holds === false ? standing.sentence : `${evidence.runbook}${evidence.target === null ? '' : ` on ${evidence.target}`}: ${readable(evidence.outcome)}`;
  // The style sheet is ours and holds no value from outside.
  const style = new Markup(`<style>${REPORT_STYLE}</style>`);
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${title}</title>${style}</head><body>
${renderStanding(standing)}
${standing?.holds === false ? null : renderBanner(evidence)}
${renderRun(evidence)}
${evidence.recovery && renderRecovery(evidence, evidence.recovery)}
<h2>Timeline</h2>${renderTimeline(evidence)}
${renderFindings(evidence, earlier)}
</body></html>
`.text;
}

/** Of the file that this was made of. A worker's own report is made of what it has just written, and says nothing of it. */
function renderStanding(standing: Standing | undefined): Markup | null {
  if (!standing) return null;
  const { holds, sentence, flaws, redacted } = standing;
  return html`${holds ? html`<p class="soft">The file that this was made of is ${sentence}.</p>` : html`<div class="banner bad"><h1>${sentence}</h1><ul>${flaws.map((flaw) => html`<li>${flaw}</li>`)}</ul></div>`}${redacted.length > 0 && html`<p>Redacted, so not known: ${redacted.map((pointer, index) => html`${index > 0 && ', '}<code>${pointer}</code>`)}</p>`}`;
}

function renderBanner(evidence: Evidence): Markup {
  const words = verdictParts(evidence.verdict).map(([name, value]) => html`${name} <b>${readable(value)}</b>`);
  return html`<div class="banner ${toneOf(evidence)}"><h1>${headline(evidence)}</h1>
<p>${evidence.runbook}${evidence.target !== null && html` on <b>${evidence.target}</b>`}${words.map((word) => html` · ${word}`)}</p>
${evidence.failure && html`<p><code>${evidence.failure.type}</code> ${evidence.failure.message}</p>`}${evidence.failure?.type !== 'TEARDOWN_FAILED' && leftBehind(evidence) !== null && html`<p><b>Teardown failed:</b> ${leftBehind(evidence)}</p>`}</div>`;
}

/** Green only when nothing is left to say: a missed objective or an unproven restore must not look like success. */
function toneOf(evidence: Evidence): 'ok' | 'bad' | 'unsure' {
  const { outcome, verdict } = evidence;
  if (outcome === 'failed' || verdict.restore === 'unsound' || leftBehind(evidence) !== null) return 'bad';
  const missed = verdict.rto === 'missed' || verdict.rpo === 'missed';
  return outcome !== 'succeeded' || verdict.restore === 'notProven' || missed ? 'unsure' : 'ok';
}

/** What the run came to, in one sentence that does not flatter. */
export function headline({ outcome, verdict, plan, checks, teardown, compensations }: Evidence): string {
  const isLeft = leftBehind({ teardown, compensations }) !== null;
  const failed = checks.filter((check) => check.outcome === 'failed');
  const isOnlyAskedFor = failed.length > 0 && failed.every((check) => isAskedFor(plan, check));
  if (verdict.restore === 'unsound') return `${isOnlyAskedFor ? 'Restored, and a check that you asked for failed' : 'This backup cannot be trusted'}${isLeft ? ', and the teardown failed' : ''}`;
  // What is left may be a copy of production: that outweighs whatever was found out.
  if (isLeft) return 'The teardown failed: what the run created may still be there';
  if (outcome !== 'succeeded') return `The run ${outcome === 'failed' ? 'failed' : outcome === 'timedOut' ? 'timed out' : `was ${outcome}`}`;
  if (verdict.restore === 'notProven') return 'Restored, but not everything was compared';
  const missed = verdict.rto === 'missed' || verdict.rpo === 'missed' ? ', but an objective was missed' : '';
  return `${verdict.restore === 'sound' ? 'This backup restores' : 'The run succeeded'}${missed}`;
}

/** Who started a run, and how well that is known. */
export function startedBy({ startedBy: starter }: Evidence): string {
  if (starter === null) return 'not known';
  return `${starter.identity || 'a client that gave no name'}${starter.principal === null ? '' : `, verified as ${starter.principal}`}`;
}

function renderRun(evidence: Evidence): Markup {
  const fields: [string, string][] = [
    ['workflow', evidence.workflowId], ['run', evidence.runId], ['requested by', evidence.requester ?? 'not named'], ['started by', startedBy(evidence)], ['reason', evidence.reason ?? 'not given'],
    ['started', evidence.startedAt], ['finished', `${evidence.finishedAt} (${formatSeconds(secondsBetween(evidence.startedAt, evidence.finishedAt))})`],
    ['code', evidence.chain.codeVersion], ['plan hash', evidence.chain.planHash ?? 'none: the run ended before it had a plan'],
    ['written by', evidence.chain.writtenBy === 'run' ? 'the run itself' : 'its guardian: the run ended without writing its evidence'],
    ['chain', evidence.chain.seal ? `${evidence.chain.seal.head}${evidence.chain.seal.signature ? `, with a signature by the key ${evidence.chain.seal.signature.key.slice(0, 16)}` : ', not signed'}` : 'none: written by an older version'],
  ];
  return html`<dl>${fields.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
}
