import { WorkflowUpdateFailedError, type Client, type WorkflowHandle } from '@temporalio/client';
import { isOver } from '../../contracts/run-status.ts';
import { ANSWER_MS } from './ask.ts';
import { CommandError, EXIT } from './exit.ts';
import { silenceOf, type Silence } from './silence.ts';

/** What became of an update, or of a decision: what the run answered, or why it refused. */
export type Answer<Result> = { result: Result; refused?: undefined } | { result?: undefined; refused: string };

/**
 * Sends an update to a run and waits ten seconds for its answer. `instead`: the signal with the same meaning, as a command, where there is one.
 *
 * @throws CommandError that says why nobody answers, and what the server would keep until somebody does
 */
export async function sendUpdate<Result>(client: Client, handle: WorkflowHandle, update: { name: string; argument: object; instead?: string | undefined }): Promise<Answer<Result>> {
  try {
    return { result: await client.withDeadline(Date.now() + ANSWER_MS, () => handle.executeUpdate<Result, [object]>(update.name, { args: [update.argument] })) };
  } catch (error) {
    if (error instanceof WorkflowUpdateFailedError) return { refused: error.cause?.message ?? error.message };
    throw unanswered(await silenceOf(client, handle, error), handle.workflowId, update.instead, { cause: error, sent: update.name });
  }
}

/**
 * Nobody carries the run on: what to do, and the signal that need not wait for it. `sent`: the update that was sent in vain,
 * which the server may have kept.
 */
export function unanswered({ noWorker, sentence }: Silence, workflowId: string, instead: string | undefined, { cause, sent }: { cause: unknown; sent?: string }): CommandError {
  const kept = sent === undefined ? '' : ` (a worker that starts soon may still carry out the ${sent} that was sent now)`;
  return new CommandError(EXIT.unreachable, noWorker
    ? `no worker answers for "${workflowId}"${kept}: start one with \`runbook worker\`${instead === undefined ? '' : `, or send a signal, which the server keeps until one does: ${instead}`}`
    : `"${workflowId}" does not answer${kept}: ${sentence}`, { cause });
}

/** A closed run is no wrong id: say how it ended instead of what the server thinks of the update. Returns the type of one that runs. */
export async function refuseClosed(handle: WorkflowHandle, what: string): Promise<string> {
  const { status, type } = await handle.describe();
  if (isOver(status.name)) throw new CommandError(EXIT.usage, `"${handle.workflowId}" has ended (${status.name.toLowerCase()}); ${what} changes nothing`);
  return type;
}
