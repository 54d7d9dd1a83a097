import { CancellationScope, condition, sleep } from '@temporalio/workflow';

/**
 * Waits for `done`, at most `ms`; the timer carries a label for people. Returns whether `done` came true, and looks once more
 * when the time is over: where no worker was up, what came in time arrives in one task with the end of the timer.
 */
export async function waitUntil(done: () => boolean, ms: number, summary: string): Promise<boolean> {
  if (done()) return true;
  if (ms <= 0) return false;
  const scope = new CancellationScope();
  try {
    return (await scope.run(() => Promise.race([condition(done).then(() => true), sleep(ms, { summary }).then(() => false)]))) || done();
  } finally {
    scope.cancel();
  }
}

/** A workflow's time as evidence writes it. */
export function instantOf(ms: number): string {
  return new Date(ms).toISOString();
}
