import { shortHash } from '../../contracts/deciding.ts';
import type { RunRecord } from '../../contracts/record.ts';
import { ASSURANCES, namesPlan, type Assurance, type Decision, type GatePolicy } from '../../contracts/gate.ts';
import { delegatorsOf, isName, samePerson, type People } from '../../contracts/people.ts';
import { approversAt } from './ladder.ts';

/** A decision as it arrived, with what is known of who sent it. */
export interface Proposal extends Pick<Decision, 'decision' | 'by' | 'assurance' | 'channel' | 'identity'> {
  planHash?: string | undefined;
  /** The key that signed it. */
  key?: string | null;
  /** When it was sent, by the server's clock. */
  atMs: number;
}

/** A gate at one moment, as decisions are judged by it: all that counts, so that the same decision is judged alike, also in a replay. */
export interface GateView {
  name: string;
  policy: GatePolicy;
  people: People;
  openedAtMs: number;
  planHash: string;
  /** Every name that stands for who asked for the run. */
  requesters: readonly string[];
  decisions: readonly Decision[];
}

type Sender = Pick<Decision, 'by' | 'identity'>;

/**
 * Every name that stands for who asked for a run: the one in the input, which can be left out or be another's, and whoever
 * started it as the server saw it.
 */
export function requestersOf({ requester, startedBy }: Pick<RunRecord, 'requester' | 'startedBy'>): string[] {
  const identity = startedBy?.identity ?? '';
  return [requester, startedBy?.principal, identity, userOf(identity)].filter((name): name is string => typeof name === 'string' && name.trim() !== '');
}

/** What people have to know of a gate that the requester may not approve, where that cannot be checked; null elsewhere. `beside`: who else asked for what it decides. */
export function requesterUnchecked({ requesterMayApprove, assurance }: GatePolicy, { requester, startedBy }: Pick<RunRecord, 'requester' | 'startedBy'>, beside?: string): string | null {
  const isKnown = requester !== null || startedBy?.principal || userOf(startedBy?.identity ?? '') !== undefined;
  if (requesterMayApprove) return null;
  // An update brings no better name than one that anybody may write.
  if (beside !== undefined && isProven(assurance)) return `who asked for this, "${beside}", is claimed and not proven: that somebody else approves is checked against that name only`;
  // Where a name has to be proven, one that anybody may write keeps nobody from approving under a proven one.
  if (isKnown && isProven(assurance) && !startedBy?.principal) {
    return `who requested this run is not proven (it was started by "${startedBy?.identity ?? ''}", and its input names ${requester === null ? 'no requester' : `"${requester}"`}; both are claimed): that somebody else approves is checked against these names only`;
  }
  if (isKnown) return assurance === 'none' ? 'an empty form names nobody: that it is not the requester who approves is checked only where a name is given, or Temporal\'s CLI or ours sends it' : null;
  return `who requested this run is not known (it was started by "${startedBy?.identity ?? ''}", and its input names no requester): that somebody else approves is not checked`;
}

const isProven = (assurance: Assurance) => ASSURANCES.indexOf(assurance) > ASSURANCES.indexOf('claimed');

/** The user in the identities that Temporal's CLI and ours give themselves. An SDK's own begins with the number of a process. */
function userOf(identity: string): string | undefined {
  return /^(?:temporal-cli:|runbook\/)(.+)@[^@]*$/.exec(identity)?.[1];
}

/** Why a decision on this plan is not one on the plan of the gate; null where it is, or names none. */
export function otherPlan({ name, planHash: present }: Pick<GateView, 'name' | 'planHash'>, planHash: string | undefined): string | null {
  if (planHash === undefined || namesPlan(planHash, present)) return null;
  if (planHash !== '' && present.startsWith(planHash.toLowerCase())) return `"${planHash}" is too little of the hash of a plan to name it; give all of it, or its first 32 digits or more`;
  return `the plan that was seen (${shortHash(planHash)}) is not the plan of gate "${name}" (${shortHash(present)}); look at it again and decide on the new one`;
}

