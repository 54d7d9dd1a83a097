import type { GateRecord } from '../../contracts/evidence.ts';
import type { GateEvent, GatePolicy } from '../../contracts/gate.ts';
import { inOrder } from './ladder.ts';
import type { OpenGate } from './run-state.ts';
import { instantOf } from './wait.ts';

/** What a gate asked for, as its evidence keeps it: the configuration may be another when somebody reads that. */
export function policyOf(policy: GatePolicy, openedAtMs: number): NonNullable<GateRecord['policy']> {
  // Runs of older code have policies without some of these.
  const { approvers, quorum, requesterMayApprove, assurance } = policy;
  return {
    approvers, quorum, rejections: policy.rejections ?? 1, requesterMayApprove, assurance,
    escalation: inOrder({ ...policy, escalation: policy.escalation ?? [] }).map(({ after, approvers: further }) => ({ at: instantOf(openedAtMs + after), approvers: further })),
  };
}

/** So many events of a gate are kept: a reminder a minute for a week would make evidence unwieldy. */
const KEPT_EVENTS = 200;

/** Keeps an event of a gate. Where there are too many, a reminder, which decides nothing, gives way to what does; what was left out is counted. */
export function keepEvent(record: Pick<GateRecord, 'events' | 'eventsLeftOut'>, event: GateEvent): void {
  const { events } = record;
  if (events.length >= KEPT_EVENTS) {
    record.eventsLeftOut += 1;
    const reminder = event.event === 'reminded' ? -1 : events.findIndex((kept) => kept.event === 'reminded');
    if (reminder === -1) return;
    events.splice(reminder, 1);
  }
  events.push(event);
}

/** So many refused decisions are kept of a gate that another of its name has followed. */
const KEPT_OF_FORMER = 5;

/** Leaves out refused decisions of a gate that is over, but for the newest: evidence must stay small enough to be written. */
export function forgetRefused(record: Pick<GateRecord, 'decisions' | 'decisionsLeftOut'>): void {
  const refused = record.decisions.filter(({ counted }) => !counted);
  const forgotten = new Set(refused.slice(0, -KEPT_OF_FORMER));
  record.decisions = record.decisions.filter((decision) => !forgotten.has(decision));
  record.decisionsLeftOut += forgotten.size;
}

/** Notes what a gate did, or what was done to it. */
export function noteEvent(gate: Pick<OpenGate, 'record'>, event: GateEvent['event'], detail: string): void {
  keepEvent(gate.record, { at: instantOf(Date.now()), event, detail });
}

/** Since when a gate shows its present plan. */
export function planShownSinceMs({ openedAtMs, planShownAtMs }: Pick<OpenGate, 'openedAtMs' | 'planShownAtMs'>): number {
  return planShownAtMs ?? openedAtMs;
}
