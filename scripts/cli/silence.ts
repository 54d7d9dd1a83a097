import { QueryNotRegisteredError, WorkflowUpdateRPCTimeoutOrCancelledError, type Client, type WorkflowHandle } from '@temporalio/client';
import { isNotTakenUp } from '../../contracts/messages.ts';
import { isNoWorker, reasonOf } from './connect.ts';

/** Why a run says nothing of itself: a sentence, and whether a worker would help. */
export interface Silence { noWorker: boolean; sentence: string }

/** Of this many newest events, one tells how the last workflow task went. */
const LAST_EVENTS = 20;

/**
 * Why a run did not answer a query or an update: nobody asks its task queue for work, or a worker does and cannot carry
 * it on, for instance since it has no workflow of that type, or since its code does something else than the history says.
 */
export async function silenceOf(client: Client, handle: WorkflowHandle, error: unknown): Promise<Silence> {
  const failing = await failingTask(client, handle).catch(() => null);
  if (failing !== null) return { noWorker: false, sentence: `a worker is there and cannot carry this run on: ${failing}; correct or redeploy the worker, or end the run with \`temporal workflow terminate\`` };
  const isTimeOut = error instanceof WorkflowUpdateRPCTimeoutOrCancelledError || isNoWorker(error);
  if (isTimeOut) return { noWorker: true, sentence: 'no worker answers' };
  if (isNotTakenUp(error)) return { noWorker: false, sentence: 'something happened to it that no worker has taken up' };
  if (error instanceof QueryNotRegisteredError) return { noWorker: false, sentence: 'this is no run of a runbook: it does not know the query "progress"' };
  return { noWorker: false, sentence: `the run did not answer: ${reasonOf(error)}` };
}

/** Why the workflow task that is tried again and again fails; null when the last one succeeded or none was answered. */
async function failingTask(client: Client, handle: WorkflowHandle): Promise<string | null> {
  const { raw } = await handle.describe();
  const attempt = raw.pendingWorkflowTask?.attempt ?? 0;
  if (attempt < 2) return null;
  const { history } = await client.workflowService.getWorkflowExecutionHistoryReverse({ namespace: client.options.namespace, execution: raw.workflowExecutionInfo?.execution ?? null, maximumPageSize: LAST_EVENTS });
  for (const event of history?.events ?? []) {
    if (event.workflowTaskCompletedEventAttributes) return null;
    const failed = event.workflowTaskFailedEventAttributes;
    if (failed) return `attempt ${attempt} of its workflow task, ${(failed.failure?.message ?? 'failed').split('\n')[0]}`;
  }
  return null;
}
