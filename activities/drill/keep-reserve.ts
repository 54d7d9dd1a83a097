import { setTimeout as sleep } from 'node:timers/promises';
import type { Drill } from './drill.ts';
import { stopDrill } from './server.ts';
import { freeBytes, notEnoughSpace } from './space.ts';

/** Between two looks at what is free: as often as copying looks. */
const LOOK_MS = 200;

/**
 * Runs work with a copy that may take space: a check that sorts, an application that writes. Where less than the reserve
 * is left of the file system, which production may share, the work's signal is aborted and the copy's server stopped.
 * @throws RecoveryFailure `NOT_ENOUGH_SPACE` then, whatever the work made of it; else what the work throws
 */
export async function keepReserve<T>(drill: Pick<Drill, 'directory' | 'reserveBytes'>, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const full = new AbortController();
  const both = AbortSignal.any([signal, full.signal]);
  both.throwIfAborted = () => {
    // May know of stalls, by looking at the clock.
    signal.throwIfAborted();
    AbortSignal.prototype.throwIfAborted.call(both);
  };
  const done = new AbortController();
  const watching = watch(drill, { signal, full, done: done.signal });
  // Awaited below; until then it must not be unhandled.
  watching.catch(() => undefined);
  const result = await work(both).then((value) => ({ value }), (error: unknown) => ({ error })).finally(() => done.abort());
  await watching;
  if ('error' in result) throw result.error;
  return result.value;
}

async function watch(drill: Pick<Drill, 'directory' | 'reserveBytes'>, { signal, full, done }: { signal: AbortSignal; full: AbortController; done: AbortSignal }): Promise<void> {
  while (!done.aborted && !signal.aborted) {
    const free = await freeBytes(drill);
    if (free < drill.reserveBytes) {
      // A successor's server is not ours to stop.
      signal.throwIfAborted();
      const failure = notEnoughSpace('The restored copy', drill, free);
      full.abort(failure);
      await stopDrill({ drill, mode: 'immediate' });
      throw failure;
    }
    await sleep(LOOK_MS, undefined, { signal: done }).catch(() => undefined);
  }
}
