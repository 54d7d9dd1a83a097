import { setTimeout as sleep } from 'node:timers/promises';
import type { Client, WorkflowHandle } from '@temporalio/client';
import type { Decision } from '../../contracts/gate.ts';
import { QUERIES, SIGNALS, type Decide, type DecisionSignal } from '../../contracts/messages.ts';
import type { RunRecord } from '../../contracts/record.ts';
import { CommandError, EXIT } from './exit.ts';
import { ANSWER_MS, type Answer } from './send-update.ts';

const LOOK_EVERY_MS = 200;

/**
 * Decides by signal, whose event carries the name that the server verified, and waits until the run says what became of it.
 *
 * @param look the command that shows the run
 * @throws CommandError when the run says nothing within ten seconds: the server keeps the signal all the same
 */
export async function decideBySignal(client: Client, handle: WorkflowHandle, { decision, ...message }: Decide, look: string): Promise<Answer<{ gate: string; outcome: string; by: string | null }>> {
  const gateNow = async () => (await handle.query<RunRecord>(QUERIES.record)).gates.findLast(({ name }) => name === message.gate);
  const seen = (await client.withDeadline(Date.now() + ANSWER_MS, gateNow))?.decisions.length ?? 0;
  const { identity } = client.options;
  // A run of an older worker keeps no identity.
  const isOurs = (one: Decision) => one.channel === 'signal' && one.decision === decision && (one.identity ?? identity) === identity;
  await handle.signal<[DecisionSignal]>(SIGNALS[decision], message);
  const until = Date.now() + ANSWER_MS;
  try {
    for (; Date.now() < until; await sleep(LOOK_EVERY_MS)) {
      const gate = await client.withDeadline(until, gateNow);
      const ours = gate?.decisions.slice(seen).find(isOurs);
      if (gate && ours) return ours.reason === null ? { result: { gate: gate.name, outcome: gate.outcome, by: ours.by } } : { refused: ours.reason };
      if (gate && gate.outcome !== 'open') return { refused: `gate "${gate.name}" had closed before it arrived: ${gate.outcome}` };
    }
  } catch (cause) {
    throw unheard(cause);
  }
  throw unheard();

  function unheard(cause?: unknown): CommandError {
    return new CommandError(EXIT.unreachable, `the signal was sent, and "${handle.workflowId}" has not said within ${ANSWER_MS / 1_000} s whether it counts; look with: ${look}`, { cause });
  }
}
