import { condition, currentUpdateInfo, patched, workflowInfo } from '@temporalio/workflow';
import type { DecisionEvent, VerifiedSignature } from '../../activities/kernel/kernel-activities.ts';
import { ENOUGH_APPROVALS } from '../../contracts/deciding.ts';
import type { Assurance, Decision } from '../../contracts/gate.ts';
import { LIMITS_IN_WORDS, type Decide, type DecisionSignal } from '../../contracts/messages.ts';
import { samePerson } from '../../contracts/people.ts';
import { readsAnew, showAnotherPlan, takeOverSettings } from './drift.ts';
import { gateOutcome, onBehalfOf, otherPlan, refusal, type GateView, type Proposal } from './gate-policy.ts';
import { planShownSinceMs } from './gate-record.ts';
import { viewOf } from './gate-view.ts';
import { keepNewest } from './keep-newest.ts';
import { read } from './kernel-activities.ts';
import { showDetails } from './presentation.ts';
import { refused } from './refused.ts';
import type { OpenGate, PendingDecision, RunState } from './run-state.ts';
import { mayBeOutdated, readSettingsForSomebody } from './settings.ts';
import { checkSignature, checkSignatures } from './signatures.ts';
import { instantOf } from './wait.ts';

/** Nobody reads a plan in two seconds: what says of no plan that it is for that one is by then for what was shown before. */
const SETTLE_MS = 2_000;

/** `assurance`: what it surely has, where that is more than a name or a signature gives. */
type Sender = Pick<PendingDecision, 'decision' | 'by' | 'planHash' | 'signature'> & { assurance?: Assurance };
type Sent = Pick<Proposal, 'channel' | 'identity' | 'atMs'>;

/** Takes an `approve` or `reject` signal. It may come with no argument at all, from the web UI's empty form. */
export function receiveSignal(state: RunState, signal: 'approve' | 'reject', payload: DecisionSignal | 'malformed'): void {
  const ordinal = ++state.signalsSeen[signal];
  const refuse = (reason: string) => {
    state.noteRefusal(`${signal} at ${instantOf(Date.now())}: ${reason}`);
    showDetails(state);
  };
  if (payload === 'malformed') return refuse(`its argument is not { gate?, by?, comment?, planHash?, signature? } with ${LIMITS_IN_WORDS}; send it again like that, or with none`);
  if (!state.openGate) return refuse('no gate was open when it arrived; it changes nothing');
  if (payload?.gate !== undefined && payload.gate !== state.openGate.name) {
    return refuse(`it is for gate "${payload.gate}" and the open gate is "${state.openGate.name}"`);
  }
  state.openGate.inbox.push({
    decision: signal, event: { signal, ordinal }, by: payload?.by ?? null, comment: payload?.comment ?? null,
    planHash: payload?.planHash, signature: payload?.signature, receivedAtMs: Date.now(), named: payload?.gate !== undefined,
    planHashFilledIn: payload?.planHashFilledIn,
  });
}

/** Validator of the `decide` update: throws a sentence that says what to do, before anything enters history. */
export function validateDecide(state: RunState, input: Decide): void {
  const gate = state.openGate;
  if (!gate) throw refused('no gate is open; see `runbook status`');
  if (input.gate !== gate.name) throw refused(`gate "${input.gate}" is not open; the open gate is "${gate.name}"`);
  const atMs = Date.now();
  const early = untimely(gate, { ...input, named: true }, { atMs });
  if (early !== null) throw refused(early);
  const [sender, sent] = [{ ...input, by: input.by ?? null }, { channel: 'update' as const, identity: null, atMs }];
  const view = viewOf(state, gate);
  const reason = refusalAtBest(view, sender, sent);
  // Whom the configuration names by now is looked at before it is judged.
  if (reason !== null && !(mayBeOutdated(state, atMs) && isUnnamedOnly(view, sender, sent))) throw refused(reason);
}

/**
 * Why a decision would not count with the best proof that it can turn out to have; null where that has to be looked at.
 * The server vouches for no update's sender. Who signed decides, so that one who gives no name is not known yet.
 */
