import type { GatePolicy } from '../../contracts/gate.ts';
import { longestOpenMs } from '../../contracts/gate-history.ts';

/** What a gate does by itself next, and when. `index`: which escalation. */
export type Rung =
  | { kind: 'remind'; atMs: number }
  | { kind: 'escalate'; atMs: number; index: number }
  | { kind: 'expire'; atMs: number };

/** How far a gate has come on its ladder. */
export interface LadderState {
  openedAtMs: number;
  expiresAtMs: number;
  /** When people were last told: at its opening, by a reminder, by an escalation. */
  toldAtMs: number;
  /** How many escalations have happened. */
  escalated: number;
}

/**
 * What comes next at a gate. Of what falls on one instant escalation is before a reminder, which it makes needless, and
 * before the end, so that whoever is asked last is at least on record.
 */
export function nextRung(policy: GatePolicy, { openedAtMs, expiresAtMs, toldAtMs, escalated }: LadderState): Rung {
  const escalation = inOrder(policy)[escalated];
  const rungs: Rung[] = [{ kind: 'expire', atMs: expiresAtMs }];
  if (policy.remindEvery !== undefined) rungs.unshift({ kind: 'remind', atMs: toldAtMs + policy.remindEvery });
  if (escalation) rungs.unshift({ kind: 'escalate', atMs: openedAtMs + escalation.after, index: escalated });
  const [first = { kind: 'expire', atMs: expiresAtMs }, ...others] = rungs;
  // At the instant of the end nobody is reminded any more.
  return others.reduce<Rung>((next, rung) => (rung.atMs < next.atMs || (rung.atMs === next.atMs && rung.kind === 'expire' && next.kind === 'remind') ? rung : next), first);
}

/** The escalations of a policy, the earliest first, whatever order they were written in. */
export function inOrder(policy: GatePolicy): GatePolicy['escalation'] {
  return [...policy.escalation].sort((a, b) => a.after - b.after);
}

/** Who may decide at an instant: those of the policy, and those to whom it was escalated by then. Empty: anyone. */
export function approversAt(policy: GatePolicy, openedAtMs: number, atMs: number): string[] {
  if (policy.approvers.length === 0) return [];
  return [...policy.approvers, ...policy.escalation.filter(({ after }) => openedAtMs + after <= atMs).flatMap(({ approvers }) => approvers)];
}

/** The latest instant to which a gate can be extended. */
export function latestExpiry(policy: GatePolicy, openedAtMs: number): number {
  return openedAtMs + longestOpenMs(policy);
}
