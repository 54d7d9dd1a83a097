import { WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError, type Client, type WorkflowExecutionDescription, type WorkflowExecutionInfo } from '@temporalio/client';
import type { Configuration } from '../../contracts/configuration.ts';
import { GUARDIAN_TYPE, guardianId, LOCK_TYPE, type GuardianInput } from '../../contracts/guardian.ts';
import type { Owner } from '../../contracts/ledger.ts';
import { NOTIFICATION_TYPE } from '../../contracts/notification.ts';
import { TASK_QUEUE } from '../../contracts/search-attributes.ts';

/** A server may list what has ended later than it ended. */
const LISTED_LATE_MS = 10 * 60_000;

/**
 * Gives each run that was ended by force before it had a guardian (while it waited for people, or before it had begun) one
 * that sees to its evidence, as it would have had one if it had taken its target. What it returns is called again and again: the first
 * time it looks at all that the server still knows, then at what ended since. Resolves to the workflow ids of those runs.
 * Any number of workers may do the same. Throws what the server refuses.
 */
export function createEndWatch({ client, configuration }: { client: Client; configuration: Pick<Configuration, 'lease' | 'notifications'> }): () => Promise<string[]> {
  let sinceMs: number | undefined;
  let seenTo = new Set<string>();
  return async () => {
    const beganMs = Date.now();
    const given: string[] = [];
    const seen = new Set<string>();
    for await (const run of endedByForce(client, sinceMs)) {
      if (!seenTo.has(run.runId) && await giveGuardian(client, run, configuration)) given.push(run.workflowId);
      seen.add(run.runId);
    }
    // Not before all was looked at: what failed on the way is looked at once more.
    [sinceMs, seenTo] = [beganMs - LISTED_LATE_MS, seen];
    return given;
  };
}

function endedByForce(client: Client, sinceMs: number | undefined): AsyncIterable<WorkflowExecutionInfo> {
  const ours = [GUARDIAN_TYPE, LOCK_TYPE, NOTIFICATION_TYPE].map((type) => `WorkflowType != '${type}'`).join(' AND ');
  const since = sinceMs === undefined ? '' : ` AND CloseTime >= '${new Date(sinceMs).toISOString()}'`;
  return client.workflow.list({ query: `TaskQueue = '${TASK_QUEUE}' AND ExecutionStatus IN ('Terminated', 'TimedOut') AND ${ours}${since}` });
}

/** Whether it had none, and got one. */
async function giveGuardian(client: Client, { workflowId, runId, type, closeTime }: WorkflowExecutionInfo, { lease, notifications }: Pick<Configuration, 'lease' | 'notifications'>): Promise<boolean> {
  const run = await describe(client, workflowId, runId);
  // One that goes on in what it was reset to has not ended.
  if (!run || run.raw.workflowExtendedInfo?.resetRunId) return false;
  const owner: Owner = { workflowId, firstExecutionRunId: run.raw.workflowExecutionInfo?.firstRunId || runId };
  const guardian = await describe(client, guardianId(owner));
  if (guardian && !isOfAFormerLife(guardian, closeTime)) return false;
  const target = run.searchAttributes['RunbookTarget']?.[0];
  const input: GuardianInput = {
    owner, runbook: type, target: typeof target === 'string' ? target : 'unknown', sharesTargetWith: [], lease: { maximumMs: lease.maximum, hostLossMs: lease.hostLoss }, priority: 'normal', alarm: notifications.alarm,
  };
  try {
    await client.workflow.start(GUARDIAN_TYPE, { workflowId: guardianId(owner), taskQueue: TASK_QUEUE, args: [input], staticSummary: `guardian of ${workflowId}, which was ended by force before it had one` });
    return true;
  } catch (error) {
    // Another worker was faster.
    if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
    throw error;
  }
}

/**
 * A guardian that did its work before this end: a life that began later, by a reset, had none. One that was itself ended by
 * force did not do its work, and another in its place would know nothing of what it guarded: the doctor names that run.
 */
function isOfAFormerLife({ status, closeTime }: WorkflowExecutionDescription, runClosed: Date | undefined): boolean {
  return status.name === 'COMPLETED' && closeTime !== undefined && runClosed !== undefined && closeTime < runClosed;
}

/** Undefined when the server does not know it. */
async function describe(client: Client, workflowId: string, runId?: string): Promise<WorkflowExecutionDescription | undefined> {
  return client.workflow.getHandle(workflowId, runId).describe().catch((error: unknown) => {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
    return undefined;
  });
}