function refusalAtBest(view: GateView, { decision, by, planHash, signature, assurance = signature === undefined ? 'claimed' : 'signature' }: Sender, sent: Sent): string | null {
  if (by === null && signature !== undefined) return otherPlan(view, planHash);
  return refusal(view, { decision, by, planHash, assurance, ...sent });
}

/** Whether a decision has nothing against it but that the configuration, as it was read, lets others decide; or that may turn out to be so, of one whose signature says whose it is. */
function isUnnamedOnly(view: GateView, sender: Sender, sent: Sent): boolean {
  if (sender.by === null && sender.signature !== undefined) return otherPlan(view, sender.planHash) === null;
  return refusalAtBest(view, sender, sent) !== null && refusalAtBest({ ...view, policy: { ...view.policy, approvers: [] } }, sender, sent) === null;
}

/** Handler of the `decide` update; its validator has passed. Answers once it is known whether the decision counts. */
export async function receiveDecide(state: RunState, input: Decide): Promise<{ gate: string; outcome: string; by: string | null }> {
  const gate = state.openGate;
  if (!gate) throw refused('the gate closed meanwhile');
  const pending: PendingDecision = {
    decision: input.decision, event: { updateId: currentUpdateInfo()?.id ?? '' }, by: input.by ?? null, comment: input.comment ?? null,
    planHash: input.planHash, signature: input.signature, receivedAtMs: Date.now(), named: true,
    planHashFilledIn: input.planHashFilledIn,
  };
  gate.inbox.push(pending);
  await condition(() => pending.answer !== undefined);
  if (pending.answer?.refused !== null) throw refused(pending.answer?.refused ?? 'the gate closed meanwhile');
  return { gate: gate.name, outcome: answerFor(gate), by: pending.answer.by };
}

/** What a gate has come to with the last decision: that enough approved is not yet that it passes. */
function answerFor({ policy, record, recheck }: OpenGate): string {
  const outcome = gateOutcome(policy, record.decisions);
  return outcome === 'approved' && (readsAnew() || recheck) ? ENOUGH_APPROVALS : outcome;
}

/** Answers whoever still waits at a gate that has closed, and notes what they sent: nobody looks any more at who that was. */
export function answerInbox(state: RunState, gate: OpenGate): void {
  const reason = `gate "${gate.name}" closed meanwhile`;
  for (const pending of gate.inbox.splice(0)) {
    pending.answer = { refused: reason, by: pending.by };
    state.noteRefusal(`${pending.decision} at ${instantOf(pending.receivedAtMs)}: ${reason}; it was sent by ${pending.by ?? 'an unnamed person'}`);
  }
}

/** Why a decision came before its plan could be read, or after the gate had expired. */
function untimely(gate: OpenGate, decision: Parameters<typeof tooSoon>[1], event: Parameters<typeof tooSoon>[2]): string | null {
  return tooSoon(gate, decision, event) ?? tooLate(gate, event.atMs);
}

/** By when it was sent, not by when somebody could look at it: no worker may have been up for hours. */
export function tooLate(gate: OpenGate, atMs: number): string | null {
  return atMs <= gate.expiresAtMs ? null : `it arrived after gate "${gate.name}" had expired at ${instantOf(gate.expiresAtMs)}; start another run`;
}

/**
 * A signal that names no gate, right after one opened, is a double click on the gate before it. Once the plan has become
 * another one, or the gate has opened once more, a decision that carries no hash is for the former plan, also where it names
 * the gate: who sends that saw this gate, and not this plan. So is one from before anybody could see the gate. A signature is
 * over a plan.
 */
