import type { temporal } from '@temporalio/proto';
import type { OperationRecord } from '../../contracts/evidence.ts';
import { UPDATES } from '../../contracts/messages.ts';
import { identityOf, sendersIn } from './run-history.ts';

type HistoryEvent = temporal.api.history.v1.IHistoryEvent;
type Sender = Pick<OperationRecord, 'identity' | 'principal'>;

const UNKNOWN: Sender = { identity: null, principal: null };

/**
 * Adds to what operators did who sent it, as the server saw it. A run handles its messages in the order of its history, and what it
 * notes of each kind are the first of them: the n-th `pause` by signal is the n-th signal of that name.
 */
export function withSenders(operations: readonly OperationRecord[], events: HistoryEvent[]): OperationRecord[] {
  const sent = new Map<string, Sender[]>();
  for (const [kind, sender] of messagesOf(events)) {
    const before = sent.get(kind);
    if (before) before.push(sender);
    else sent.set(kind, [sender]);
  }
  return operations.map((operation) => ({ ...operation, ...(sent.get(`${operation.channel} ${operation.operation}`)?.shift() ?? UNKNOWN) }));
}

function messagesOf(events: HistoryEvent[]): [string, Sender][] {
  const senderOf = sendersIn(events);
  const requests = new Map(events.flatMap(({ workflowExecutionUpdateAdmittedEventAttributes: admitted }) => (admitted?.request ? [[admitted.request.meta?.updateId, admitted.request] as const] : [])));
  // What a handler refused after all was not done, and is not noted.
  const refused = new Set(events.flatMap(({ workflowExecutionUpdateCompletedEventAttributes: completed }) => (completed?.outcome?.failure ? [completed.meta?.updateId] : [])));
  return events.flatMap((event): [string, Sender][] => {
    const signal = event.workflowExecutionSignaledEventAttributes;
    if (signal) return [[`signal ${signal.signalName}`, { identity: identityOf(signal), principal: senderOf(event) }]];
    const accepted = event.workflowExecutionUpdateAcceptedEventAttributes;
    // A reset writes down the request by itself, and names it when it is accepted.
    const request = accepted?.acceptedRequest ?? requests.get(accepted?.protocolInstanceId ?? '');
    const name = request?.input?.name ?? '';
    if (!accepted || !Object.hasOwn(UPDATES, name) || refused.has(request?.meta?.updateId ?? '')) return [];
    // The worker writes that event: the name that the server stamps on it is the worker's.
    return [[`update ${name}`, { identity: identityOf(request?.meta), principal: null }]];
  });
}
