import { ApplicationFailure, patched } from '@temporalio/workflow';
import type { GatePolicy } from '../../contracts/gate.ts';
import type { GateRecord } from '../../contracts/evidence.ts';
import { answerInbox, judgeFirst, waitsTogether } from './decisions.ts';
import { gateOutcome, requesterUnchecked } from './gate-policy.ts';
import { hasDrifted, readsAnew } from './drift.ts';
import { noteEvent, policyOf } from './gate-record.ts';
import { inOrder, nextRung, type Rung } from './ladder.ts';
import { notify } from './notify.ts';
import { bindPlan } from './plan-hash.ts';
import { enterPhase, setAttributes, showDetails } from './presentation.ts';
import { endWait } from './recheck.ts';
import type { OpenGate, RunState } from './run-state.ts';
import { instantOf, waitUntil } from './wait.ts';

/** A gate that asks for nothing that a policy may leave out. */
export interface GateOptions {
  /** Looks once more, after people have decided, and lets the state hold the plan as it would be made now. */
  recheck?: (() => Promise<void>) | undefined;
  /** Who asks for what this gate decides, beside whoever asked for the run. */
  requester?: string;
}

/**
 * Waits until people have decided. Throws a failure of type `REJECTED` when they said no, or the gate expired where its
 * policy takes that for a no. A gate without a policy in the configuration is not there.
 */
export function passGate(state: RunState, name: string, policy: GatePolicy | undefined, options: GateOptions = {}): Promise<void> {
  return policy ? untilDecided(state, openGate(state, name, policy, options)) : Promise.resolve();
}

function openGate(state: RunState, name: string, policy: GatePolicy, { recheck, requester }: GateOptions): OpenGate {
  const openedAtMs = Date.now();
  // Also where a page has no plan of its own, people decide on an input and on code.
  if (state.record.planHash === null && readsAnew()) bindPlan(state, {});
  const record: GateRecord = { name, outcome: 'open', openedAt: instantOf(openedAtMs), closedAt: null, planHash: state.record.planHash ?? '', decisions: [], decisionsLeftOut: 0, events: [], eventsLeftOut: 0, onExpiry: policy.onExpiry ?? 'reject', policy: policyOf(policy, openedAtMs) };
  const gate: OpenGate = {
    name, policy, record, openedAtMs, waitsSinceMs: openedAtMs, expiresAtMs: openedAtMs + policy.expiresAfter, toldAtMs: openedAtMs, escalated: 0, inbox: [], changes: 0,
    ...(requester === undefined ? {} : { requester }),
    ...(opensAgain(state, name) ? { planShownAtMs: openedAtMs } : {}),
    shownParts: state.boundParts, recheck,
  };
  state.noteGate(record);
  state.openGate = gate;
  const unchecked = requesterUnchecked(policy, state.record, requester);
  if (unchecked !== null) noteEvent(gate, 'requesterUnchecked', unchecked);
  setAttributes(state, { RunbookAwaitingApproval: true });
  enterPhase(state, `gate: ${name}`);
  notify(state, { kind: 'gateOpened', gate, channels: policy.notify ?? [] });
  return gate;
}

/** Whether the run has had a gate of this name, about something else: to name the gate is then not to name what it is about. */
function opensAgain({ record }: RunState, name: string): boolean {
  return record.gates.some((gate) => gate.name === name) && patched('a gate that opens again shows another plan');
}

async function untilDecided(state: RunState, gate: OpenGate): Promise<void> {
  const { record } = gate;
  let outcome: 'open' | 'approved' | 'rejected' | 'expired' = 'open';
  try {
    while (outcome === 'open') {
      // The policy may be another one by now.
      const rung = nextRung(gate.policy, gate);
      const before = gate.changes;
      // Right here, and in no function of its own: each that awaits another is kept in memory for as long as people take.
      const somethingCame = await waitUntil(() => (gate.inbox.length > 0 && !comesFirst(gate, rung)) || gate.changes > before, rung.atMs - Date.now(), LABELS[rung.kind](gate));
      if (somethingCame) outcome = await judge(state, gate);
      else if (rung.kind === 'expire') outcome = await expire(state, gate);
      else climb(state, gate, rung);
    }
    record.outcome = outcome;
  } finally {
    endWait(state, Date.now());
    state.openGate = undefined;
    answerInbox(state, gate);
    record.closedAt = instantOf(Date.now());
    setAttributes(state, { RunbookAwaitingApproval: false });
  }
  showDetails(state);
  if (outcome === 'expired' && record.onExpiry === 'reject') throw ApplicationFailure.nonRetryable(`gate "${gate.name}" expired at ${instantOf(gate.expiresAtMs)} without enough approvals`, 'REJECTED');
  if (outcome === 'rejected') throw ApplicationFailure.nonRetryable(rejectedBy(gate), 'REJECTED');
}

