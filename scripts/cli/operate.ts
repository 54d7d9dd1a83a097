import { WorkflowUpdateFailedError } from '@temporalio/client';
import { UPDATES, type Operator } from '../../contracts/messages.ts';
import { withClient } from './connect.ts';
import { refuseClosed } from './decide.ts';
import { CommandError, EXIT, type ExitCode } from './exit.ts';
import type { TemporalOptions } from './options.ts';
import { plain, print, systemUser } from './output.ts';

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
    try {
      const phase = await handle.executeUpdate<string, [Operator]>(UPDATES[operation], { args: [operator] });
      print(options, { workflowId, operation, ...operator, phase }, () => [`${operation}: ${AFTERWARDS[operation]} (it is at: ${plain(phase)})`]);
      return EXIT.done;
    } catch (error) {
      if (!(error instanceof WorkflowUpdateFailedError)) throw error;
      throw new CommandError(EXIT.failed, `${operation} was refused: ${error.cause?.message ?? error.message}`, { cause: error });
    }
  });
}

/** `runbook pause`. */
export const pause = operate('pause');
/** `runbook resume`. */
export const resume = operate('resume');
/** `runbook abort`. */
export const abort = operate('abort');
