import type { z } from 'zod';
import type { lockRequestSchema, lockStateSchema } from './internal-messages.ts';
import { PRIORITIES } from './priority.ts';

/** A request for the lock of a target, as the lock workflow keeps it. */
export type LockRequest = z.output<typeof lockRequestSchema>;

/** The whole state of a lock, plain JSON, carried through continue-as-new. */
export type LockState = z.output<typeof lockStateSchema>;

/** What a lock heard or did, as its history tells it. `released`: a guardian that let go, or is gone. `request`: what was granted, where the history says it. */
export type LockEvent = { requested: LockRequest } | { released: string } | { granted: { guardianId: string; fence: number; grantedAtMs: number; request?: LockRequest | undefined } };

/** A lock that nobody has asked for anything yet. */
export const EMPTY_LOCK: LockState = { nextFence: 1, holders: [], waiting: [] };

/**
 * In characters of JSON: a lock is carried on in one payload, and what would make it larger is dropped. Who means it asks
 * again, as guardians do. It has room for more than a thousand of them.
 */
export const LARGEST_LOCK = 500_000;

/** How large a lock is with one more request, in characters of JSON. */
export type Measure = (state: LockState, request: LockRequest) => number;

/**
 * Measures a lock, and each request in it once. To write down a whole queue for each that comes takes longer than a task
 * may, where thousands have come before a worker does.
 */
export function measuring(): Measure {
  const measured = new WeakMap<LockRequest, number>();
  const lengthOf = (request: LockRequest): number => {
    const length = measured.get(request) ?? JSON.stringify(request).length;
    measured.set(request, length);
    return length;
  };
  // With the comma behind each but the last.
  const listLength = (requests: readonly LockRequest[]): number => requests.reduce((sum, request) => sum + lengthOf(request) + 1, requests.length > 0 ? -1 : 0);
  return (state, request) => JSON.stringify([{ ...state, holders: [], waiting: [] }, 0]).length - 1 + lengthOf(request) + listLength(state.holders) + listLength(state.waiting);
}

/** Adds a request behind those of its priority; the same guardian asking again changes nothing, nor does one for which there is no room. */
export function enqueue(state: LockState, request: LockRequest, measure = measuring()): LockState {
  const isAsked = ({ guardianId }: LockRequest): boolean => guardianId === request.guardianId;
  if (state.holders.some(isAsked) || state.waiting.some(isAsked) || measure(state, request) > LARGEST_LOCK) return state;
  const urgency = ({ priority }: LockRequest) => PRIORITIES.indexOf(priority);
  const place = state.waiting.findIndex((other) => urgency(other) < urgency(request));
  return { ...state, waiting: place === -1 ? [...state.waiting, request] : state.waiting.toSpliced(place, 0, request) };
}

/**
 * What a lock goes on with that was begun anew: what the one before it held, and who asked since. Fences go on from where
 * they were, or from a number that no lock has come to in this way.
 */
export function adopt(state: LockState, former: LockState | null, from: number): LockState {
  const begun = { ...state, nextFence: Math.max(state.nextFence, from, former?.nextFence ?? 0) };
  if (!former) return begun;
  const measure = measuring();
  return state.waiting.reduce((queue, asked) => enqueue(queue, asked, measure), { ...begun, holders: former.holders, waiting: former.waiting });
}

/**
 * What fences go on from where nobody can say any more how far they came: the seconds since 1970, since no lock grants one a
 * second for ever. Where there was no lock before, 1: a fence is part of the path of a socket, which has few bytes.
 */
export function firstFence(formerRunId: string | undefined, startedAtMs: number): number {
  return formerRunId === undefined ? 1 : Math.floor(startedAtMs / 1_000);
}

/** Removes a guardian, whether it holds or waits; who does neither changes nothing. */
export function remove(state: LockState, guardianId: string): LockState {
  const isOther = (one: LockRequest): boolean => one.guardianId !== guardianId;
  if (state.holders.every(isOther) && state.waiting.every(isOther)) return state;
  return { ...state, holders: state.holders.filter(isOther), waiting: state.waiting.filter(isOther) };
}

/** What happened to a lock that cannot say itself what came of it. It granted in the order of its queue, and reminds who holds of what he has. */
export function happen(state: LockState, event: LockEvent, measure = measuring()): LockState {
  if ('requested' in event) return enqueue(state, event.requested, measure);
  if ('released' in event) return remove(state, event.released);
  const { guardianId, fence, grantedAtMs, request: asked } = event.granted;
  const isReminded = state.holders.some((holder) => holder.guardianId === guardianId);
  // Who holds the target holds it, also where there was no room for it in the queue.
  const granted = state.waiting.find((request) => request.guardianId === guardianId) ?? (isReminded ? undefined : asked);
  return {
    ...state,
    nextFence: Math.max(state.nextFence, fence + 1),
    holders: granted ? [...state.holders, { ...granted, fence, grantedAtMs }] : state.holders,
    waiting: state.waiting.filter((request) => request.guardianId !== granted?.guardianId),
  };
}

/** The same for all that happened, in this order. */
export function happened(state: LockState, events: Iterable<LockEvent>): LockState {
  const measure = measuring();
  let now = state;
  for (const event of events) now = happen(now, event, measure);
  return now;
}
