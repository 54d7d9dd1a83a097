import type { RunRecord } from '../../contracts/record.ts';
import { ASSURANCES, namesPlan, type Assurance, type Decision, type GatePolicy } from '../../contracts/gate.ts';

/** A decision as it arrived, with what is known of who sent it. */
export interface Proposal extends Pick<Decision, 'decision' | 'by' | 'assurance' | 'channel' | 'identity'> {
  planHash?: string | undefined;
}

export interface GateView {
  name: string;
  policy: GatePolicy;
  planHash: string;
  /** Every name that stands for who asked for the run. */
  requesters: readonly string[];
  decisions: readonly Decision[];
}

type Sender = Pick<Decision, 'by' | 'identity'>;

/** Two spellings of one person must not count twice. */
export function samePerson(a: string | null, b: string | null): boolean {
  return a !== null && b !== null && a.trim().toLowerCase() === b.trim().toLowerCase();
}

/**
 * Every name that stands for who asked for a run: the one in the input, which can be left out or be another's, and whoever
 * started it as the server saw it.
 */
export function requestersOf({ requester, startedBy }: Pick<RunRecord, 'requester' | 'startedBy'>): string[] {
  const identity = startedBy?.identity ?? '';
  return [requester, startedBy?.principal, identity, userOf(identity)].filter((name): name is string => typeof name === 'string' && name.trim() !== '');
}

/** What people have to know of a gate that the requester may not approve, where that cannot be checked; null elsewhere. */
export function requesterUnchecked({ requesterMayApprove, assurance }: GatePolicy, { requester, startedBy }: Pick<RunRecord, 'requester' | 'startedBy'>): string | null {
  const isKnown = requester !== null || startedBy?.principal || userOf(startedBy?.identity ?? '') !== undefined;
  if (requesterMayApprove) return null;
  if (isKnown) return assurance === 'none' ? 'an empty form names nobody: that it is not the requester who approves is checked only where a name is given, or Temporal\'s CLI or ours sends it' : null;
  return `who requested this run is not known (it was started by "${startedBy?.identity ?? ''}", and its input names no requester): that somebody else approves is not checked`;
}

/** The user in the identities that Temporal's CLI and ours give themselves. An SDK's own begins with the number of a process. */
function userOf(identity: string): string | undefined {
  return /^(?:temporal-cli:|runbook\/)(.+)@[^@]*$/.exec(identity)?.[1];
}

/** Why a decision does not count at this gate, as a sentence that says what to do; null when it counts. */
export function refusal(gate: GateView, proposal: Proposal): string | null {
  const { policy } = gate;
  if (proposal.planHash !== undefined && !namesPlan(proposal.planHash, gate.planHash)) {
    return `the plan that was seen (${proposal.planHash.slice(0, 12)}) is not the plan of gate "${gate.name}" (${gate.planHash.slice(0, 12)}); look at it again and decide on the new one`;
  }
  if (ASSURANCES.indexOf(proposal.assurance) < ASSURANCES.indexOf(policy.assurance)) {
    return `gate "${gate.name}" asks for assurance "${policy.assurance}" and this decision has "${proposal.assurance}"; ${howToBeNamed(policy.assurance, proposal)}`;
  }
  if (policy.approvers.length > 0 && !policy.approvers.some((name) => samePerson(name, proposal.by))) {
    // An empty form carries no name: it may stand for an approver only where the policy accepts `none`.
    if (!(proposal.by === null && policy.assurance === 'none')) {
      return `${proposal.by ?? 'an unnamed person'} may not decide at gate "${gate.name}"; one of ${policy.approvers.join(', ')} must`;
    }
  }
  // An empty form still says which user's client sent it, where that is one of the two that tell.
  const approver = proposal.by ?? userOf(proposal.identity ?? '') ?? null;
  if (proposal.decision === 'approve' && !policy.requesterMayApprove && gate.requesters.some((name) => samePerson(approver, name))) {
    return `${approver}${proposal.by === null ? ', who sent this without a name,' : ''} requested or started this run and may not approve it at gate "${gate.name}"; ask somebody else`;
  }
  const counted = gate.decisions.filter((past) => past.counted);
  const earlier = counted.some((past) => (past.by === null ? proposal.by === null : samePerson(past.by, proposal.by)));
  if (earlier) return `${proposal.by ?? 'an unnamed person'} has already decided at gate "${gate.name}"; each person counts once`;
  const shared = counted.map((past) => sharedName(past, proposal)).find((name) => name !== undefined);
  if (proposal.decision === 'approve' && shared !== undefined) {
    return `${shared} has already decided at gate "${gate.name}"; each person counts once, and a decision without a name counts as that of the user whose client sent it`;
  }
  return null;
}

/**
 * The name under which a decision without a name and one with a name are the same person's. Of two that both have a name
 * only the names tell: people share accounts, and their clients then all name the same user.
 */
function sharedName(past: Sender, proposal: Sender): string | undefined {
  if ((past.by === null) === (proposal.by === null)) return undefined;
  const names = ({ by, identity }: Sender) => [by, userOf(identity ?? '') ?? null];
  return names(past).find((name) => names(proposal).some((other) => samePerson(name, other))) ?? undefined;
}

/** Commands in back quotes: the web UI's Markdown makes a dash of `--` elsewhere, and then they cannot be copied. */
function howToBeNamed(asked: Assurance, { decision, channel }: Proposal): string {
  if (asked === 'principal') {
    return channel === 'update'
      ? `an update brings the run no verified name, a signal does: send that, as \`runbook ${decision} WORKFLOW_ID\` does here`
      : 'only a name that the Temporal server stamped from a verified token counts here, and it stamped none on this signal: send it with a token, to a server that has an authorizer';
  }
  return `decide with a name: send the signal with the input \`{"by":"NAME"}\`, or \`runbook ${decision} WORKFLOW_ID --by NAME\``;
}

/** What the counted decisions add up to. One rejection closes a gate. */
export function gateOutcome(policy: GatePolicy, decisions: readonly Decision[]): 'open' | 'approved' | 'rejected' {
  const counted = decisions.filter((decision) => decision.counted);
  if (counted.some((decision) => decision.decision === 'reject')) return 'rejected';
  return counted.filter((decision) => decision.decision === 'approve').length >= policy.quorum ? 'approved' : 'open';
}
