import { CancelledFailure, Context } from '@temporalio/activity';

/** How far a long activity is; shown by `runbook watch` and, as heartbeat details, by the web UI. */
export interface ActivityProgress { phase: string; bytesDone: number; bytesTotal: number }

const HEARTBEAT_MS = 1_500;

/**
 * Runs something long inside an activity: heartbeats with the latest progress while it runs, hands it the signal that
 * cancellation aborts, and turns what it throws after that into a cancellation.
 */
export async function longActivity<T>(work: (tools: { signal: AbortSignal; onProgress: (progress: ActivityProgress) => void }) => Promise<T>): Promise<T> {
  const context = Context.current();
  let latest: ActivityProgress | undefined;
  context.heartbeat();
  const heart = setInterval(() => context.heartbeat(latest), HEARTBEAT_MS);
  try {
    return await work({ signal: context.cancellationSignal, onProgress: (progress) => void (latest = progress) });
  } catch (error) {
    if (context.cancellationSignal.aborted) throw new CancelledFailure('the activity was cancelled', undefined, error as Error);
    throw error;
  } finally {
    clearInterval(heart);
  }
}
