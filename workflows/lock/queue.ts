import type { z } from 'zod';
import type { grantSchema } from '../../contracts/internal-messages.ts';
import type { LockRequest, LockState } from '../../contracts/lock-state.ts';

/** A holder; it is told once more whenever it asks again. */
export type Grant = z.output<typeof grantSchema>;

/** Whether two runbooks may work on one target at once. It is enough that one of them says so. */
export function compatible(a: Pick<LockRequest, 'runbook' | 'sharesTargetWith'>, b: Pick<LockRequest, 'runbook' | 'sharesTargetWith'>): boolean {
  return a.sharesTargetWith.includes(b.runbook) || b.sharesTargetWith.includes(a.runbook);
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
