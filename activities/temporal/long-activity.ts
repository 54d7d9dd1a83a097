import { CancelledFailure, Context } from '@temporalio/activity';
import { refuseGivenUp } from './given-up.ts';
import { stallAwareSignal } from './stall-aware-signal.ts';
import { progressTeller } from './tell-run.ts';

/** How far a long activity is; shown by `runbook watch` and, now and then, by the web UI. `bytesTotal` is 0 where nobody knows; `unit`: what both count, where that is not bytes. */
export interface ActivityProgress { phase: string; bytesDone: number; bytesTotal: number; unit?: 'percent' }

/** How far something is of which AWS tells a percentage, if it does. */
export function percentProgress(phase: string, percent: string | number | undefined): ActivityProgress {
  const done = percent === undefined ? Number.NaN : Number(percent);
  return Number.isNaN(done) ? { phase, bytesDone: 0, bytesTotal: 0 } : { phase, bytesDone: done, bytesTotal: 100, unit: 'percent' };
}

const HEARTBEAT_MS = 1_500;

/**
 * Runs something long inside an activity: heartbeats with the latest progress while it runs, hands it a signal that
 * cancellation and a stall abort, also one until after the end of its time, and turns what it throws after that into a cancellation.
 * An attempt that was given up before it began does nothing.
 */
export async function longActivity<T>(work: (tools: { signal: AbortSignal; onProgress: (progress: ActivityProgress) => void }) => Promise<T>): Promise<T> {
  const context = Context.current();
  const tellRun = progressTeller(context);
  let latest: ActivityProgress | undefined;
  const { signal, beat } = stallAwareSignal({ cancellation: context.cancellationSignal, heartbeatTimeoutMs: context.info.heartbeatTimeoutMs, startToCloseTimeoutMs: context.info.startToCloseTimeoutMs });
  context.heartbeat();
  const heart = setInterval(() => {
    beat();
    context.heartbeat(latest);
    // One that is cancelled or has a successor by now does not speak for its run's activity.
    if (latest && !signal.aborted) void tellRun(latest);
  }, HEARTBEAT_MS);
  try {
    await refuseGivenUp(context);
    return await work({ signal, onProgress: (progress) => void (latest = progress) });
  } catch (error) {
    if (context.cancellationSignal.aborted) throw new CancelledFailure('the activity was cancelled', undefined, error as Error);
    throw error;
  } finally {
    clearInterval(heart);
  }
}
