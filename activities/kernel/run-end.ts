import { Context } from '@temporalio/activity';
import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import proto from '@temporalio/proto';
import type { Owner } from '../../contracts/ledger.ts';
import { describeIfKnown } from './describe-if-known.ts';
import type { RunEnd } from './kernel-activities.ts';

const { HistoryEventFilterType } = proto.temporal.api.enums.v1;

/** Half of the shortest sensible heartbeat time-out of a long poll. */
const HEARTBEAT_MS = 2_000;

/**
 * Waits until a run, or what it was reset to or continued as, is closed. Heartbeats, so that another worker takes over
 * when this one dies; ends at once when cancelled.
 */
export async function awaitRunEnd(client: Client, owner: Owner): Promise<RunEnd> {
  const context = Context.current();
  const heart = setInterval(() => context.heartbeat(), HEARTBEAT_MS);
  try {
    for (;;) {
      const description = await latestRun(client, owner);
      if (!description) return unknownEnd();
      const end = endOf(description);
      if (end) return end;
      // Who is cancelled leaves the question behind: the workers' connection cannot take one back, and it ends by itself.
      await Promise.race([askForClose(client, owner.workflowId, description.runId), context.cancelled]);
    }
  } finally {
    clearInterval(heart);
  }
}

/** How a run ended, or what it was reset to or continued as; null while it lives. */
export async function findRunEnd(client: Client, owner: Owner): Promise<RunEnd | null> {
  const description = await latestRun(client, owner);
  return description ? endOf(description) ?? null : unknownEnd();
}

/** Comes back when the run is closed, or when the server, after some 20 s, has waited long enough for that. */
async function askForClose(client: Client, workflowId: string, runId: string): Promise<void> {
  await client.workflowService.getWorkflowExecutionHistory({
    namespace: client.options.namespace, execution: { workflowId, runId }, waitNewEvent: true, skipArchival: true,
    historyEventFilterType: HistoryEventFilterType.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT,
  });
}

/** Describes the newest run of an owner, also where its workflow id belongs to somebody else now; undefined when it is gone. */
export async function latestRun(client: Client, owner: Owner): Promise<WorkflowExecutionDescription | undefined> {
  const description = await describeIfKnown(client, owner.workflowId);
  if (!description || isLifeOf(owner, description)) return description;
  let newest = await describeIfKnown(client, owner.workflowId, owner.firstExecutionRunId);
  // What each was reset to last. A server that has forgotten one of them still has what that one was made of.
  for (let next = newest; next; next = await resetOf(client, next)) newest = next;
  return newest;
}

/** Whether a run is one of an owner's lives: the first, or what one of them was reset to. */
export function isLifeOf(owner: Owner, { runId, raw }: WorkflowExecutionDescription): boolean {
  return runId === owner.firstExecutionRunId || raw.workflowExecutionInfo?.firstRunId === owner.firstExecutionRunId;
}

async function resetOf(client: Client, { workflowId, raw }: WorkflowExecutionDescription): Promise<WorkflowExecutionDescription | undefined> {
  const runId = raw.workflowExtendedInfo?.resetRunId;
  return runId ? describeIfKnown(client, workflowId, runId) : undefined;
}

/** Of a run that the server no longer has. */
function unknownEnd(): RunEnd {
  return { status: 'terminated', runId: '', closedAtMs: Date.now() };
}

function endOf(description: WorkflowExecutionDescription): RunEnd | undefined {
  const status = ({ COMPLETED: 'completed', FAILED: 'failed', CANCELLED: 'cancelled', TERMINATED: 'terminated', TIMED_OUT: 'timedOut' } as const)[
    description.status.name as 'COMPLETED'
  ] as RunEnd['status'] | undefined;
  return status && { status, runId: description.runId, closedAtMs: description.closeTime?.getTime() ?? Date.now() };
}
