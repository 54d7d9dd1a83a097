import type { Client } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';
import { z } from 'zod';
import { accepted } from '../../contracts/accepted.ts';
import { grantedSchema, lockRequestSchema, lockStateSchema, releaseSchema } from '../../contracts/internal-messages.ts';
import { INTERNAL } from '../../contracts/messages.ts';
import { argument } from './argument.ts';
import { millis } from './event-time.ts';
import { historyIfKnown } from './run-history.ts';
import type { FormerLock, KernelActivities, LockEvent, LockRequest, LockState } from './kernel-activities.ts';

type HistoryEvent = temporal.api.history.v1.IHistoryEvent;

/** Type of the activity with which a lock looks for guardians that are gone. */
const LOOK: keyof KernelActivities = 'findDeadGuardians';

/** A lock that does not know yet what the one before it held. */
const NOTHING_YET: LockState = { nextFence: 1, holders: [], waiting: [] };

/**
 * What a lock held, out of its history: what it was begun with, and what has happened since. Undefined where the server has
 * forgotten it, or it was begun with something that is no state of a lock.
 */
export async function readLock(client: Client, id: string, runId: string): Promise<FormerLock | undefined> {
  const events = (await historyIfKnown(client, id, runId)) ?? [];
  const [first] = events;
  const begun = first?.workflowExecutionStartedEventAttributes;
  if (!first || !begun) return undefined;
  const [carried, formerRunId] = [0, 1].map((index) => argument(begun.input, index));
  if (carried !== undefined && carried !== null) {
    const state = lockStateSchema.safeParse(carried).data;
    return state && { ...state, since: bounded([...eventsIn(events)], [...state.holders, ...state.waiting]) };
  }
  const since = bounded([...eventsIn(events)], []);
  return { ...NOTHING_YET, adopting: { ...(typeof formerRunId === 'string' ? { formerRunId } : {}), startedAtMs: millis(first.eventTime), released: [] }, since };
}

/** In characters of JSON, of requests and of releases each: it goes to the next lock in one payload, and that one has no more room either. */
const LARGEST = 300_000;

/**
 * Without what is beyond that. Who was granted the target and still has it is never left out, nor is a release of anybody who
 * is told of or `carried`; who waits asks again, and who has let go otherwise is looked for.
 */
function bounded(events: readonly LockEvent[], carried: readonly Pick<LockRequest, 'guardianId'>[]): LockEvent[] {
  const asked = new Map<string, LockRequest>();
  const told = new Set(carried.map(({ guardianId }) => guardianId));
  const granted = new Map<string, number>();
  const letGo = new Map(events.flatMap((event, index) => ('released' in event ? [[event.released, index] as const] : [])));
  const left = { requested: LARGEST, released: LARGEST };
  const hasRoom = (kind: keyof typeof left, event: LockEvent): boolean => (left[kind] -= JSON.stringify(event).length) >= 0;
  return events.flatMap((event, index): LockEvent[] => {
    if ('granted' in event) {
      const { guardianId, fence } = event.granted;
      // To be reminded of it changes nothing.
      if (granted.get(guardianId) === fence) return [];
      granted.set(guardianId, fence);
      told.add(guardianId);
      const request = asked.get(guardianId);
      return [request && (letGo.get(guardianId) ?? -1) < index ? { granted: { ...event.granted, request } } : event];
    }
    if ('released' in event) {
      asked.delete(event.released);
      return told.has(event.released) || hasRoom('released', event) ? [event] : [];
    }
    const { requested } = event;
    // Asking once more changes nothing: the first counts.
    if (asked.has(requested.guardianId)) return hasRoom('requested', event) ? [event] : [];
    asked.set(requested.guardianId, requested);
    if (!hasRoom('requested', event)) return [];
    told.add(requested.guardianId);
    return [event];
  });
}

/** In the order in which the lock's handlers and its loop took them. */
function* eventsIn(events: readonly HistoryEvent[]): Generator<LockEvent> {
  // Who has asked since a look for those that are gone was begun has come back.
  const looks = new Map<string, Set<string>>();
  for (const event of events) {
    const signal = event.workflowExecutionSignaledEventAttributes;
    const requested = signal?.signalName === INTERNAL.request ? accepted(lockRequestSchema, argument(signal.input)) : undefined;
    if (requested) {
      for (const asked of looks.values()) asked.add(requested.guardianId);
      yield { requested };
    }
    const released = signal?.signalName === INTERNAL.release ? accepted(releaseSchema, argument(signal.input)) : undefined;
    if (released) yield { released: released.guardianId };

    const told = event.signalExternalWorkflowExecutionInitiatedEventAttributes;
    const grant = told?.signalName === INTERNAL.granted ? grantedSchema.safeParse(argument(told.input)).data : undefined;
    if (grant) yield { granted: { guardianId: told?.workflowExecution?.workflowId ?? '', fence: grant.fence, grantedAtMs: millis(event.eventTime) } };
    const untold = event.signalExternalWorkflowExecutionFailedEventAttributes;
    if (untold) yield { released: untold.workflowExecution?.workflowId ?? '' };

    if (event.activityTaskScheduledEventAttributes?.activityType?.name === LOOK) looks.set(String(event.eventId), new Set());
    const looked = event.activityTaskCompletedEventAttributes;
    const asked = looks.get(String(looked?.scheduledEventId));
    looks.delete(String(looked?.scheduledEventId));
    if (asked) for (const gone of z.array(z.string()).catch([]).parse(argument(looked?.result))) if (!asked.has(gone)) yield { released: gone };
  }
}
