import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import type { temporal } from '@temporalio/proto';
import { GUARDIAN_TYPE, guardianId } from '../../contracts/guardian.ts';
import { overdueSchema } from '../../contracts/internal-messages.ts';
import type { Owner } from '../../contracts/ledger.ts';
import { INTERNAL } from '../../contracts/messages.ts';
import { isOver } from '../../contracts/run-status.ts';
import { TASK_QUEUE } from '../../contracts/search-attributes.ts';
import { describeIfKnown } from './describe-if-known.ts';

type HistoryEvent = temporal.api.history.v1.IHistoryEvent;

/** Whether this is a guardian, or what writes evidence alone, and our workers' work. Anybody can start anything under the id of one. */
function isGuardian(holder: WorkflowExecutionDescription | undefined): holder is WorkflowExecutionDescription {
  return holder?.type === GUARDIAN_TYPE && holder.taskQueue === TASK_QUEUE;
}

/** The newest guardian of a run. */
async function describeGuardian(client: Client, owner: Owner): Promise<WorkflowExecutionDescription | undefined> {
  const holder = await describeIfKnown(client, guardianId(owner));
  return isGuardian(holder) ? holder : undefined;
}

/** See {@link KernelActivities.findOverdue}. */
export async function findOverdue(client: Client, owner: Owner): Promise<string | null> {
  const guardian = await describeGuardian(client, owner);
  if (!guardian || isOver(guardian.status.name)) return null;
  const told = (await eventsOf(client, guardian)).map((event) => event.signalExternalWorkflowExecutionInitiatedEventAttributes).findLast((sent) => sent?.signalName === INTERNAL.overdue);
  return told ? overdueSchema.parse(firstOf(told.input)).reason : null;
}

async function eventsOf(client: Client, { workflowId, runId }: WorkflowExecutionDescription): Promise<HistoryEvent[]> {
  return (await client.workflow.getHandle(workflowId, runId).fetchHistory()).events ?? [];
}

function firstOf(input: temporal.api.common.v1.IPayloads | null | undefined): unknown {
  const [payload] = input?.payloads ?? [];
  return payload ? defaultPayloadConverter.fromPayload(payload) : undefined;
}
