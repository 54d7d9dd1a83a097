import { WorkflowExecutionAlreadyStartedError, type Client, type WorkflowExecutionInfo } from '@temporalio/client';
import type { Configuration } from '../../contracts/configuration.ts';
import { evidenceWriterId, GUARDIAN_TYPE, type GuardianInput } from '../../contracts/guardian.ts';
import { TASK_QUEUE } from '../../contracts/search-attributes.ts';
import { whoWrites, type Standing } from './evidence-due.ts';
import { lookBackMs, retentionMs } from './retention.ts';

/**
 * How often all is looked at that the server surely knows everything of, and how long that is is asked anew: it may be weeks
 * and thousands of runs, and nothing in it becomes due once it is old. In between, what ended of late is looked at.
 */
const LOOK_AT_ALL_EVERY_MS = 3_600_000;
/** Longer than that, since the server's clock may be another. */
const OF_LATE_MS = 4 * 3_600_000;

/** So many runs are asked about in one look, some five questions each: a worker that starts knows of none that somebody saw to it. */
export const ASKED_AT_ONCE = 100;

/** Longer than any that is configured. */
const LONGEST_TARGET = 100;

/** `types`: of the runbooks that there are. Whatever else ended on their queue, by a mistyped name too, is none of ours. `now`: the clock, in ms. */
export interface EndWatchInput { client: Client; configuration: Pick<Configuration, 'lease' | 'notifications'>; types: readonly string[]; now?: () => number }

/** A run of which it is not known yet that somebody saw to it, and how often that was asked. */
interface Open { run: WorkflowExecutionInfo; asked: number }

/**
 * Starts what writes the evidence of each run that was ended by force without a guardian: while it waited for people, or
 * before it had begun. What it returns is called again and again, and resolves to the workflow ids of the runs for which it
 * did, of {@link ASKED_AT_ONCE} at most; those that have not been asked about come first, and of them the newest. Any number
 * of workers may do the same. Throws what the server refuses first, when it has tried all.
 */
export function createEndWatch(input: EndWatchInput): () => Promise<string[]> {
  const { client, now = Date.now } = input;
  let seenTo = new Set<string>();
  const open = new Map<string, Open>();
  let allLookedAtMs = -Infinity;
  let knownForMs = 0;

  /** Gives why the retention is not known now; what is listed then is as far back as it was known before. */
  const list = async (): Promise<Error | undefined> => {
    const atMs = now();
    const isAll = atMs - allLookedAtMs >= LOOK_AT_ALL_EVERY_MS;
    let unknown: Error | undefined;
    if (isAll) {
      knownForMs = await retentionMs(client, client.options.namespace).then(lookBackMs, (error: Error) => {
        unknown = error;
        return knownForMs || lookBackMs(null);
      });
    }
    const listed = new Set<string>();
    for await (const run of endedByForce(input, atMs - (isAll ? knownForMs : Math.min(knownForMs, OF_LATE_MS)))) {
      listed.add(run.runId);
      if (!seenTo.has(run.runId) && !open.has(run.runId)) open.set(run.runId, { run, asked: 0 });
    }
    if (!isAll || unknown) return unknown;
    allLookedAtMs = atMs;
    // Of what is older by now the server may have forgotten who saw to it.
    seenTo = new Set([...seenTo].filter((runId) => listed.has(runId)));
    for (const runId of [...open.keys()].filter((one) => !listed.has(one))) open.delete(runId);
    return undefined;
  };

  return async () => {
    const unknown = await list();
    const given: string[] = [];
    const failures: Error[] = [];
    for (const one of nextOf([...open.values()], now() - knownForMs)) {
      one.asked += 1;
      const { runId, workflowId } = one.run;
      const became = await giveWriter(one.run, input).catch((error: Error) => void failures.push(error));
      if (became === 'given') given.push(workflowId);
      // All else is looked at once more: what failed, and what is being written, since a writer can be ended by force as well.
      if (became !== 'seen to') continue;
      open.delete(runId);
      seenTo.add(runId);
    }
    const [failure = unknown] = failures;
    if (failure) throw failure;
    return given;
  };
}

/** People wait for the evidence of what ended just now; what cannot be seen to keeps no other from its turn. Of what ended before `sinceMs` the server may have forgotten who saw to it. */
function nextOf(open: readonly Open[], sinceMs: number): Open[] {
  const closedAtMs = ({ run }: Open) => run.closeTime?.getTime() ?? 0;
  return open.filter((one) => closedAtMs(one) > sinceMs).toSorted((a, b) => a.asked - b.asked || closedAtMs(b) - closedAtMs(a)).slice(0, ASKED_AT_ONCE);
}

function endedByForce({ client, types }: EndWatchInput, sinceMs: number): AsyncIterable<WorkflowExecutionInfo> {
  const ours = types.map((type) => `'${type}'`).join(', ');
  const since = new Date(Math.max(sinceMs, 0)).toISOString();
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
    // Empty: the run did not come to know its target. Whoever started it may have given it anything.
    owner, runbook: type, target: typeof target === 'string' && target.length <= LONGEST_TARGET ? target : '', sharesTargetWith: [], lease: { maximumMs: lease.maximum, hostLossMs: lease.hostLoss }, priority: 'normal', alarm: notifications.alarm, forEvidence: { runId },
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
