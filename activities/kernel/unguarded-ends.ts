import { WorkflowExecutionAlreadyStartedError, type Client, type WorkflowExecutionInfo } from '@temporalio/client';
import type { Configuration } from '../../contracts/configuration.ts';
import { evidenceWriterId, GUARDIAN_TYPE, type GuardianInput } from '../../contracts/guardian.ts';
import { TASK_QUEUE } from '../../contracts/search-attributes.ts';
import { whoWrites, type Standing } from './evidence-due.ts';

/**
 * Runs that ended longer ago are left to the doctor: a server may forget, after a day at the soonest and half an hour later
 * or earlier, that somebody has seen to one already.
 */
export const LOOK_BACK_MS = 20 * 3_600_000;

/** `types`: of the runbooks that there are. Whatever else ended on their queue, by a mistyped name too, is none of ours. */
export interface EndWatchInput { client: Client; configuration: Pick<Configuration, 'lease' | 'notifications'>; types: readonly string[] }

/**
 * Starts what writes the evidence of each run that was ended by force without a guardian: while it waited for people, or
 * before it had begun. What it returns is called again and again, and resolves to the workflow ids of the runs for which it
 * did. Any number of workers may do the same. Throws what the server refuses first, when it has tried all.
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
      // All else is looked at once more: what failed, and what is being written, since a writer can be ended by force as well.
      if (became === 'seen to') seen.add(run.runId);
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

async function giveWriter(run: WorkflowExecutionInfo, input: EndWatchInput): Promise<'given' | 'seen to' | 'somebody is at it'> {
  const standing = await whoWrites(input.client, run);
  switch (standing.state) {
    case 'due': return startWriter(run, standing, input);
    case 'somebody is at it': return 'somebody is at it';
    case 'goes on':
    case 'written':
    case 'nobody': return 'seen to';
  }
}

async function startWriter({ workflowId, runId, type, searchAttributes }: WorkflowExecutionInfo, { owner, isIdUsed }: Extract<Standing, { state: 'due' }>, { client, configuration: { lease, notifications } }: EndWatchInput): Promise<'given' | 'somebody is at it'> {
  const target = searchAttributes['RunbookTarget']?.[0];
  const input: GuardianInput = {
    // Empty: the run did not come to know its target.
    owner, runbook: type, target: typeof target === 'string' ? target : '', sharesTargetWith: [], lease: { maximumMs: lease.maximum, hostLossMs: lease.hostLoss }, priority: 'normal', alarm: notifications.alarm, forEvidence: { runId },
  };
  try {
    await client.workflow.start(GUARDIAN_TYPE, {
      workflowId: evidenceWriterId({ workflowId, runId }), taskQueue: TASK_QUEUE, args: [input],
      // One that another worker started meanwhile, and that has written, has completed.
      workflowIdReusePolicy: isIdUsed ? 'ALLOW_DUPLICATE' : 'ALLOW_DUPLICATE_FAILED_ONLY', staticSummary: 'writes the evidence of a run that was ended by force and has no guardian',
    });
    return 'given';
  } catch (error) {
    // Another worker was faster.
    if (error instanceof WorkflowExecutionAlreadyStartedError) return 'somebody is at it';
    throw error;
  }
}
