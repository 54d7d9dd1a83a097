import { QueryNotRegisteredError, WorkflowNotFoundError, type Client } from '@temporalio/client';
import { LOCK_TYPE, lockId } from '../../contracts/guardian.ts';
import { lockStateSchema } from '../../contracts/internal-messages.ts';
import { adopt, EMPTY_LOCK, firstFence, type LockState } from '../../contracts/lock-state.ts';
import { INTERNAL, isNotTakenUp } from '../../contracts/messages.ts';
import { isOver } from '../../contracts/run-status.ts';
import { TASK_QUEUE } from '../../contracts/search-attributes.ts';
import { describeIfKnown } from './describe-if-known.ts';
import { grpcCodeOf } from './grpc-code.ts';
import { listedById } from './listed.ts';
import type { LockView } from './kernel-activities.ts';
import { readLock } from './lock-history.ts';

/** Of gRPC. */
const FAILED_PRECONDITION = 9;

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
 * Signals a lock, and begins one where there is none. One that was ended goes on with what it held.
 * @throws WorkflowExecutionAlreadyStartedError when it was ended this very moment; to be tried again
 */
export async function tellLock(client: Client, target: string, signal: string, message: object): Promise<void> {
  // The server knows at once, lists only later.
  const lock = await describeIfKnown(client, lockId(target));
  const ended = lock && isOver(lock.status.name) ? lock.runId : undefined;
  await client.workflow.signalWithStart(LOCK_TYPE, {
    // One that is ended after this look must not be begun anew by who does not know what it goes on with.
    ...(ended === undefined ? { workflowIdReusePolicy: 'REJECT_DUPLICATE' } : { args: [null, ended] }),
    workflowId: lockId(target), taskQueue: TASK_QUEUE, signal, signalArgs: [message], staticSummary: `lock of ${target}`,
  });
}

/** Tells a lock that a guardian holds the target no more, nor waits for it. One that never was is not begun for that. */
export async function releaseLock(client: Client, target: string, guardianId: string): Promise<void> {
  try {
    await client.workflow.getHandle(lockId(target)).signal(INTERNAL.release, { guardianId });
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
    // One that was ended by force has those in it who wait, and they look only now and then: it is begun anew for them. One
    // that somebody else has begun anew by now has this guardian in it, too.
    if (await describeIfKnown(client, lockId(target))) await tellLock(client, target, INTERNAL.release, { guardianId });
  }
}

/**
 * What the newest closed execution of a lock held, of those that were closed by a time: that of `runId`, unless one is
 * listed that was closed after it. A closed workflow still answers queries, mostly; where it can only say what it has heard
 * itself, what those before it held is found in the same way. One that a person ended with a state that cannot be read is the
 * same as one that the server has forgotten.
 */
export async function findFormerLock(client: Client, id: string, { runId, closedByMs = Infinity }: { runId?: string | undefined; closedByMs?: number | undefined }): Promise<LockState | null> {
  // A lock can be begun by hand, with anything in the place of a run: that is one that the server has forgotten.
  const named = runId === undefined ? undefined : await describeIfKnown(client, id, runId);
  if (runId !== undefined && !named) return null;
  // Who begins a lock anew may have been held up since it looked, while another was begun, granted, and was ended.
  const newest = await newestListed(client, id, closedByMs);
  const former = newest && newest.closedAtMs > (named?.closeTime?.getTime() ?? 0) ? newest.runId : runId;
  return former === undefined ? null : (await stateOf(client, id, former)) ?? null;
}

async function newestListed(client: Client, id: string, closedByMs: number): Promise<{ runId: string; closedAtMs: number } | undefined> {
  let newest: { runId: string; closedAtMs: number } | undefined;
  for await (const { runId, status, startTime, closeTime } of listedById(client, id, ` AND ExecutionStatus != 'Running' AND ExecutionStatus != 'ContinuedAsNew'`)) {
    const closedAtMs = closeTime?.getTime() ?? 0;
    // None is its own former one, whatever clocks say.
    const isFormer = closedAtMs <= closedByMs && startTime.getTime() < closedByMs;
    if (isOver(status.name) && isFormer && (!newest || closedAtMs > newest.closedAtMs)) newest = { runId, closedAtMs };
  }
  return newest;
}

async function stateOf(client: Client, id: string, runId: string | undefined): Promise<LockState | undefined> {
  try {
    const state = lockStateSchema.safeParse(await client.workflow.getHandle(id, runId).query(INTERNAL.holders)).data;
    // One that was ended before it had come to know what the one before it held can only say what it has heard itself.
    const closed = state?.adopting && await closedRun(client, id, runId);
    return closed ? await readClosed(client, id, closed) : state;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    const isRefused = grpcCodeOf(error) === FAILED_PRECONDITION || isNotTakenUp(error);
    if (!isRefused && !(error instanceof QueryNotRegisteredError)) throw error;
    // For one that was ended before its first task was done, or while its tasks failed, the server never asks a worker; and
    // not every worker can replay one. One that lives can be asked later.
    const closed = await closedRun(client, id, runId);
    if (closed) return readClosed(client, id, closed);
    if (isRefused) throw error;
    return undefined;
  }
}

async function closedRun(client: Client, id: string, runId: string | undefined): Promise<string | undefined> {
  const lock = await describeIfKnown(client, id, runId);
  return lock && isOver(lock.status.name) ? lock.runId : undefined;
}

function readClosed(client: Client, id: string, runId: string): Promise<LockState | undefined> {
  return readLock(client, id, runId, async ({ formerRunId, startedAtMs }) => {
    const former = await findFormerLock(client, id, { runId: formerRunId, closedByMs: startedAtMs });
    return adopt(EMPTY_LOCK, former, former ? 1 : firstFence(formerRunId, startedAtMs));
  });
}