function rejectedBy({ name, expiresAtMs, record: { decisions } }: OpenGate): string {
  const no = decisions.filter((decision) => decision.counted && decision.decision === 'reject');
  if (no.length === 0) return `gate "${name}" expired at ${instantOf(expiresAtMs)}, and its plan had become another one, on which nobody has looked; start another run`;
  const said = no.map(({ by, comment }) => `${by ?? 'an unnamed person'}${comment ? `: ${comment}` : ''}`);
  return `gate "${name}" was rejected by ${said.join('; ')}`;
}

/** Whether what the gate does by itself has been put off by those who wait. It expires when all are judged who came in time. */
function comesFirst({ isBehind, judgedUpToMs, expiresAtMs }: OpenGate, rung: Rung): boolean {
  if (isBehind !== true || Date.now() < rung.atMs) return false;
  return rung.kind !== 'expire' || (judgedUpToMs !== undefined && judgedUpToMs > expiresAtMs);
}

/** What the gate has come to with what has come in. */
async function judge(state: RunState, gate: OpenGate): Promise<'approved' | 'rejected' | 'open'> {
  await judgeInbox(state, gate, 1);
  const enough = gateOutcome(gate.policy, gate.record.decisions);
  if (enough !== 'approved') return enough;
  // Who said no before it passes has said it in time, whoever else has sent what.
  await judgeInbox(state, gate);
  const outcome = gateOutcome(gate.policy, gate.record.decisions);
  if (outcome !== 'approved') return outcome;
  if (await hasDrifted(state, gate)) return 'open';
  // The gate was open while it looked.
  const { planHash } = gate.record;
  await judgeInbox(state, gate);
  // Somebody had it look once more meanwhile.
  if (gate.record.planHash !== planHash) return judge(state, gate);
  // Still open: whoever approved may not do so any more.
  return gateOutcome(gate.policy, gate.record.decisions);
}

/** Judges so many of those who wait, at least; all who wait by now, where nothing is said. Who comes meanwhile waits for the next time. */
async function judgeInbox(state: RunState, gate: OpenGate, atLeast = gate.inbox.length): Promise<void> {
  gate.isBehind = false;
  for (let left = atLeast; gate.inbox.length > 0;) {
    left -= await judgeFirst(state, gate);
    gate.isBehind = left <= 0 && gate.inbox.length > 0 && waitsTogether();
    if (gate.isBehind) return;
  }
}

/** Where an expired gate lets the run go on, nobody has agreed to a plan that became another one: then it does not. */
async function expire(state: RunState, gate: OpenGate): Promise<'rejected' | 'expired'> {
  // It has expired, also where looking once more fails, and the run with it.
  gate.record.outcome = 'expired';
  if (gate.record.onExpiry === 'reject') return 'expired';
  if (await hasDrifted(state, gate)) return 'rejected';
  // Nobody is taken to have agreed to a plan that was not there to be read for all of the time, whoever had it looked at.
  const isRejected = changedWhileOpen(gate) || gateOutcome(gate.policy, gate.record.decisions) === 'rejected';
  return isRejected && readsAnew() ? 'rejected' : 'expired';
}

function changedWhileOpen({ planShownAtMs, openedAtMs }: OpenGate): boolean {
  return planShownAtMs !== undefined && planShownAtMs > openedAtMs;
}

const LABELS = {
  remind: ({ name }: OpenGate) => `gate "${name}" reminds`,
  escalate: ({ name }: OpenGate) => `gate "${name}" is escalated`,
  expire: ({ name }: OpenGate) => `gate "${name}" expires`,
};

/** Reminds people, or asks further ones. */
function climb(state: RunState, gate: OpenGate, rung: { kind: 'remind' | 'escalate' }): void {
  gate.toldAtMs = Date.now();
  if (rung.kind === 'remind') {
    noteEvent(gate, 'reminded', `it expires at ${instantOf(gate.expiresAtMs)}`);
    notify(state, { kind: 'gateReminder', gate, channels: gate.policy.notify });
  } else {
    const escalation = inOrder(gate.policy)[gate.escalated];
    gate.escalated += 1;
    noteEvent(gate, 'escalated', `to ${[...(escalation?.approvers ?? []), ...(escalation?.notify ?? []).map((channel) => `channel ${channel}`)].join(', ')}`);
    notify(state, { kind: 'gateEscalated', gate, channels: [...new Set([...gate.policy.notify, ...(escalation?.notify ?? [])])] });
  }
  showDetails(state);
}
