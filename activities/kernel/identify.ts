import type { Client } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';
import { millis } from './event-time.ts';
import type { DecisionEvent, IdentifyDecisionInput, IdentifyDecisionsInput, IdentifyUpdateInput, SentDecision, UpdateEvent } from './kernel-activities.ts';
import { eventsOf, identityOf, sendersIn } from './run-history.ts';

type HistoryEvent = temporal.api.history.v1.IHistoryEvent;

/** Finds the event of the n-th signal of a name, and whether it could have been sent by somebody who saw the gate. */
export async function identifyDecision(client: Client, { signal, ordinal, ...input }: IdentifyDecisionInput): Promise<DecisionEvent> {
  const [found] = await identifyDecisions(client, { ...input, decisions: [{ signal, ordinal }] });
  return found as DecisionEvent;
}

/** Finds the event with which an update was accepted. */
export async function identifyUpdate(client: Client, { workflowId, runId, updateId }: IdentifyUpdateInput): Promise<UpdateEvent> {
  return updateIn(await eventsOf(client, workflowId, runId), updateId, workflowId);
}

/** The same for many decisions, in their order, with one look at the history. */
export async function identifyDecisions(client: Client, { workflowId, runId, decisions, gateOpenedAtMs }: IdentifyDecisionsInput): Promise<DecisionEvent[]> {
  const events = await eventsOf(client, workflowId, runId);
  const signalsOf = (name: string) => events.filter((event) => event.workflowExecutionSignaledEventAttributes?.signalName === name);
  const signals = { approve: signalsOf('approve'), reject: signalsOf('reject') };
  const senderOf = sendersIn(events);
  const visibleMs = visibleSince(events, gateOpenedAtMs);
  return decisions.map((sent: SentDecision): DecisionEvent => {
    if ('updateId' in sent) return { beforeGateWasVisible: false, ...updateIn(events, sent.updateId, workflowId) };
    const event = signals[sent.signal][sent.ordinal - 1];
    if (!event) throw new Error(`signal ${sent.signal} number ${sent.ordinal} is not in the history of ${workflowId} yet`);
    const atMs = millis(event.eventTime);
    return { atMs, identity: identityOf(event.workflowExecutionSignaledEventAttributes), principal: senderOf(event), beforeGateWasVisible: visibleMs !== undefined && atMs < visibleMs };
  });
}

/** A gate is visible once the task that opened it is completed; a signal from before that was meant for something else. */
function visibleSince(events: readonly HistoryEvent[], gateOpenedAtMs: number): number | undefined {
  const opening = events.findIndex((event) => event.workflowTaskStartedEventAttributes && Math.abs(millis(event.eventTime) - gateOpenedAtMs) <= 1);
  const visible = opening === -1 ? undefined : events.slice(opening).find((event) => event.workflowTaskCompletedEventAttributes);
  return visible && millis(visible.eventTime);
}

/** The worker writes the event of an update, so the server stamps the worker's name on it: whose update it is, nobody vouches for. */
function updateIn(events: readonly HistoryEvent[], updateId: string, workflowId: string): UpdateEvent {
  const event = events.find(({ workflowExecutionUpdateAcceptedEventAttributes: accepted }) => accepted?.acceptedRequest?.meta?.updateId === updateId || accepted?.protocolInstanceId === updateId);
  if (!event) throw new Error(`update ${updateId} is not in the history of ${workflowId} yet`);
  return { atMs: millis(event.eventTime), identity: identityOf(event.workflowExecutionUpdateAcceptedEventAttributes?.acceptedRequest?.meta), principal: null };
}
