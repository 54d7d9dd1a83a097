import type { Context } from '@temporalio/activity';
import { ApplicationFailure, WorkflowNotFoundError } from '@temporalio/common';

/** A task that is begun so soon after it was scheduled has not been given up: its shortest time-out is longer. */
const SOON_MS = 2_500;
/** Whoever cannot be told learns it from the heartbeat, if a little late. */
const PATIENCE_MS = 3_000;

/**
 * Refuses to begin an attempt that the server has given up before it began. A process that was stopped, with the connections that
 * it polls over, is handed tasks that it begins when it wakes: by then another attempt is at work, which this one would end as it
 * ends what predecessors left. Asks the server where the task took its time, by this host's clock, and only then.
 * @throws ApplicationFailure which nobody waits for; the reason of a cancellation
 */
export async function refuseGivenUp(context: Pick<Context, 'info' | 'client' | 'cancellationSignal'>, now: () => number = Date.now): Promise<void> {
  const { activityId, attempt, currentAttemptScheduledTimestampMs, workflowExecution } = context.info;
  // Either way: the clock of this host may be behind.
  if (workflowExecution === undefined || Math.abs(now() - currentAttemptScheduledTimestampMs) < SOON_MS) return;
  const awaited = await isAwaited(context, { ...workflowExecution, activityId, attempt }).catch((error: unknown) => !(error instanceof WorkflowNotFoundError));
  // The first heartbeat may have told meanwhile, which ends the question, too.
  context.cancellationSignal.throwIfAborted();
  if (awaited) return;
  throw ApplicationFailure.retryable('This attempt was given up before it began; another one may be at work.', 'UNAVAILABLE');
}

/** Whether the run waits for this very attempt. A run that is over, or was deleted, waits for none. */
async function isAwaited(context: Pick<Context, 'client'>, { workflowId, runId, activityId, attempt }: { workflowId: string; runId: string; activityId: string; attempt: number }): Promise<boolean> {
  const { client } = context;
  const { raw } = await client.withDeadline(Date.now() + PATIENCE_MS, () => client.workflow.getHandle(workflowId, runId).describe());
  return raw.pendingActivities?.some((pending) => pending.activityId === activityId && pending.attempt === attempt) ?? false;
}