function tooSoon({ name, openedAtMs, planShownAtMs }: OpenGate, { named, planHash, signature }: Pick<PendingDecision, 'named' | 'planHash' | 'signature'>, { atMs, beforeGateWasVisible = false }: { atMs: number; beforeGateWasVisible?: boolean }): string | null {
  const isEarly = (sinceMs: number) => beforeGateWasVisible || atMs - sinceMs < SETTLE_MS;
  if (planShownAtMs !== undefined) {
    if (planHash !== undefined || signature !== undefined || !isEarly(planShownAtMs)) return null;
    return `it names no plan and was sent before anybody could read the present one of gate "${name}", which is shown since ${instantOf(planShownAtMs)}; look at it and send it again`;
  }
  if (named) {
    if (!beforeGateWasVisible || planHash !== undefined || signature !== undefined || !patched('nobody decides on a gate that nobody could see')) return null;
    return `it names no plan and was sent before anybody could see gate "${name}", which is open since ${instantOf(openedAtMs)}; look at it and send it again`;
  }
  if (!isEarly(openedAtMs)) return null;
  return `it names no gate and arrived ${((atMs - openedAtMs) / 1000).toFixed(1)} s after gate "${name}" opened, too soon to have read its plan; send it again`;
}

/** So many are identified at once: what comes of a call has to fit into one event. */
const MOST_AT_ONCE = 500;

/**
 * Judges the first who wait at a gate, in the order in which they came, each as the gate is by then: who comes first may
 * leave no place for the next. Who sent a decision and when is read from its event; a name in a payload is only claimed.
 *
 * @returns how many
 */
export async function judgeFirst(state: RunState, gate: OpenGate): Promise<number> {
  const { workflowId, runId } = workflowInfo();
  const [first] = gate.inbox;
  if (!first) return 0;
  const taken = gate.inbox.length > 1 && waitsTogether() ? gate.inbox.slice(0, MOST_AT_ONCE) : [first];
  for (const pending of taken) pending.planHash = wholeHash(pending.planHash, gate.record.planHash);
  const events = taken.length > 1
    ? await read.identifyDecisions({ workflowId, runId, decisions: taken.map(({ event }) => event), gateOpenedAtMs: planShownSinceMs(gate) })
    : [await identifyOne(gate, first)];
  const sent = events.map((event, index) => ({ pending: taken[index] ?? first, event }));
  if (mayBeOutdated(state, Date.now()) && sent.some(({ pending, event }) => wouldBeHeard(state, gate, pending, event)) && readsAnew()) {
    await takeOverSettings(state, gate, readSettingsForSomebody);
    showAnotherPlan(state, gate);
  }
  const verified = sent.length > 1 ? await checkTogether(state, gate, sent) : undefined;
  const isAtOnce = sent.length > 1 && patched('judges at once who waits together at a gate');
  for (const { pending, event } of sent) {
    const judging = judge(state, gate, pending, event, verified?.get(pending));
    // Thousands may wait, a worker that has lost the run judges all of them once more within one task, and what is awaited is what takes longest.
    if (judging || !isAtOnce) await judging;
    gate.inbox.shift();
  }
  showDetails(state);
  return events.length;
}

/** Whether a decision would be refused for nothing but that the configuration, as it was read, lets others decide. */
function wouldBeHeard(state: RunState, gate: OpenGate, pending: PendingDecision, event: DecisionEvent): boolean {
  if (untimely(gate, pending, event) !== null) return false;
  const sender = event.principal === null || pending.signature !== undefined ? pending : { ...pending, by: event.principal, assurance: 'principal' as const };
  return isUnnamedOnly(viewOf(state, gate), sender, { ...sentAs(pending, event), atMs: event.atMs });
}

/** Runs of older code took twelve digits of a plan's hash for its name. */
function wholeHash(given: string | undefined, present: string): string | undefined {
  const isShort = given !== undefined && /^[0-9a-f]{12,31}$/i.test(given) && present.startsWith(given.toLowerCase());
  return isShort && !patched('twelve digits name no plan') ? present : given;
}

/** Whether those who wait are looked at together, and what a gate does by itself waits for no more than that. */
export function waitsTogether(): boolean {
  return patched('identifies together who waits at a gate');
}

