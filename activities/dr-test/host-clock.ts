import type { Info } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';

/** A server that is asked for nothing but the time is not waited for long. */
const ASKING_MS = 5_000;

/**
 * How far this host's clock is ahead of Temporal's, at most, or negative where it is behind: when it began the attempt of an
 * activity, `beganMs`, against when the server says that it did. What handing it over took is in it. 0 where the server answers and
 * does not say, or says it of another attempt; then no more may be built on it than on clocks that agree.
 * @throws ApplicationFailure `UNAVAILABLE`, to be tried again, where it does not answer: clocks that agree would be a guess, by which what is there may be called late for good
 */
export async function measureHostAhead(client: Client, { activityId, attempt, workflowExecution }: Pick<Info, 'activityId' | 'attempt' | 'workflowExecution'>, beganMs: number): Promise<number> {
  if (!workflowExecution) return 0;
  const { workflowId, runId } = workflowExecution;
  const { raw } = await client.withDeadline(Date.now() + ASKING_MS, () => client.workflow.getHandle(workflowId, runId).describe()).catch((cause: Error) => {
    throw ApplicationFailure.create({ message: `Temporal did not say when it began this attempt, by which it is told how far this host's clock is ahead of its own: ${cause.message}`, type: 'UNAVAILABLE', nonRetryable: false, cause });
  });
  const own = raw.pendingActivities?.find((activity) => activity.activityId === activityId && (activity.attempt ?? 1) === attempt);
  const started = own?.lastStartedTime;
  return started ? beganMs - (Number(started.seconds ?? 0) * 1_000 + (started.nanos ?? 0) / 1e6) : 0;
}
