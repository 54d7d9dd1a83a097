import { CancellationScope, condition, isCancellation, sleep } from '@temporalio/workflow';

/**
 * Waits for `isDone`, at most `ms`; the timer carries a label for people. Returns whether `isDone` came true, and looks once more
 * when the time is over: where no worker was up, what came in time arrives in one task with the end of the timer.
 */
export function waitUntil(isDone: () => boolean, ms: number, summary: string): Promise<boolean> {
  const isNow = isDone();
  if (isNow || ms <= 0) return Promise.resolve(isNow);
  const timer = new CancellationScope();
  let isOver = false;
  timer.run(() => sleep(ms, { summary })).then(() => { isOver = true; }, (error: unknown) => { if (!isCancellation(error)) throw error; });
  // One condition for both and no race, no function that awaits it: each promise that is pending keeps its stack in memory, and
  // a worker has thousands of runs that wait for days. What came true is kept: the next message of the same task may undo it
  // before this goes on. Who cancels the wait cancels its timer.
  let cameTrue = false;
  return condition(() => (cameTrue ||= isDone()) || isOver).then(() => {
    timer.cancel();
    return cameTrue || isDone();
  });
}

/** How soon, and in the end how often, somebody who waits looks whether what he waits for can still come. */
export interface Looks { firstMs: number; lastMs: number; summary: string }

/**
 * Waits for `done`, which another has to bring, at most until `deadlineMs`; asks `look` in ever longer intervals whether it
 * can still come, since a look costs events and a wait can last for days. Returns whether `done` came true.
 */
export async function waitLooking(done: () => boolean, look: () => Promise<boolean>, { firstMs, lastMs, summary }: Looks, deadlineMs = Infinity): Promise<boolean> {
  for (let lookMs = firstMs; ; lookMs = Math.min(2 * lookMs, lastMs)) {
    const leftMs = deadlineMs - Date.now();
    if (await waitUntil(done, Math.min(lookMs, leftMs), summary)) return true;
    if (leftMs <= lookMs) return false;
    if (!(await look())) return done();
  }
}

/** A workflow's time as evidence writes it. */
export function instantOf(ms: number): string {
  return new Date(ms).toISOString();
}
