import type { WorkflowHandle } from '@temporalio/client';

/** What the web UI shows of a run beside its history, in Markdown. */
export async function currentDetailsOf(handle: Pick<WorkflowHandle, 'query'>): Promise<string> {
  return (await handle.query<{ currentDetails: string }>('__temporal_workflow_metadata')).currentDetails;
}
