import { ApplicationFailure, WorkflowFailedError, type Client } from '@temporalio/client';
import type { RunEnding } from './outcome-lines.ts';
import type { RunView } from './run-view.ts';

/** What a closed run returned or why it failed, from its history: no worker is needed. */
export async function endingOf(client: Client, { workflowId, runId, type, status: state }: RunView): Promise<RunEnding> {
  const ending: RunEnding = { workflowId, runId, type, status: state, failure: null, result: null };
  try {
    ending.result = recordOf(await client.workflow.getHandle(workflowId, runId).result());
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    const { cause } = error;
    ending.failure = { type: (cause instanceof ApplicationFailure ? cause.type : null) ?? state, message: cause?.message ?? error.message };
    if (cause instanceof ApplicationFailure) ending.result = recordOf(cause.details?.[0]);
  }
  return ending;
}

function recordOf(value: unknown): Record<string, unknown> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
}
