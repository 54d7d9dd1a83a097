import { ApplicationFailure, workflowInfo } from '@temporalio/workflow';
import { LIMITS_IN_WORDS, type Decide, type DecisionSignal } from '../../contracts/messages.ts';
import type { Decision, GatePolicy } from '../../contracts/gate.ts';
import type { GateRecord } from '../../contracts/evidence.ts';
import { read } from './kernel-activities.ts';
import { gateOutcome, refusal, requestersOf, type GateView } from './gate-policy.ts';
import { enterPhase, setAttributes, showDetails } from './presentation.ts';
import { KEPT_REFUSALS, type OpenGate, type PendingSignal, type RunState } from './run-state.ts';
import { instantOf, waitUntil } from './wait.ts';

/**
 * A bare signal within this time of a gate's opening is a double click on the gate before it: nobody reads a plan in
 * two seconds. It counts for nothing, and the gate says so.
 */
const BARE_SIGNAL_SETTLE_MS = 2_000;

/** Takes an `approve` or `reject` signal. It may come with no argument at all, from the web UI's empty form. */
export function receiveSignal(state: RunState, signal: 'approve' | 'reject', payload: DecisionSignal | 'malformed'): void {
  const ordinal = ++state.signalsSeen[signal];
  const refuse = (reason: string) => {
    state.noteRefusal(`${signal} at ${instantOf(Date.now())}: ${reason}`);
    showDetails(state);
  };
  if (payload === 'malformed') return refuse(`its argument is not { gate?, by?, comment?, planHash? } with ${LIMITS_IN_WORDS}; send it again like that, or with none`);
  if (!state.openGate) return refuse('no gate was open when it arrived; it changes nothing');
  if (payload?.gate !== undefined && payload.gate !== state.openGate.name) {
    return refuse(`it is for gate "${payload.gate}" and the open gate is "${state.openGate.name}"`);
  }
  state.openGate.inbox.push({
    signal,
    ordinal,
    by: payload?.by ?? null,
    comment: payload?.comment ?? null,
    planHash: payload?.planHash,
    named: payload?.gate !== undefined,
  });
}

/** What a run knows of who sends an update: the handler is told the argument and nothing else. */
const OF_UPDATES = { assurance: 'claimed', channel: 'update', identity: null } as const;

/** Validator of the `decide` update: throws a sentence that says what to do, before anything enters history. */
export function validateDecide(state: RunState, input: Decide): void {
  const reason = decideRefusal(state, input);
  if (reason !== null) throw ApplicationFailure.nonRetryable(reason, 'INVALID_INPUT');
}

function decideRefusal(state: RunState, input: Decide): string | null {
  const gate = state.openGate;
  if (!gate) return 'no gate is open; see `runbook status`';
  if (input.gate !== gate.name) return `gate "${input.gate}" is not open; the open gate is "${gate.name}"`;
  return tooLate(gate, Date.now()) ?? refusal(viewOf(state, gate), { ...input, ...OF_UPDATES });
}

/** Handler of the `decide` update; its validator has passed. */
export function receiveDecide(state: RunState, input: Decide): { gate: string; outcome: string } {
  const gate = state.openGate;
  if (!gate) throw ApplicationFailure.nonRetryable('the gate closed meanwhile', 'INVALID_INPUT');
  addDecision(state, gate, {
    at: instantOf(Date.now()), decision: input.decision, by: input.by, ...OF_UPDATES, comment: input.comment ?? null,
  }, decideRefusal(state, input));
  return { gate: gate.name, outcome: gateOutcome(gate.policy, recordOf(state, gate).decisions) };
}

/**
 * Waits until people have decided. Throws a failure of type `REJECTED` when they said no or the gate expired.
 * A gate without a policy in the configuration is not there.
 */
