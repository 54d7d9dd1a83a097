import { CancelledFailure, Context } from '@temporalio/activity';
import { stallAwareSignal } from './stall-aware-signal.ts';
import { progressTeller } from './tell-run.ts';

/** How far a long activity is; shown by `runbook watch` and, now and then, by the web UI. */
export interface ActivityProgress { phase: string; bytesDone: number; bytesTotal: number }

const HEARTBEAT_MS = 1_500;

/**
 * Runs something long inside an activity: heartbeats with the latest progress while it runs, hands it a signal that
 * cancellation and a stall abort, also one until after the end of its time, and turns what it throws after that into a cancellation.
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
    if (latest) void tellRun(latest);
  }, HEARTBEAT_MS);
  try {
    return await work({ signal, onProgress: (progress) => void (latest = progress) });
  } catch (error) {
    if (context.cancellationSignal.aborted) throw new CancelledFailure('the activity was cancelled', undefined, error as Error);
    throw error;
  } finally {
    clearInterval(heart);
  }
}
