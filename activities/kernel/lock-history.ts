import type { Client } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';
import { z } from 'zod';
import { accepted } from '../../contracts/accepted.ts';
import { grantedSchema, lockRequestSchema, lockStateSchema, releaseSchema } from '../../contracts/internal-messages.ts';
import { adopt, EMPTY_LOCK, happened, type LockEvent, type LockRequest, type LockState } from '../../contracts/lock-state.ts';
import { INTERNAL } from '../../contracts/messages.ts';
import { answersOf } from './activity-end.ts';
import { argument } from './argument.ts';
import { millis } from './event-time.ts';
import { historyIfKnown } from './run-history.ts';
import type { KernelActivities } from './kernel-activities.ts';

type HistoryEvent = temporal.api.history.v1.IHistoryEvent;

/** Type of the activity with which a lock looks for guardians that are gone. */
const LOOK: keyof KernelActivities = 'findDeadGuardians';
/** And for what the one before it held. */
const FIND_FORMER: keyof KernelActivities = 'findFormerLock';

/** What a lock was begun with: what it carried, or in the place of which other, and when. */
type Begun = { carried: LockState } | { formerRunId: string | undefined; startedAtMs: number };

/**
 * What a lock held, out of its history: what it was begun with, and what has happened since. All of that is taken up here, and
 * only what came of it goes to the next lock: anybody can make a history longer than one payload. Undefined where the server
 * has forgotten it, or it was begun with something that is no state of a lock.
 * @param adopted what one held in the beginning that carried nothing
 */
export async function readLock(client: Client, id: string, runId: string, adopted: (begun: Exclude<Begun, { carried: LockState }>) => Promise<LockState>): Promise<LockState | undefined> {
  const events = (await historyIfKnown(client, id, runId)) ?? [];
  const begun = begunWith(events[0]);
  if (!begun) return undefined;
  return happened('carried' in begun ? begun.carried : adoptedIn(events) ?? await adopted(begun), eventsIn(events));
}

/** What it had adopted itself: the server may have forgotten by now from whom. */
function adoptedIn(events: readonly HistoryEvent[]): LockState | undefined {
  const result = argument(answersOf(events, FIND_FORMER)[0]);
  const former = lockStateSchema.safeParse(result).data;
  // By a worker of older code, which left a part of it to be asked for, or to be added.
  const isPart = former?.adopting !== undefined || Object.hasOwn(Object(result) as object, 'since');
  return former && !isPart ? adopt(EMPTY_LOCK, former, 1) : undefined;
}

function begunWith(first: HistoryEvent | undefined): Begun | undefined {
  const input = first?.workflowExecutionStartedEventAttributes?.input;
  if (!first?.workflowExecutionStartedEventAttributes) return undefined;
  const [carried, formerRunId] = [0, 1].map((index) => argument(input, index));
  if (carried === undefined || carried === null) return { formerRunId: typeof formerRunId === 'string' ? formerRunId : undefined, startedAtMs: millis(first.eventTime) };
  const state = lockStateSchema.safeParse(carried).data;
  return state && { carried: { nextFence: state.nextFence, holders: state.holders, waiting: state.waiting } };
}

/** In the order in which the lock's handlers and its loop took them. */
function* eventsIn(events: readonly HistoryEvent[]): Generator<LockEvent> {
  // Who has asked since a look for those that are gone was begun has come back.
  const looks = new Map<string, Set<string>>();
  // Who holds the target holds it, also where it was asked for in a queue that is full by what is read here.
  const requests = new Map<string, LockRequest>();
  const letGo = (released: string): LockEvent => {
    requests.delete(released);
    return { released };
  };
  for (const event of events) {
    const signal = event.workflowExecutionSignaledEventAttributes;
    const requested = signal?.signalName === INTERNAL.request ? accepted(lockRequestSchema, argument(signal.input)) : undefined;
    if (requested) {
      for (const asked of looks.values()) asked.add(requested.guardianId);
      if (!requests.has(requested.guardianId)) requests.set(requested.guardianId, requested);
      yield { requested };
    }
    const released = signal?.signalName === INTERNAL.release ? accepted(releaseSchema, argument(signal.input)) : undefined;
    if (released) yield letGo(released.guardianId);

    const told = event.signalExternalWorkflowExecutionInitiatedEventAttributes;
    const grant = told?.signalName === INTERNAL.granted ? grantedSchema.safeParse(argument(told.input)).data : undefined;
    if (grant) {
      const guardianId = told?.workflowExecution?.workflowId ?? '';
      yield { granted: { guardianId, fence: grant.fence, grantedAtMs: millis(event.eventTime), request: requests.get(guardianId) } };
    }
    const untold = event.signalExternalWorkflowExecutionFailedEventAttributes;
    if (untold) yield letGo(untold.workflowExecution?.workflowId ?? '');

    if (event.activityTaskScheduledEventAttributes?.activityType?.name === LOOK) looks.set(String(event.eventId), new Set());
    const looked = event.activityTaskCompletedEventAttributes;
    const asked = looks.get(String(looked?.scheduledEventId));
    looks.delete(String(looked?.scheduledEventId));
    if (asked) for (const gone of z.array(z.string()).catch([]).parse(argument(looked?.result))) if (!asked.has(gone)) yield letGo(gone);
  }
}