export async function passGate(state: RunState, name: string, policy: GatePolicy | undefined): Promise<void> {
  if (!policy) return;
  const openedAtMs = Date.now();
  const gate: OpenGate = { name, policy, openedAtMs, expiresAtMs: openedAtMs + policy.expiresAfter, inbox: [] };
  const record: GateRecord = { name, outcome: 'open', openedAt: instantOf(openedAtMs), closedAt: null, planHash: state.record.planHash ?? '', decisions: [], decisionsLeftOut: 0 };
  state.record.gates.push(record);
  state.openGate = gate;
  setAttributes(state, { RunbookAwaitingApproval: true });
  enterPhase(state, `gate: ${name}`);
  try {
    record.outcome = await decide(state, gate, record);
  } finally {
    state.openGate = undefined;
    record.closedAt = instantOf(Date.now());
    state.spans.push({ name, kind: 'gate', startedAtMs: openedAtMs, finishedAtMs: Date.now() });
    setAttributes(state, { RunbookAwaitingApproval: false });
  }
  showDetails(state);
  if (record.outcome === 'expired') throw ApplicationFailure.nonRetryable(`gate "${name}" expired at ${instantOf(gate.expiresAtMs)} without enough approvals`, 'REJECTED');
  if (record.outcome === 'rejected') {
    const no = record.decisions.find((decision) => decision.counted && decision.decision === 'reject');
    throw ApplicationFailure.nonRetryable(`gate "${name}" was rejected by ${no?.by ?? 'an unnamed person'}${no?.comment ? `: ${no.comment}` : ''}`, 'REJECTED');
  }
}

async function decide(state: RunState, gate: OpenGate, record: GateRecord): Promise<'approved' | 'rejected' | 'expired'> {
  for (;;) {
    const outcome = gateOutcome(gate.policy, record.decisions);
    if (outcome !== 'open') return outcome;
    const before = record.decisions.length;
    const somethingCame = await waitUntil(
      () => gate.inbox.length > 0 || record.decisions.length > before,
      gate.expiresAtMs - Date.now(),
      `gate "${gate.name}" expires`,
    );
    if (!somethingCame) return 'expired';
    for (let signal = gate.inbox.shift(); signal; signal = gate.inbox.shift()) await identify(state, gate, signal);
  }
}

/** By when it was sent, not by when somebody could look at it: no worker may have been up for hours. */
function tooLate(gate: OpenGate, atMs: number): string | null {
  return atMs <= gate.expiresAtMs ? null : `it arrived after gate "${gate.name}" had expired at ${instantOf(gate.expiresAtMs)}; start another run`;
}

/** Reads from the event itself who sent a signal and when; a name in a payload is only claimed. */
async function identify(state: RunState, gate: OpenGate, signal: PendingSignal): Promise<void> {
  const event = await read.identifyDecision({
    workflowId: workflowInfo().workflowId,
    runId: workflowInfo().runId,
    signal: signal.signal,
    ordinal: signal.ordinal,
    gateOpenedAtMs: gate.openedAtMs,
  });
  const tooSoon = !signal.named && (event.beforeGateWasVisible || event.atMs - gate.openedAtMs < BARE_SIGNAL_SETTLE_MS)
    ? `it names no gate and arrived ${((event.atMs - gate.openedAtMs) / 1000).toFixed(1)} s after gate "${gate.name}" opened, too soon to have read its plan; send it again`
    : null;
  const assurance = event.principal !== null ? 'principal' : signal.by !== null ? 'claimed' : 'none';
  const proposal = { decision: signal.signal, by: event.principal ?? signal.by, assurance, channel: 'signal', identity: event.identity } as const;
  addDecision(
    state,
    gate,
    { at: instantOf(event.atMs), ...proposal, comment: signal.comment },
    tooSoon ?? tooLate(gate, event.atMs) ?? refusal(viewOf(state, gate), { ...proposal, planHash: signal.planHash }),
  );
}

function addDecision(state: RunState, gate: OpenGate, decision: Omit<Decision, 'counted' | 'reason'>, reason: string | null): void {
  const record = recordOf(state, gate);
  const isFull = record.decisions.filter(({ counted }) => !counted).length >= KEPT_REFUSALS;
  if (reason !== null && isFull) record.decisionsLeftOut += 1;
  else record.decisions.push({ ...decision, counted: reason === null, reason });
  if (reason !== null) state.noteRefusal(`${decision.decision} at ${decision.at}: ${reason}`);
  showDetails(state);
}

function recordOf(state: RunState, gate: OpenGate): GateRecord {
  const record = state.record.gates.find((candidate) => candidate.name === gate.name && candidate.outcome === 'open');
  if (!record) throw ApplicationFailure.nonRetryable(`gate "${gate.name}" has no record`, 'ABORTED');
  return record;
}

function viewOf(state: RunState, gate: OpenGate): GateView {
  const record = recordOf(state, gate);
  return { name: gate.name, policy: gate.policy, planHash: record.planHash, requesters: requestersOf(state.record), decisions: record.decisions };
}