async function identifyOne(gate: OpenGate, { event }: PendingDecision): Promise<DecisionEvent> {
  const { workflowId, runId } = workflowInfo();
  return 'signal' in event
    ? await read.identifyDecision({ workflowId, runId, ...event, gateOpenedAtMs: planShownSinceMs(gate) })
    : { beforeGateWasVisible: false, ...await read.identifyUpdate({ workflowId, runId, ...event }) };
}

/** `known`: what is known of its signature already. A promise where that has yet to be looked at. */
function judge(state: RunState, gate: OpenGate, pending: PendingDecision, event: DecisionEvent, known?: VerifiedSignature): Promise<void> | undefined {
  // An update is accepted with the end of its task, and a signal that came during that stands behind it.
  if ('signal' in pending.event || !patched('an update judges no signal too late')) gate.judgedUpToMs = event.atMs;
  const sent = sentAs(pending, event);
  const view = viewOf(state, gate);
  const wrongTime = untimely(gate, pending, event);
  // What would not count with the best of signatures is refused without a look at it.
  const hopeless = pending.signature === undefined ? null : wrongTime ?? refusalAtBest(view, pending, { ...sent, atMs: event.atMs });
  const conclude = (signed?: VerifiedSignature): undefined => {
    const signer = signed?.refused === null ? signed.principals.find((principal) => samePerson(principal, pending.by, state.people)) ?? signed.principals[0] ?? null : null;
    const assurance: Assurance = signer !== null ? 'signature' : event.principal !== null ? 'principal' : pending.by !== null ? 'claimed' : 'none';
    const proposal = { decision: pending.decision, by: signer ?? event.principal ?? pending.by, assurance, ...sent };
    const key = signed?.refused === null ? signed.key : null;
    const judged = { ...proposal, atMs: event.atMs, planHash: pending.planHash, key };
    const reason = hopeless ?? signed?.refused ?? wrongTime ?? refusal(view, judged);
    addDecision(state, gate, { at: instantOf(event.atMs), ...proposal, onBehalfOf: reason === null ? onBehalfOf(view, judged) : null, comment: pending.comment, planSeen: planSeen(pending), key }, reason);
    pending.answer = { refused: reason, by: proposal.by };
  };
  if (pending.signature === undefined || hopeless !== null) return conclude();
  return known ? conclude(known) : checkSignature(state, gate, pending).then(conclude);
}

/** Whether whoever decided named the plan, or a client did so for them: that they looked at it is only then their word. */
function planSeen({ planHash, planHashFilledIn }: PendingDecision): Decision['planSeen'] {
  if (planHash === undefined) return 'none';
  return planHashFilledIn === true ? 'filledIn' : 'given';
}

function sentAs({ event }: PendingDecision, { identity }: DecisionEvent): Pick<Proposal, 'channel' | 'identity'> {
  return { channel: 'signal' in event ? 'signal' : 'update', identity };
}

/**
 * Checks the signatures of all of these whose decision could count by now, and so of all that can when it is their turn:
 * who has decided in between only leaves fewer places.
 */
function checkTogether(state: RunState, gate: OpenGate, sent: readonly { pending: PendingDecision; event: DecisionEvent }[]): Promise<Map<PendingDecision, VerifiedSignature>> {
  const view = viewOf(state, gate);
  const couldCount = ({ pending, event }: (typeof sent)[number]) => (untimely(gate, pending, event) ?? refusalAtBest(view, pending, { ...sentAs(pending, event), atMs: event.atMs })) === null;
  return checkSignatures(state, gate, sent.filter(({ pending }) => pending.signature !== undefined).filter(couldCount).map(({ pending }) => pending));
}

function addDecision(state: RunState, gate: OpenGate, decision: Omit<Decision, 'counted' | 'reason'>, reason: string | null): void {
  const { record } = gate;
  const judged = { ...decision, counted: reason === null, reason };
  if (reason === null) record.decisions.push(judged);
  else if (keepNewest(record.decisions, judged, ({ counted }) => !counted)) record.decisionsLeftOut += 1;
  if (reason !== null) state.noteRefusal(`${decision.decision} at ${decision.at}: ${reason}`);
}
