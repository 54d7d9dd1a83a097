import type { Operator } from '../../contracts/messages.ts';
import { SIGNALS, UPDATES } from '../../contracts/messages.ts';
import { withClient } from './connect.ts';
import { CommandError, EXIT, type ExitCode } from './exit.ts';
import type { TemporalOptions } from './options.ts';
import { plain, print, systemUser } from './output.ts';
import { signalCommand } from './printed-command.ts';
import { refuseClosed, sendUpdate } from './send-update.ts';

/** Who asks, which is the user of this system where it is left out, and why. */
export interface OperateOptions extends TemporalOptions { by?: string; reason?: string }

/** What is true after each operation. */
const AFTERWARDS = {
  pause: 'it pauses before its next step; what it owns stays until the lease ends',
  resume: 'it goes on',
  abort: 'it undoes what it did and ends',
} as const;

function operate(operation: keyof typeof AFTERWARDS): (workflowId: string, options: OperateOptions) => Promise<ExitCode> {
  return (workflowId, options) => withClient(options, async ({ client }) => {
    const handle = client.workflow.getHandle(workflowId);
    await refuseClosed(handle, operation);
    const operator: Operator = { by: options.by ?? systemUser(), ...(options.reason === undefined ? {} : { reason: options.reason }) };
    const answer = await sendUpdate<string>(client, handle, { name: UPDATES[operation], argument: operator, instead: signalCommand(options, workflowId, SIGNALS[operation], operator) });
    if (answer.refused !== undefined) throw new CommandError(EXIT.usage, `${operation} was refused: ${answer.refused}`);
    print(options, { workflowId, operation, ...operator, phase: answer.result }, () => [`${operation}: ${AFTERWARDS[operation]} (it is at: ${plain(answer.result)})`]);
    return EXIT.done;
  });
}

/** `runbook pause`. */
export const pause = operate('pause');
/** `runbook resume`. */
export const resume = operate('resume');
/** `runbook abort`. */
export const abort = operate('abort');
