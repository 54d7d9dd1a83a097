import { WorkflowExecutionAlreadyStartedError, type Client, type WorkflowExecutionInfo } from '@temporalio/client';
import type { Configuration } from '../../contracts/configuration.ts';
import { evidenceWriterId, GUARDIAN_TYPE, guardianId, type GuardianInput } from '../../contracts/guardian.ts';
import type { Owner } from '../../contracts/ledger.ts';
import { isOver, wasEndedByForce } from '../../contracts/run-status.ts';
import { TASK_QUEUE } from '../../contracts/search-attributes.ts';
import { describeIfKnown } from './describe-if-known.ts';
import { latestRun } from './run-end.ts';
import { hadGuardian, readLives } from './run-history.ts';

/**
 * Runs that ended longer ago are left to the doctor: a server may forget, after a day at the soonest and half an hour later
 * or earlier, that somebody has seen to one already.
 */
export const LOOK_BACK_MS = 20 * 3_600_000;

/** `types`: of the runbooks that there are. Whatever else ended on their queue, by a mistyped name too, is none of ours. */
export interface EndWatchInput { client: Client; configuration: Pick<Configuration, 'lease' | 'notifications'>; types: readonly string[] }

/**
 * Gives each run that was ended by force before it had a guardian (while it waited for people, or before it had begun) one
 * that sees to its evidence alone. What it returns is called again and again, and resolves to the workflow ids of the runs that got
 * one. Any number of workers may do the same. Throws what the server refuses first, when it has tried all.
 */
export function createEndWatch(input: EndWatchInput): () => Promise<string[]> {
  let seenTo = new Set<string>();
  return async () => {
    const given: string[] = [];
    const seen = new Set<string>();
    const failures: Error[] = [];
    for await (const run of endedByForce(input)) {
      const became = seenTo.has(run.runId) ? 'seen to' : await giveWriter(run, input).catch((error: Error) => void failures.push(error));
      if (became === 'given') given.push(run.workflowId);
      // What failed, and what somebody is at, is looked at once more.
      if (became === 'given' || became === 'seen to') seen.add(run.runId);
    }
    seenTo = seen;
    if (failures[0]) throw failures[0];
    return given;
  };
}

function endedByForce({ client, types }: EndWatchInput): AsyncIterable<WorkflowExecutionInfo> {
  const ours = types.map((type) => `'${type}'`).join(', ');
  const since = new Date(Date.now() - LOOK_BACK_MS).toISOString();
  return client.workflow.list({ query: `WorkflowType IN (${ours}) AND TaskQueue = '${TASK_QUEUE}' AND ExecutionStatus IN ('Terminated', 'TimedOut') AND CloseTime > '${since}'` });
}

async function giveWriter({ workflowId, runId, type }: WorkflowExecutionInfo, { client, configuration: { lease, notifications } }: EndWatchInput): Promise<'given' | 'seen to' | 'somebody is at it'> {
  const run = await describeIfKnown(client, workflowId, runId);
  if (!run) return 'seen to';
  const owner: Owner = { workflowId, firstExecutionRunId: run.raw.workflowExecutionInfo?.firstRunId || runId };
  // One that goes on in what it was reset to has not ended.
  if ((await latestRun(client, owner))?.runId !== runId) return 'seen to';
  const [guardian, writer] = await Promise.all([describeIfKnown(client, guardianId(owner)), describeIfKnown(client, evidenceWriterId({ workflowId, runId }))]);
  if (writer) return isOver(writer.status.name) ? 'seen to' : 'somebody is at it';
  if (guardian && !isOver(guardian.status.name)) return 'somebody is at it';
  // What a run's own guardian has to do, no other can, and where that was ended by force, the doctor names the run. Only one
  // that had settled a former life before this one began has nothing to do with it.
  if (guardian && (wasEndedByForce(guardian.status.name) || !guardian.closeTime || guardian.closeTime > run.startTime)) return 'seen to';
  // Histories are long, and therefore last. A guardian that the server has forgotten is in one of them.
  const { histories } = await readLives(client, owner);
  const withGuardian = [...histories].filter(([, events]) => hadGuardian(events)).map(([of]) => of);
  if (guardian ? withGuardian.includes(runId) : withGuardian.length > 0) return 'seen to';
  const target = run.searchAttributes['RunbookTarget']?.[0];
  const input: GuardianInput = {
    // Empty: the run did not come to know its target.
    owner, runbook: type, target: typeof target === 'string' ? target : '', sharesTargetWith: [], lease: { maximumMs: lease.maximum, hostLossMs: lease.hostLoss }, priority: 'normal', alarm: notifications.alarm, forEvidence: true,
  };
  try {
    await client.workflow.start(GUARDIAN_TYPE, {
      workflowId: evidenceWriterId({ workflowId, runId }), taskQueue: TASK_QUEUE, args: [input], workflowIdReusePolicy: 'REJECT_DUPLICATE', staticSummary: 'writes the evidence of a run that was ended by force before it had a guardian',
    });
    return 'given';
  } catch (error) {
    // Another worker was faster.
    if (error instanceof WorkflowExecutionAlreadyStartedError) return 'somebody is at it';
    throw error;
  }
}
