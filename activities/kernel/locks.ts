import { QueryNotRegisteredError, WorkflowNotFoundError, type Client } from '@temporalio/client';
import { lockId } from '../../contracts/guardian.ts';
import { lockStateSchema } from '../../contracts/internal-messages.ts';
import { INTERNAL } from '../../contracts/messages.ts';
import { isOver } from '../../contracts/run-status.ts';
import type { LockState, LockView } from './kernel-activities.ts';

const NOBODY: LockView = { holders: [], waiting: [] };

/** Who holds a target and who waits; nobody where there is no lock. */
export async function describeLock(client: Client, target: string): Promise<LockView> {
  const state = await stateOf(client, lockId(target), undefined);
  if (!state) return NOBODY;
  const view = (runbook: string, workflowId: string, sinceMs: number) => ({ runbook, workflowId, since: new Date(sinceMs).toISOString() });
  return {
    holders: state.holders.map(({ runbook, owner, grantedAtMs }) => view(runbook, owner.workflowId, grantedAtMs)),
    waiting: state.waiting.map(({ runbook, owner, requestedAtMs }) => view(runbook, owner.workflowId, requestedAtMs)),
  };
}

/**
 * What the newest closed execution of a lock held. A closed workflow still answers queries. One that a person ended with a
 * state that cannot be read is the same as one that the server has forgotten.
 */
export async function findFormerLock(client: Client, id: string): Promise<LockState | null> {
  const query = `WorkflowId = '${id.replaceAll("'", "''")}' AND ExecutionStatus != 'Running' AND ExecutionStatus != 'ContinuedAsNew'`;
  let newest: { runId: string; closedAtMs: number } | undefined;
  for await (const { runId, closeTime, status } of client.workflow.list({ query })) {
    const closedAtMs = closeTime?.getTime() ?? 0;
    if (isOver(status.name) && (!newest || closedAtMs > newest.closedAtMs)) newest = { runId, closedAtMs };
  }
  return newest ? (await stateOf(client, id, newest.runId)) ?? null : null;
}

async function stateOf(client: Client, id: string, runId: string | undefined): Promise<LockState | undefined> {
  try {
    return lockStateSchema.safeParse(await client.workflow.getHandle(id, runId).query(INTERNAL.holders)).data;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError || error instanceof QueryNotRegisteredError) return undefined;
    throw error;
  }
}
