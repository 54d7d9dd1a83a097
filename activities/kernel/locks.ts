import { isGrpcServiceError, QueryNotRegisteredError, ServiceError, WorkflowNotFoundError, type Client } from '@temporalio/client';
import { LOCK_TYPE, lockId } from '../../contracts/guardian.ts';
import { lockStateSchema } from '../../contracts/internal-messages.ts';
import { INTERNAL } from '../../contracts/messages.ts';
import { isOver } from '../../contracts/run-status.ts';
import { TASK_QUEUE } from '../../contracts/search-attributes.ts';
import { describeIfKnown } from './describe-if-known.ts';
import type { LockState, LockView } from './kernel-activities.ts';

/** Of gRPC. */
const UNIMPLEMENTED = 12;

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

/** The run of a lock that was ended, and that a request or a release is about to begin anew; undefined where it lives, or there was none. The server knows at once, lists only later. */
export async function endedLock(client: Client, target: string): Promise<string | undefined> {
  const lock = await describeIfKnown(client, lockId(target));
  return lock && isOver(lock.status.name) ? lock.runId : undefined;
}

/** Signals a lock, and begins one where there is none. `ended`: the run of the one before it, whose state it goes on with. */
export async function tellLock(client: Client, target: string, ended: string | undefined, signal: string, message: object): Promise<void> {
  await client.workflow.signalWithStart(LOCK_TYPE, {
    ...(ended === undefined ? {} : { args: [null, ended] }),
    workflowId: lockId(target), taskQueue: TASK_QUEUE, signal, signalArgs: [message], staticSummary: `lock of ${target}`,
  });
}

/**
 * What the newest closed execution of a lock held, of those that were closed by a time, or that of `runId`. A closed workflow still answers queries. One that a person ended with a
 * state that cannot be read is the same as one that the server has forgotten.
 */
export async function findFormerLock(client: Client, id: string, { runId, closedByMs = Infinity }: { runId?: string | undefined; closedByMs?: number | undefined }): Promise<LockState | null> {
  if (runId !== undefined) return (await stateOf(client, id, runId)) ?? null;
  const query = `WorkflowId = '${id.replaceAll("'", "''")}' AND ExecutionStatus != 'Running' AND ExecutionStatus != 'ContinuedAsNew'`;
  let newest: { runId: string; closedAtMs: number } | undefined;
  try {
    for await (const closed of client.workflow.list({ query })) {
      const closedAtMs = closed.closeTime?.getTime() ?? 0;
      if (isOver(closed.status.name) && closedAtMs <= closedByMs && (!newest || closedAtMs > newest.closedAtMs)) newest = { runId: closed.runId, closedAtMs };
    }
  } catch (error) {
    // A server without lists, such as the one that skips time, remembers no former lock either.
    const cause = error instanceof ServiceError ? error.cause : error;
    if (!isGrpcServiceError(cause) || cause.code !== UNIMPLEMENTED) throw error;
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
