import { shortHash } from '../../contracts/deciding.ts';
import type { Evidence, GateRecord } from '../../contracts/evidence.ts';
import type { Decision } from '../../contracts/gate.ts';
import { formatSeconds } from '../../contracts/quantities.ts';
import { html, numeral, readable, secondsBetween, word, type Markup } from './report-format.ts';

/** Each gate: what it did by itself and operators to it, who decided, how well that is known, and what it was worth. */
export function renderGates({ gates }: Evidence): Markup {
  if (gates.length === 0) return html`<h2>Gates</h2><p class="soft">No gate was opened.</p>`;
  return html`<h2>Gates</h2>${gates.map((gate) => html`<p><b>${gate.name}</b> ${word(gate.outcome)} · open ${gate.openedAt} to ${gate.closedAt ?? 'the end'}${gate.closedAt !== null && html` (${formatSeconds(secondsBetween(gate.openedAt, gate.closedAt))})`} · plan <code>${shortHash(gate.planHash)}</code>${expiryWords(gate) && html` · ${expiryWords(gate)}`}${policyWords(gate) && html` · ${policyWords(gate)}`}</p>
${renderEvents(gate)}
${gate.decisions.length === 0 ? html`<p class="soft">Nobody decided.</p>` : html`<table class="stack"><tr><th>when</th><th>decision</th><th>by</th><th>assurance</th><th>sent as</th><th>counted</th><th>comment</th></tr>
${gate.decisions.map((decision) => html`<tr><td>${decision.at}</td><td>${decision.decision}</td><td>${deciderOf(decision)}</td><td data-label="assurance">${decision.assurance}${decision.key !== null && html` <code>${decision.key}</code>`}</td><td data-label="sent as">${decision.channel}${decision.identity && html` from ${decision.identity}`}${planWords(decision) && html`; ${planWords(decision)}`}</td><td data-label="counted"> ${decision.counted ? html`<span class="word ok">yes</span>` : html`<span class="word unsure">no</span> ${decision.reason}`}</td><td class="long">${decision.comment}</td></tr>`)}</table>`}${gate.decisionsLeftOut > 0 && html`<p class="soft">${gate.decisionsLeftOut} more were refused.</p>`}`)}`;
}

function renderEvents({ events, eventsLeftOut }: GateRecord): Markup | false {
  if (events.length === 0) return false;
  return html`<table class="stack"><tr><th>when</th><th>the gate was</th><th>detail</th></tr>
${events.map((entry) => html`<tr><td>${entry.at}</td><td>${EVENT_WORDS[entry.event]}</td><td class="long">${entry.detail}</td></tr>`)}</table>${eventsLeftOut > 0 && html`<p class="soft">${eventsLeftOut} more, reminders mostly, are not listed.</p>`}`;
}

/** What happened to a gate, in words. */
export const EVENT_WORDS: Record<GateRecord['events'][number]['event'], string> = { reminded: 'reminded of', escalated: 'escalated', extended: 'extended', planChanged: 'opened anew: the plan changed', policyChanged: 'judged anew: who may decide changed', formerLeftOut: 'opened again and again', requesterUnchecked: 'opened without a proven requester' };

/** What it means that a gate expired, where it did; null elsewhere. */
export function expiryWords({ outcome, onExpiry }: GateRecord): string | null {
  return outcome === 'expired' ? `an expired gate counts as ${onExpiry === 'approve' ? 'approved' : 'rejected'} here` : null;
}

/** What a gate asked for while people decided; null where older code wrote it. */
export function policyWords({ policy }: GateRecord): string | null {
  if (!policy) return null;
  const { quorum, rejections, approvers, escalation, assurance } = policy;
  const later = escalation.filter((further) => further.approvers.length > 0).map(({ at, approvers: further }) => `, from ${at} also ${further.join(', ')}`);
  return `asked for ${numeral(quorum)} of ${approvers.join(', ') || 'anyone'}${later.join('')}; ${numeral(rejections)} ${rejections === 1 ? 'rejection closes' : 'rejections close'} it; assurance ${assurance} or better${policy.requesterMayApprove ? '; the requester may approve' : ''}`;
}

/** Who decided, and in whose place. */
export function deciderOf({ by, onBehalfOf }: Decision): string {
  return `${by ?? 'an unnamed person'}${onBehalfOf === null ? '' : `, on behalf of ${onBehalfOf}`}`;
}

/** Whether whoever decided named the plan; null where older code did not ask. */
export function planWords({ planSeen }: Decision): string | null {
  if (planSeen === null) return null;
  return { given: 'named the plan', filledIn: 'the client named the plan', none: 'named no plan' }[planSeen] ?? planSeen;
}

/** Who asked for something, and how well that is known. */
export function operatorOf({ by, identity, principal }: Evidence['operations'][number]): string {
  const sender = principal === null ? identity : `verified as ${principal}`;
  return `${by ?? 'an unnamed person'}${sender ? ` (${principal === null ? 'from ' : ''}${sender})` : ''}`;
}

/** What operators asked for, of what, with what, and why. */
export function renderOperations({ operations, operationsLeftOut }: Evidence): Markup | false {
  if (operations.length === 0) return false;
  return html`<h2>Operators</h2><table class="stack"><tr><th>when</th><th>asked to</th><th>of</th><th>by</th><th>sent as</th><th>reason</th><th>with</th></tr>
${operations.map((entry) => html`<tr><td>${entry.at}</td><td>${readable(entry.operation)}</td><td data-label="of">${entry.of ?? 'the run'}</td><td>${operatorOf(entry)}</td><td data-label="sent as">${entry.channel}</td><td class="long">${entry.reason}</td><td class="long">${entry.detail}</td></tr>`)}</table>${operationsLeftOut > 0 && html`<p class="soft">${operationsLeftOut} more are not listed.</p>`}`;
}