/** Why a decision does not count at this gate, as a sentence that says what to do; null when it counts. */
export function refusal(gate: GateView, proposal: Proposal): string | null {
  const { policy, people } = gate;
  const other = otherPlan(gate, proposal.planHash);
  if (other !== null) return other;
  if (proposal.by !== null && !isName(proposal.by)) return `there is nothing in its name that people can see; ${howToBeNamed('claimed', proposal)}`;
  if (ASSURANCES.indexOf(proposal.assurance) < ASSURANCES.indexOf(policy.assurance)) {
    return `gate "${gate.name}" asks for assurance "${policy.assurance}" and this decision has "${proposal.assurance}"; ${howToBeNamed(policy.assurance, proposal)}`;
  }
  const places = placesOf(gate, proposal);
  const outsider = notOneOfThose(gate, proposal, places);
  if (outsider !== null) return outsider;
  const counted = gate.decisions.filter((past) => past.counted);
  const earlier = counted.some((past) => (past.by === null ? proposal.by === null : samePerson(past.by, proposal.by, people)));
  if (earlier) return `${proposal.by ?? 'an unnamed person'} has already decided at gate "${gate.name}"; each person counts once${proposal.decision === 'reject' ? ', and an approval is not taken back: to stop the run, abort it (`runbook abort WORKFLOW_ID`)' : ''}`;
  const delegated = proposal.by === null ? undefined : counted.find((past) => samePerson(past.onBehalfOf, proposal.by, people));
  if (delegated) return `${delegated.by} has already decided for ${proposal.by} at gate "${gate.name}"; each person counts once`;
  if (proposal.key && counted.some((past) => past.key === proposal.key)) {
    return `the key ${proposal.key} has already decided at gate "${gate.name}"; each key counts once, whomever the allowed-signers file names for it`;
  }
  if (free(gate, standing(gate, proposal, places)).length === 0) {
    return `${places[0]?.onBehalfOf}, for whom ${proposal.by} would decide, has already decided at gate "${gate.name}"; each person counts once`;
  }
  const shared = counted.map((past) => sharedName(past, proposal, people)).find((name) => name !== undefined);
  if (proposal.decision === 'approve' && shared !== undefined) {
    return `${shared} has already decided at gate "${gate.name}"; each person counts once, and a decision without a name counts as that of the user whose client sent it`;
  }
  return null;
}

/** Why somebody is none of those who decide at this gate, or has asked for what is decided; null where neither is so. */
function notOneOfThose(gate: GateView, proposal: Proposal, places: readonly Place[]): string | null {
  const { policy, people } = gate;
  const [place] = places;
  if (place === undefined) {
    return `${proposal.by ?? 'an unnamed person'} may not decide at gate "${gate.name}"; one of ${approversAt(policy, gate.openedAtMs, proposal.atMs).join(', ')} must${laterOf(gate, proposal)}`;
  }
  // An empty form still says which user's client sent it, where that is one of the two that tell.
  const approver = proposal.by ?? userOf(proposal.identity ?? '') ?? null;
  if (proposal.decision === 'approve' && !policy.requesterMayApprove) {
    const isRequester = (name: string | null) => gate.requesters.some((requester) => samePerson(name, requester, people));
    if (isRequester(approver)) {
      return `${approver}${proposal.by === null ? ', who sent this without a name,' : ''} requested or started this run and may not approve it at gate "${gate.name}"; ask somebody else`;
    }
    if (standing(gate, proposal, places).length === 0) {
      return `${approver} would decide for ${place.onBehalfOf}, who requested or started this run and may not approve it at gate "${gate.name}"; ask somebody else`;
    }
  }
  return null;
}

/** Why somebody may not extend this gate: only those may who can approve there. Null where they may. */
export function refusalToExtend(gate: GateView, by: string, atMs: number): string | null {
  if (!isName(by)) return 'there is nothing in the name that people can see; say who extends it';
  const proposal: Proposal = { decision: 'approve', by, assurance: 'claimed', channel: 'update', identity: null, atMs };
  const reason = notOneOfThose(gate, proposal, placesOf(gate, proposal));
  return reason === null ? null : `only who can approve at gate "${gate.name}" can extend it: ${reason}`;
}

