import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { GUARDIAN_TYPE, guardianId } from '../../contracts/guardian.ts';
import { overdueSchema } from '../../contracts/internal-messages.ts';
import type { Owner } from '../../contracts/ledger.ts';
import { INTERNAL } from '../../contracts/messages.ts';
import { isOver } from '../../contracts/run-status.ts';
import { TASK_QUEUE } from '../../contracts/search-attributes.ts';
import { describeIfKnown } from './describe-if-known.ts';
import { argument } from './argument.ts';
import type { DeadRun, KernelActivities } from './kernel-activities.ts';
import { millis } from './event-time.ts';
import { eventsOf } from './run-history.ts';

/** Evidence that a guardian, or what writes evidence in the place of one, was to write. */
export interface Writing {
  /** The run that it is about. */
  runId: string | undefined;
  settlement: DeadRun['settlement'];
  /** When it was begun, by the server's clock: all was settled by then. */
  begunAtMs: number;
  isWritten: boolean;
}

const WRITE: keyof KernelActivities = 'writeEvidenceOfDeadRun';

/** Whether this is a guardian, or what writes evidence alone, and our workers' work. Anybody can start anything under the id of one. */
export function isGuardian(holder: WorkflowExecutionDescription | undefined): holder is WorkflowExecutionDescription {
  return holder?.type === GUARDIAN_TYPE && holder.taskQueue === TASK_QUEUE;
}

/** The newest guardian of a run. */
export async function describeGuardian(client: Client, owner: Owner): Promise<WorkflowExecutionDescription | undefined> {
  const holder = await describeIfKnown(client, guardianId(owner));
  return isGuardian(holder) ? holder : undefined;
}

/** What a guardian was to write, the oldest first. One that is over by itself has come to that. */
export async function readWritings(client: Client, guardian: WorkflowExecutionDescription): Promise<Writing[]> {
  const events = await eventsOf(client, guardian.workflowId, guardian.runId);
  const done = new Set(events.map((event) => String(event.activityTaskCompletedEventAttributes?.scheduledEventId)));
  return events.flatMap((event) => {
    const scheduled = event.activityTaskScheduledEventAttributes;
    if (scheduled?.activityType?.name !== WRITE) return [];
    const { end, settlement } = argument(scheduled.input) as DeadRun;
    return [{ runId: end?.runId, settlement, begunAtMs: millis(event.eventTime), isWritten: done.has(String(event.eventId)) }];
  });
}

/** See {@link KernelActivities.findOverdue}. */
export async function findOverdue(client: Client, owner: Owner): Promise<string | null> {
  const guardian = await describeGuardian(client, owner);
  if (!guardian || isOver(guardian.status.name)) return null;
  const told = (await eventsOf(client, guardian.workflowId, guardian.runId)).map((event) => event.signalExternalWorkflowExecutionInitiatedEventAttributes).findLast((sent) => sent?.signalName === INTERNAL.overdue);
  return told ? overdueSchema.parse(argument(told.input)).reason : null;
}
