import type { Evidence } from '../../contracts/evidence.ts';
import { notVerifiedReasons } from './not-verified.ts';
import { formatSeconds, html, readable, secondsBetween, type Markup } from './report-format.ts';
import { renderPlan } from './report-plan.ts';

/** Everything below the timeline: what was checked, decided, undone, destroyed, and planned. */
export function renderFindings(evidence: Evidence): Markup {
  return html`${renderChecks(evidence)}${renderNotVerified(evidence)}${renderSteps(evidence)}${renderGates(evidence)}${renderOperations(evidence)}${renderRefused(evidence)}${renderCompensations(evidence)}${renderTeardown(evidence)}
<h2>Plan</h2>${evidence.plan === null || evidence.plan === undefined ? html`<p class="soft">The run ended before it had a plan.</p>` : renderPlan(evidence.plan)}`;
}

const TONES: Record<string, 'ok' | 'bad' | 'unsure'> = {
  passed: 'ok', done: 'ok', approved: 'ok', notNeeded: 'ok', failed: 'bad', rejected: 'bad',
};

function word(outcome: string): Markup {
  return html`<span class="word ${TONES[outcome] ?? 'unsure'}">${readable(outcome)}</span>`;
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
${steps.map((step) => html`<tr><td>${step.name}</td><td>${word(step.outcome)}</td><td class="number">${step.finishedAt === null ? '' : formatSeconds(secondsBetween(step.startedAt, step.finishedAt))}</td><td class="number" data-label="attempts">${step.attempts}</td><td class="long">${step.summary}</td></tr>`)}</table>`;
}

function renderGates({ gates }: Evidence): Markup {
  if (gates.length === 0) return html`<h2>Gates</h2><p class="soft">No gate was opened.</p>`;
  return html`<h2>Gates</h2>${gates.map((gate) => html`<p><b>${gate.name}</b> ${word(gate.outcome)} · open ${gate.openedAt} to ${gate.closedAt ?? 'the end'}${gate.closedAt !== null && html` (${formatSeconds(secondsBetween(gate.openedAt, gate.closedAt))})`} · plan <code>${gate.planHash.slice(0, 12)}</code></p>
${gate.decisions.length === 0 ? html`<p class="soft">Nobody decided.</p>` : html`<table class="stack"><tr><th>when</th><th>decision</th><th>by</th><th>assurance</th><th>sent as</th><th>counted</th><th>comment</th></tr>
${gate.decisions.map((decision) => html`<tr><td>${decision.at}</td><td>${decision.decision}</td><td>${decision.by ?? 'not named'}</td><td data-label="assurance">${decision.assurance}</td><td data-label="sent as">${decision.channel}${decision.identity && html` from ${decision.identity}`}</td><td data-label="counted"> ${decision.counted ? html`<span class="word ok">yes</span>` : html`<span class="word unsure">no</span> ${decision.reason}`}</td><td class="long">${decision.comment}</td></tr>`)}</table>`}${gate.decisionsLeftOut > 0 && html`<p class="soft">${gate.decisionsLeftOut} more were refused.</p>`}`)}`;
}

function renderOperations({ operations }: Evidence): Markup | false {
  if (operations.length === 0) return false;
  return html`<h2>Operators</h2><table class="stack"><tr><th>when</th><th>asked to</th><th>by</th><th>sent as</th><th>reason</th></tr>
${operations.map((entry) => html`<tr><td>${entry.at}</td><td>${entry.operation}</td><td>${entry.by ?? 'not named'}</td><td data-label="sent as">${entry.channel}</td><td class="long">${entry.reason}</td></tr>`)}</table>`;
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