/** Whose place a decision that counts takes, where that is not the sender's own. */
export function onBehalfOf(gate: GateView, proposal: Proposal): string | null {
  return free(gate, standing(gate, proposal, placesOf(gate, proposal)))[0]?.onBehalfOf ?? null;
}

/** `onBehalfOf` null: one's own. */
interface Place { onBehalfOf: string | null }

/** Of these places those that do not make the requester approve, through a delegate. */
function standing({ policy, people, requesters }: GateView, { decision }: Proposal, places: readonly Place[]): Place[] {
  if (decision === 'reject' || policy.requesterMayApprove) return [...places];
  return places.filter((place) => !requesters.some((requester) => samePerson(requester, place.onBehalfOf, people)));
}

/** Of these places those that nobody has decided for yet. */
function free({ decisions, people }: GateView, places: readonly Place[]): Place[] {
  const counted = decisions.filter((past) => past.counted);
  return places.filter(({ onBehalfOf: name }) => name === null || !counted.some((past) => samePerson(past.by, name, people) || samePerson(past.onBehalfOf, name, people)));
}

/** The places among the approvers that a sender may take: the own one, or else those of whoever named them a delegate. Empty: none. */
function placesOf({ policy, people, openedAtMs }: GateView, { by, atMs }: Proposal): Place[] {
  const approvers = approversAt(policy, openedAtMs, atMs);
  const own = [{ onBehalfOf: null }];
  if (approvers.length === 0) return own;
  // An empty form carries no name: it may stand for an approver only where the policy accepts `none`.
  if (by === null) return policy.assurance === 'none' ? own : [];
  if (approvers.some((name) => samePerson(name, by, people))) return own;
  return delegatorsOf(by, people, atMs).filter((person) => approvers.some((name) => samePerson(name, person, people))).map((person) => ({ onBehalfOf: person }));
}

/** Somebody to whom the gate has not been escalated yet learns when it will be. */
function laterOf({ policy, people, openedAtMs }: GateView, { by }: Proposal): string {
  const later = policy.escalation.filter(({ approvers }) => approvers.some((name) => samePerson(name, by, people))).map(({ after }) => openedAtMs + after).sort((a, b) => a - b)[0];
  return later === undefined ? '' : `; it is escalated to ${by} at ${new Date(later).toISOString()}`;
}

/**
 * The name under which a decision without a name and one with a name are the same person's. Of two that both have a name
 * only the names tell: people share accounts, and their clients then all name the same user.
 */
function sharedName(past: Sender, proposal: Sender, people: People): string | undefined {
  if ((past.by === null) === (proposal.by === null)) return undefined;
  const names = ({ by, identity }: Sender) => [by, userOf(identity ?? '') ?? null];
  return names(past).find((name) => names(proposal).some((other) => samePerson(name, other, people))) ?? undefined;
}

/** Commands in back quotes: the web UI's Markdown makes a dash of `--` elsewhere, and then they cannot be copied. */
function howToBeNamed(asked: Assurance, { decision, channel }: Proposal): string {
  if (asked === 'signature') return `sign it: \`runbook ${decision} WORKFLOW_ID --sign KEY\`, with a key that the allowed-signers file lists`;
  if (asked === 'principal') {
    return channel === 'update'
      ? `an update brings the run no verified name, a signal does: send that, as \`runbook ${decision} WORKFLOW_ID\` does here`
      : 'only a name that the Temporal server stamped from a verified token counts here, and it stamped no person\'s on this one: send it yourself, with a token of your own, to a server that has an authorizer';
  }
  return `decide with a name: send the signal with the input \`{"by":"NAME"}\`, or \`runbook ${decision} WORKFLOW_ID --by NAME\``;
}

/** What the counted decisions add up to. */
export function gateOutcome(policy: GatePolicy, decisions: readonly Decision[]): 'open' | 'approved' | 'rejected' {
  const counted = decisions.filter((decision) => decision.counted);
  // Runs of older code have policies without it.
  if (counted.filter((decision) => decision.decision === 'reject').length >= (policy.rejections ?? 1)) return 'rejected';
  return counted.filter((decision) => decision.decision === 'approve').length >= policy.quorum ? 'approved' : 'open';
}
