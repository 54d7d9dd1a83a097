import { requestersOf, type GateView } from './gate-policy.ts';
import type { OpenGate, RunState } from './run-state.ts';

/** What a gate goes by when it judges somebody. */
export function viewOf(state: RunState, { name, policy, openedAtMs, record, requester }: OpenGate): GateView {
  // Whoever asked for this alone gave a claimed name: the second person is somebody else than both.
  const requesters = [...requestersOf(state.record), ...(requester ? [requester] : [])];
  return { name, policy, people: state.people, openedAtMs, planHash: record.planHash, requesters, decisions: record.decisions };
}
