import type { Evidence, Recovery } from '../../contracts/evidence.ts';
import { PROBE_CHECK } from '../../contracts/asked-checks.ts';
import { rtaWords } from '../../contracts/objectives.ts';
import { formatSeconds } from '../../contracts/quantities.ts';
import { html, numeral, readable, type Markup } from './report-format.ts';

/** RTA and RPA against what was asked for, how they were measured, and the phases that the RTA is made of. */
export function renderRecovery(evidence: Evidence, recovery: Recovery): Markup {
  const judged = judgedRta(evidence.plan, recovery);
  const sum = recovery.phases.reduce((seconds, phase) => seconds + phase.seconds, 0);
  return html`<h2>Recovery time and recovery point</h2>
<div class="cards">
<div class="card">RTA, recovery time actual${judged.words}<b>${formatSeconds(judged.seconds)}</b>
${objective('RTO', recovery.rtoSeconds, evidence.verdict.rto)}
<p class="soft">in all ${formatSeconds(recovery.rtaSeconds)}; without waiting for people ${formatSeconds(recovery.rtaWithoutWaitSeconds)}; without waiting or comparison ${formatSeconds(recovery.rtaWithoutComparisonSeconds)}</p></div>
<div class="card">RPA, recovery point actual<b>${recovery.rpaSeconds === null ? 'not known' : formatSeconds(recovery.rpaSeconds)}</b>
${objective('RPO', recovery.rpoSeconds, evidence.verdict.rpo)}
<p class="soft">${recovery.lostTransactions === null ? 'number of lost transactions not known' : `${numeral(recovery.lostTransactions)} transactions lost`}</p></div>
</div>
<dl><dt>RTA is</dt><dd>${rtaMethod(evidence)}</dd>
<dt>RPA is</dt><dd>${recovery.rpaMethod}</dd>
<dt>recovery point</dt><dd>${recovery.recoveryPoint.id}, taken ${recovery.recoveryPoint.takenAt} (${recovery.recoveryPoint.provider})</dd>
<dt>clock skew</dt><dd>${recovery.clockSkewSeconds === null ? 'of the source not known: it did not answer' : `source ${numeral(recovery.clockSkewSeconds, 3)} s against the host of the drill`}${recovery.hostClockSkew && `; that host ${numeral(recovery.hostClockSkew.seconds, 3)} s against Temporal, to within ${numeral(recovery.hostClockSkew.withinSeconds, 3)} s`}</dd></dl>
<h2>Phases</h2>
<table><tr><th>phase</th><th class="number">time</th><th class="number">share</th></tr>
${recovery.phases.map((phase) => html`<tr><td>${readable(phase.name)}</td><td class="number">${formatSeconds(phase.seconds)}</td><td class="number">${share(phase.seconds, sum)}</td></tr>`)}
<tr><th>sum</th><th class="number">${formatSeconds(sum)}</th><th></th></tr></table>`;
}

function objective(name: string, seconds: number | null, verdict: 'met' | 'missed' | 'notSet' | null): Markup {
  if (seconds === null) return html`<p class="soft">no ${name} is set</p>`;
  return html`<p><span class="word ${verdict === 'met' ? 'ok' : verdict === 'missed' ? 'bad' : 'unsure'}">${verdict === null ? 'not judged' : readable(verdict)}</span> against an ${name} of ${formatSeconds(seconds)}</p>`;
}

/** How an RTA was measured, in words: it is no probe's merit where none was configured, or where it did not pass. */
export function rtaMethod({ plan, checks }: Pick<Evidence, 'plan' | 'checks'>): string {
  const probed = checks.find(({ name }) => name === PROBE_CHECK);
  const isConfigured = (plan as { probe?: unknown } | null)?.probe !== null && probed !== undefined;
  const ends = { passed: 'the application probe passing', failed: 'the end of the application probe, which failed', skipped: 'the end of the application probe, which had no answer' };
  const end = isConfigured ? ends[probed.outcome] : 'the end of the checks, since no application probe is configured';
  return `from the declared disaster to ${end}, by the times of durable events`;
}

/**
 * The RTA that is held against the RTO, and which one it is. The plan is an open field of the evidence: it is only
 * looked at where it has the form that a restore test gives it.
 */
export function judgedRta(plan: unknown, recovery: Recovery): { seconds: number; words: string } {
  const rtaIs = (plan as { objectives?: { rtaIs?: unknown } } | null)?.objectives?.rtaIs;
  const words = rtaWords(rtaIs);
  if (words === null) return { seconds: recovery.rtaSeconds, words: '' };
  return { seconds: rtaIs === 'withoutWait' ? recovery.rtaWithoutWaitSeconds : recovery.rtaWithoutComparisonSeconds, words: `, ${words}` };
}

function share(part: number, sum: number): string {
  return sum > 0 ? `${((part / sum) * 100).toFixed(1)} %` : '';
}
