import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { grpcCodeOf, INVALID_ARGUMENT } from './grpc-code.ts';

/** gRPC's status code. */
const UNIMPLEMENTED = 12;

/**
 * Runs of a workflow id in a server's lists; none where it has no lists, as the one that skips time. A list is a little behind.
 * Servers on SQL databases do not find an id with a backslash or a control character in it by any spelling of it: it is looked
 * for by what comes before that, and is not found where nothing does.
 * @param besides a further condition, beginning with AND
 */
export async function* listedById(client: Client, id: string, besides = ''): AsyncIterable<WorkflowExecutionInfo> {
  const [findable = ''] = /^[^\\\p{Cc}]*/u.exec(id) ?? [];
  if (findable === '') return;
  const text = `'${findable.replaceAll("'", "''")}'`;
  const query = `WorkflowId ${findable === id ? '=' : 'STARTS_WITH'} ${text}${besides}`;
  try {
    for await (const execution of client.workflow.list({ query })) if (execution.workflowId === id) yield execution;
  } catch (error) {
    const code = grpcCodeOf(error);
    const isUnanswerable = code === UNIMPLEMENTED || (code === INVALID_ARGUMENT && findable !== id);
    if (!isUnanswerable) throw error;
  }
}
