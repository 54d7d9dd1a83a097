import type { Evidence } from '../../contracts/evidence.ts';
import { formatSeconds } from '../../contracts/quantities.ts';
import { costsWords } from './costs.ts';
import type { EarlierRun } from './earlier-runs.ts';
import { notVerifiedReasons } from './not-verified.ts';
import { renderEarlier } from './report-earlier.ts';
import { html, numeral, secondsBetween, word, type Markup } from './report-format.ts';
import { renderGates, renderOperations } from './report-people.ts';
import { renderPlan } from './report-plan.ts';

/** Everything below the timeline: what was checked, decided, undone, destroyed, and planned, and how it was before. */
export function renderFindings(evidence: Evidence, earlier: readonly EarlierRun[]): Markup {
  return html`${renderChecks(evidence)}${renderNotVerified(evidence)}${renderSteps(evidence)}${renderGates(evidence)}${renderOperations(evidence)}${renderRefused(evidence)}${renderCompensations(evidence)}${renderTeardown(evidence)}${renderCosts(evidence)}
<h2>Plan</h2>${evidence.plan === null || evidence.plan === undefined ? html`<p class="soft">The run ended before it had a plan.</p>` : renderPlan(evidence.plan)}
${renderEarlier(evidence, earlier)}`;
}

function renderCosts({ costs }: Evidence): Markup | null {
  return costs && html`<h2>Costs</h2><p><b>${costsWords(costs)}</b></p><p class="soft">${costs.method}</p>`;
}

function renderChecks({ checks }: Evidence): Markup {
  if (checks.length === 0) return html`<h2>Checks</h2><p class="soft">No check was made.</p>`;
  const failedFirst = checks.toSorted((a, b) => Number(b.outcome === 'failed') - Number(a.outcome === 'failed'));
  return html`<h2>Checks</h2><table class="stack"><tr><th>check</th><th>outcome</th><th>detail</th></tr>
${failedFirst.map((check) => html`<tr><td>${check.name}</td><td>${word(check.outcome)}</td><td class="long">${check.detail}</td></tr>`)}</table>`;
}

function renderNotVerified(evidence: Evidence): Markup {
  const reasons = notVerifiedReasons(evidence);
  return html`<h2>Not verified, and why</h2>${reasons.length === 0
    ? html`<p>Nothing is known that should have been verified and was not.</p>`
    : html`<ul>${reasons.map((reason) => html`<li>${reason}</li>`)}</ul>`}`;
}

function renderSteps({ steps }: Evidence): Markup {
  return html`<h2>Steps</h2><table class="stack"><tr><th>step</th><th>outcome</th><th class="number">time</th><th class="number">attempts</th><th>summary</th></tr>
${steps.map((step) => html`<tr><td>${step.name}</td><td>${word(step.outcome)}</td><td class="number">${step.finishedAt === null ? '' : formatSeconds(secondsBetween(step.startedAt, step.finishedAt))}</td><td class="number" data-label="attempts">${numeral(step.attempts)}</td><td class="long">${step.summary}</td></tr>`)}</table>`;
}

function renderRefused({ refused, refusedLeftOut }: Evidence): Markup | false {
  if (refused.length === 0) return false;
  return html`<h2>Refused</h2><ul>${refused.map((reason) => html`<li>${reason}</li>`)}</ul>${refusedLeftOut > 0 && html`<p class="soft">${refusedLeftOut} more were refused.</p>`}`;
}

function renderCompensations({ compensations }: Evidence): Markup {
  if (compensations.length === 0) return html`<h2>Compensations</h2><p class="soft">Nothing had to be undone.</p>`;
  return html`<h2>Compensations</h2><table class="stack"><tr><th>what was undone</th><th>of step</th><th>outcome</th><th class="number">time</th><th>detail</th></tr>
${compensations.map((entry) => html`<tr><td>${entry.title}</td><td data-label="of step">${entry.step}</td><td>${word(entry.outcome)}</td><td class="number">${formatSeconds(secondsBetween(entry.startedAt, entry.finishedAt))}</td><td class="long">${entry.detail}</td></tr>`)}</table>`;
}

function renderTeardown({ teardown }: Evidence): Markup {
  const wasNothing = teardown.outcome === 'notNeeded' && teardown.provenAbsent;
  return html`<h2>Teardown</h2><p>${word(teardown.outcome)} · ${wasNothing ? 'nothing was created' : teardown.provenAbsent ? html`<span class="word ok">absence proven</span>` : html`<span class="word bad">absence not proven</span>`}${teardown.leaseExpiresAt !== null && html` · the lease ends ${teardown.leaseExpiresAt}`}</p>
${teardown.failure !== null && html`<p>${teardown.failure}</p>`}
${teardown.destroyed.length > 0 && html`<p>Destroyed:</p><ul>${teardown.destroyed.map((thing) => html`<li>${thing}</li>`)}</ul>`}
${teardown.proofs.map((proof) => html`<p>Looked at ${proof.at}, ${proof.found.length === 0 ? html`found <span class="word ok">nothing</span>` : html`found <span class="word bad">${proof.found.join(', ')}</span>`}:</p><ul>${proof.looked.map((place) => html`<li>${place}</li>`)}</ul>`)}`;
}
