import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';
import { z } from 'zod';
import { GUARDIAN_TYPE, guardianId } from '../../contracts/guardian.ts';
import { undoActivityId, type Owner, type Undone } from '../../contracts/ledger.ts';
import { argument } from './argument.ts';
import { millis, timeOf } from './event-time.ts';
import { historyIfKnown, type Lives } from './run-history.ts';

type HistoryEvent = temporal.api.history.v1.IHistoryEvent;

/** A guardian that the server knew or knows, from the run's side. */
interface Started { runId: string; atMs: number }

/** `newest`: the guardian that is described under the owner's id now. `besides`: the run id of one that is left out of `known`. */
interface Whose { owner: Owner; lives: Lives; newest: WorkflowExecutionDescription | undefined; besides?: string | undefined }

/** Who guarded a run's lives, the oldest first, and what the server still knows of them: histories, by run id. */
export async function readGuardians(client: Client, { owner, lives, newest, besides }: Whose): Promise<{ started: Started[]; known: Map<string, HistoryEvent[]> }> {
  const told = [...lives.histories.values()].flat().flatMap(startedGuardian);
  const started = [...told, ...(newest ? [{ runId: newest.runId, atMs: newest.startTime.getTime() }] : [])].sort((a, b) => a.atMs - b.atMs);
  const known = new Map<string, HistoryEvent[]>();
  for (const runId of new Set(started.map((one) => one.runId))) {
    const history = runId === besides ? undefined : await historyIfKnown(client, guardianId(owner), runId);
    if (history) known.set(runId, history);
  }
  return { started, known };
}

function startedGuardian({ childWorkflowExecutionStartedEventAttributes: started, eventTime }: HistoryEvent): Started[] {
  const runId = started?.workflowType?.name === GUARDIAN_TYPE ? started.workflowExecution?.runId : undefined;
  return runId ? [{ runId, atMs: millis(eventTime) }] : [];
}

/** What guardians came to undo, whatever became of them then; the oldest first. */
export function undoneIn(guardians: ReadonlyMap<string, readonly HistoryEvent[]>): Undone[] {
  return [...guardians.values()].flatMap(undoneBy).sort((a, b) => (a.finishedAt < b.finishedAt ? -1 : 1));
}

function undoneBy(history: readonly HistoryEvent[]): Undone[] {
  const begun = new Map<string, { activityId: string; startedAt: string }>();
  return history.flatMap((event) => {
    const activityId = event.activityTaskScheduledEventAttributes?.activityId ?? '';
    if (activityId.startsWith(undoActivityId(''))) begun.set(String(event.eventId), { activityId, startedAt: timeOf(event) });
    const done = event.activityTaskCompletedEventAttributes;
    const of = done && begun.get(String(done.scheduledEventId));
    if (!of) return [];
    const { detail } = z.object({ detail: z.string() }).catch({ detail: '' }).parse(argument(done.result));
    return [{ ...of, finishedAt: timeOf(event), detail: detail === '' ? null : detail }];
  });
}
