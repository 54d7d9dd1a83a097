import type { Info } from '@temporalio/activity';
import type { Client } from '@temporalio/client';

/** A server that is asked for nothing but the time is not waited for long. */
const ASKING_MS = 5_000;

/**
 * How far this host's clock is ahead of Temporal's, at most: when it began the attempt of an activity, `beganMs`, against
 * when the server says that it did. What handing it over took is in it. 0 where the server does not say, or says it of
 * another attempt; then no more may be built on it than on clocks that agree.
 */
export async function measureHostAhead(client: Client, { activityId, attempt, workflowExecution }: Pick<Info, 'activityId' | 'attempt' | 'workflowExecution'>, beganMs: number): Promise<number> {
  if (!workflowExecution) return 0;
  const { workflowId, runId } = workflowExecution;
  try {
    const { raw } = await client.withDeadline(Date.now() + ASKING_MS, () => client.workflow.getHandle(workflowId, runId).describe());
    const own = raw.pendingActivities?.find((activity) => activity.activityId === activityId && (activity.attempt ?? 1) === attempt);
    const started = own?.lastStartedTime;
    return started ? beganMs - (Number(started.seconds ?? 0) * 1_000 + (started.nanos ?? 0) / 1e6) : 0;
  } catch {
    return 0;
  }
}
