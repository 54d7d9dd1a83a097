import { setTimeout as sleep } from 'node:timers/promises';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { ENOUGH_APPROVALS } from '../../contracts/deciding.ts';
import type { GateRecord } from '../../contracts/evidence.ts';
import type { Decision } from '../../contracts/gate.ts';
import { decisionSignalSchema, LIMITS_IN_WORDS, QUERIES, refusalLines, SIGNALS, type Decide, type DecisionSignal, type Refusals } from '../../contracts/messages.ts';
import type { RunRecord } from '../../contracts/record.ts';
import { ANSWER_MS, ask } from './ask.ts';
import { CommandError, EXIT } from './exit.ts';
import type { Answer } from './send-update.ts';

const LOOK_EVERY_MS = 200;

/**
 * Decides by signal, whose event carries the name that the server verified, and waits until the run says what became of it.
 *
 * @param quorum approvals that the gate needs
 * @param look the command that shows the run
 * @throws CommandError when the run says nothing within ten seconds: the server keeps the signal all the same
 */
export async function decideBySignal(client: Client, handle: WorkflowHandle, { decision, ...message }: Decide, quorum: number, look: string): Promise<Answer<{ gate: string; outcome: string; by: string | null }>> {
  // What the run cannot read as a decision it refuses without saying whose it was.
  if (!decisionSignalSchema.safeParse(message).success) return { refused: `a decision carries a name and may carry a comment, with ${LIMITS_IN_WORDS}; nothing was sent` };
  const recordNow = (withinMs: number) => ask<RunRecord>(client, handle, QUERIES.record, withinMs);
  const gateOf = ({ gates }: RunRecord) => gates.findLast(({ name }) => name === message.gate);
  const before = await recordNow(ANSWER_MS);
  // Not by their number: of those that are refused, some make way for the newest.
  const seen = new Set(gateOf(before)?.decisions.map(markOf));
  let meanwhile: string[] = [];
  const { identity } = client.options;
  // A run of an older worker keeps no identity.
  const isOurs = (one: Decision) => one.channel === 'signal' && one.decision === decision && (one.identity ?? identity) === identity;
  await handle.signal<[DecisionSignal]>(SIGNALS[decision], message);
  const until = Date.now() + ANSWER_MS;
  try {
    for (; Date.now() < until; await sleep(LOOK_EVERY_MS)) {
      const record = await recordNow(until - Date.now());
      meanwhile = refusalLines(refusedSince(before, record));
      const gate = gateOf(record);
      const ours = gate?.decisions.find((one) => !seen.has(markOf(one)) && isOurs(one));
      if (gate && ours) return ours.reason === null ? { result: { gate: gate.name, outcome: outcomeOf(gate, quorum), by: ours.by } } : { refused: ours.reason };
      if (gate && gate.outcome !== 'open') return { refused: `gate "${gate.name}" had closed before it arrived: ${gate.outcome}` };
    }
  } catch (cause) {
    throw unheard(cause);
  }
  throw unheard();

  function unheard(cause?: unknown): CommandError {
    return new CommandError(EXIT.unreachable, `the signal was sent, and "${handle.workflowId}" has not said within ${ANSWER_MS / 1_000} s whether it counts${['', ...meanwhile].join('; meanwhile ')}; look with: ${look}`, { cause });
  }
}

/** What tells one decision from another, also where it counts no longer. */
function markOf({ at, decision, by, identity, comment }: Decision): string {
  return JSON.stringify([at, decision, by, identity, comment]);
}

function refusedSince(before: Refusals, now: Refusals): Refusals {
  const refused = now.refused.filter((sentence) => !before.refused.includes(sentence));
  const count = ({ refused: kept, refusedLeftOut }: Refusals) => kept.length + refusedLeftOut;
  return { refused, refusedLeftOut: Math.max(count(now) - count(before) - refused.length, 0) };
}

/** A gate that has enough approvals and is open still looks at its plan. */
function outcomeOf({ outcome, decisions }: GateRecord, quorum: number): string {
  const approvals = decisions.filter(({ counted, decision }) => counted && decision === 'approve').length;
  return outcome === 'open' && approvals >= quorum ? ENOUGH_APPROVALS : outcome;
}
