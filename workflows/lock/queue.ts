import type { z } from 'zod';
import { isLargerThan } from '../../contracts/json-size.ts';
import { PRIORITIES } from '../../contracts/priority.ts';
import type { LockEvent, LockRequest, LockState } from '../../activities/kernel/kernel-activities.ts';
import type { grantSchema } from '../../contracts/internal-messages.ts';

export type Grant = z.output<typeof grantSchema>;

/** The whole state of a lock, plain JSON, carried through continue-as-new. */
export type { LockState };

export const EMPTY_LOCK: LockState = { nextFence: 1, holders: [], waiting: [] };

/** Whether two runbooks may work on one target at once. It is enough that one of them says so. */
export function compatible(a: Pick<LockRequest, 'runbook' | 'sharesTargetWith'>, b: Pick<LockRequest, 'runbook' | 'sharesTargetWith'>): boolean {
  return a.sharesTargetWith.includes(b.runbook) || b.sharesTargetWith.includes(a.runbook);
}

/**
 * In characters of JSON: a lock is carried on in one payload, and what would make it larger is dropped. Who means it asks
 * again, as guardians do. It has room for more than a thousand of them.
 */
export const LARGEST_LOCK = 500_000;

/** Adds a request behind those of its priority; the same guardian asking again changes nothing, nor does one for which there is no room. */
export function enqueue(state: LockState, request: LockRequest): LockState {
  const known = [...state.holders, ...state.waiting].some((other) => other.guardianId === request.guardianId);
  if (known || isLargerThan([state, request], LARGEST_LOCK)) return state;
  const urgency = ({ priority }: LockRequest) => PRIORITIES.indexOf(priority);
  const place = state.waiting.findIndex((other) => urgency(other) < urgency(request));
  return { ...state, waiting: place === -1 ? [...state.waiting, request] : state.waiting.toSpliced(place, 0, request) };
}

/**
 * What a lock goes on with that was begun anew: what the one before it held, and who asked since. Fences go on from where
 * they were, or from a number that no lock has come to in this way.
 */
export function adopt(state: LockState, former: LockState | null, firstFence: number): LockState {
  const begun = { ...state, nextFence: Math.max(state.nextFence, firstFence, former?.nextFence ?? 0) };
  if (!former) return begun;
  const asked = state.waiting;
  return asked.reduce(enqueue, { ...begun, holders: former.holders, waiting: former.waiting });
}

/** Removes a guardian, whether it holds or waits. */
export function remove(state: LockState, guardianId: string): LockState {
  return {
    ...state,
    holders: state.holders.filter((holder) => holder.guardianId !== guardianId),
    waiting: state.waiting.filter((request) => request.guardianId !== guardianId),
  };
}

/** What happened to a lock that cannot say itself what came of it. It granted in the order of its queue, and reminds who holds of what he has. */
export function happen(state: LockState, event: LockEvent): LockState {
  if ('requested' in event) return enqueue(state, event.requested);
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

/**
 * Grants in the order of the queue. Nobody overtakes: a request that must wait keeps back later ones, also those that could
 * share with the holders, so that a stream of sharers cannot starve it.
 */
export function grantNext(state: LockState, nowMs: number): { state: LockState; granted: Grant[] } {
  const granted: Grant[] = [];
  let { nextFence, holders, waiting } = state;
  for (let next = waiting[0]; next; next = waiting[0]) {
    const request = next;
    if (!holders.every((holder) => compatible(holder, request))) break;
    const grant: Grant = { ...request, fence: nextFence, grantedAtMs: nowMs };
    nextFence += 1;
    holders = [...holders, grant];
    waiting = waiting.slice(1);
    granted.push(grant);
  }
  return { state: { nextFence, holders, waiting }, granted };
}
