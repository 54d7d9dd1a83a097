import type { Client, WorkflowHandle } from '@temporalio/client';
import { NOTIFICATION_TYPE } from '../../contracts/notification.ts';

/** The workflows that deliver what a run, or its guardian, tells people. */
export async function deliveriesOf(client: Pick<Client, 'workflow'>, teller: Pick<WorkflowHandle, 'fetchHistory'>): Promise<WorkflowHandle[]> {
  const started = ((await teller.fetchHistory()).events ?? []).map(({ childWorkflowExecutionStartedEventAttributes: child }) => child).filter((child) => child?.workflowType?.name === NOTIFICATION_TYPE);
  return started.map((child) => client.workflow.getHandle(child?.workflowExecution?.workflowId ?? ''));
}
