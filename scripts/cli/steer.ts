import { readFile } from 'node:fs/promises';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { parseDurationMs } from '../../contracts/duration.ts';
import { QUERIES, UPDATES, type ExtendDeadline, type Progress, type RetryStep, type SkipStep } from '../../contracts/messages.ts';
import { ask } from './ask.ts';
import { withClient } from './connect.ts';
import { CommandError, EXIT, type ExitCode } from './exit.ts';
import type { TemporalOptions } from './options.ts';
import { plain, print, systemUser } from './output.ts';
import { refuseClosed, sendUpdate, unanswered } from './send-update.ts';
import { silenceOf } from './silence.ts';

/** Without `step`, the one that waits; there can be one at a time. */
export interface StepChoice extends TemporalOptions { step?: string; by?: string; reason?: string }
/** Another input as JSON, in the command or in a file; without either, the step gets the one that it had. */
export interface RetryOptions extends StepChoice { input?: string; inputFile?: string }
/** `until` an instant, or `for` a duration from the present expiry on: one of the two. */
export interface ExtendOptions extends TemporalOptions { gate?: string; until?: string; for?: string; by?: string; reason?: string }

/** `runbook retry`: tries the failed step again that waits for an operator. */
export function retry(workflowId: string, options: RetryOptions): Promise<ExitCode> {
  return steer(workflowId, options, UPDATES.retryStep, async (progress) => {
    const input = await inputOf(options);
    return { ...stepUpdate(progress, workflowId, options), ...(input === undefined ? {} : { input }) } satisfies RetryStep;
  });
}

/** `runbook skip`: goes on without the step that waits, where its runbook allows that. */
export function skip(workflowId: string, options: StepChoice): Promise<ExitCode> {
  return steer(workflowId, options, UPDATES.skipStep, (progress) => stepUpdate(progress, workflowId, options) satisfies SkipStep);
}

/** `runbook extend`: moves the expiry of the open gate. */
export function extend(workflowId: string, options: ExtendOptions): Promise<ExitCode> {
  return steer(workflowId, options, UPDATES.extendDeadline, (progress) => {
    const gate = progress.openGate;
    if (!gate) throw new CommandError(EXIT.usage, `no gate of "${workflowId}" is open (it is at: ${plain(progress.phase)}); nothing was sent`);
    return { gate: options.gate ?? gate.name, until: untilOf(options, gate.expiresAt), by: options.by ?? systemUser(), ...(options.reason === undefined ? {} : { reason: options.reason }) } satisfies ExtendDeadline;
  });
}

function steer(workflowId: string, options: TemporalOptions, name: string, make: (progress: Progress) => object | Promise<object>): Promise<ExitCode> {
  return withClient(options, async ({ client }) => {
    const handle = client.workflow.getHandle(workflowId);
    await refuseClosed(handle, name);
    const argument = await make(await progressOf(client, handle));
    const answer = await sendUpdate<unknown>(client, handle, { name, argument });
    if (answer.refused !== undefined) throw new CommandError(EXIT.usage, `${name} was refused: ${answer.refused}`);
    const { result } = answer;
    print(options, { workflowId, operation: name, ...argument, result }, () => [typeof result === 'string' ? plain(result) : `${name}: ${plain(JSON.stringify(result))}`]);
    return EXIT.done;
  });
}

async function progressOf(client: Client, handle: WorkflowHandle): Promise<Progress> {
  return ask<Progress>(client, handle, QUERIES.progress).catch(async (error: unknown) => {
    throw unanswered(await silenceOf(client, handle, error), handle.workflowId, undefined, { cause: error });
  });
}

/** Of the only step that can wait, where none is named. */
function stepUpdate({ waitingStep, phase }: Progress, workflowId: string, { step, by, reason }: StepChoice): SkipStep {
  if (!waitingStep) throw new CommandError(EXIT.usage, `no step of "${workflowId}" waits for an operator (it is at: ${plain(phase)}); nothing was sent`);
  if (reason === undefined || reason.trim() === '') throw new CommandError(EXIT.usage, 'say why with --reason: it goes into the evidence');
  return { step: step ?? waitingStep.name, by: by ?? systemUser(), reason };
}

async function inputOf({ input, inputFile }: RetryOptions): Promise<unknown> {
  if (input !== undefined && inputFile !== undefined) throw new CommandError(EXIT.usage, 'give the input with --input or with --input-file, not with both');
  const text = input ?? (inputFile === undefined ? undefined : await readFile(inputFile, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new CommandError(EXIT.usage, `${inputFile} cannot be read (${cause.code ?? cause.message})`, { cause });
  }));
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new CommandError(EXIT.usage, `the input is not JSON (${(cause as Error).message})`, { cause });
  }
}

function untilOf({ until, for: duration }: ExtendOptions, expiresAt: string): string {
  if ((until === undefined) === (duration === undefined)) throw new CommandError(EXIT.usage, 'say to when with --until 2026-12-31T18:00:00Z, or by how much with --for 4h');
  if (until !== undefined) return until;
  const ms = parseDurationMs(duration ?? '');
  if (ms === undefined) throw new CommandError(EXIT.usage, `"${duration}" is not a duration; write a number and a unit, as in 30m or 4h`);
  return new Date(Date.parse(expiresAt) + ms).toISOString();
}
