import { WorkflowNotFoundError, type Client, type WorkflowExecutionDescription } from '@temporalio/client';
import { grpcCodeOf, INVALID_ARGUMENT } from './grpc-code.ts';

/** Describes a workflow, its newest run where none is named; undefined when the server does not know it, or no longer, or such an id can be nobody's. */
export async function describeIfKnown(client: Client, workflowId: string, runId?: string): Promise<WorkflowExecutionDescription | undefined> {
  try {
    return await client.workflow.getHandle(workflowId, runId).describe();
  } catch (error) {
    if (error instanceof WorkflowNotFoundError || grpcCodeOf(error) === INVALID_ARGUMENT) return undefined;
    throw error;
  }
}
