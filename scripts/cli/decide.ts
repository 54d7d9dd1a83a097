import { WorkflowUpdateFailedError, type WorkflowHandle } from '@temporalio/client';
import { QUERIES, UPDATES, type Decide, type Progress } from '../../contracts/messages.ts';
import { reasonOf, withClient } from './connect.ts';
import { CommandError, EXIT, type ExitCode } from './exit.ts';
import type { TemporalOptions } from './options.ts';
import { note, plain, print, systemUser } from './output.ts';

export interface DecideOptions extends TemporalOptions {
  gate?: string;
  by?: string;
  comment?: string;
  planHash?: string;
}

/** `runbook approve`. */
export function approve(workflowId: string, options: DecideOptions): Promise<ExitCode> {
  return decide('approve', workflowId, options);
}

/** `runbook reject`. */
export function reject(workflowId: string, options: DecideOptions): Promise<ExitCode> {
  return decide('reject', workflowId, options);
}

/** Decides by update, bound to the plan that is being approved, and says at once whether it counted. */
function decide(decision: 'approve' | 'reject', workflowId: string, options: DecideOptions): Promise<ExitCode> {
  return withClient(options, async ({ client }) => {
    const handle = client.workflow.getHandle(workflowId);
    await refuseClosed(handle, decision);
    const answer = await client.withDeadline(Date.now() + 10_000, async () => {
      const [progress, plan] = await Promise.all([handle.query<Progress>(QUERIES.progress), handle.query<{ hash: string | null }>(QUERIES.plan)]);
      return { progress, plan };
    }).catch((error: unknown) => { throw new CommandError(EXIT.unreachable, `no worker answers for "${workflowId}" (${reasonOf(error)}): start one with \`runbook worker\`, or send the signal: temporal workflow signal --workflow-id '${workflowId}' --name ${decision}`, { cause: error }); });
    const open = answer.progress.openGate;
    if (!open) throw new CommandError(EXIT.usage, `no gate of "${workflowId}" is open (it is at: ${answer.progress.phase}); nothing was sent`);
    const by = options.by ?? systemUser();
    const planHash = options.planHash ?? answer.plan.hash;
    if (planHash !== null && options.planHash !== undefined && !open.planHash.startsWith(planHash)) {
      throw new CommandError(EXIT.usage, `the plan of gate "${open.name}" is ${open.planHash.slice(0, 12)}, not ${planHash.slice(0, 12)}; look at it again with: runbook status ${workflowId}`);
    }
    const message: Decide = {
      gate: options.gate ?? open.name, decision, by,
      ...(options.comment === undefined ? {} : { comment: options.comment }),
      // What people copy is the short form; what counts is the whole hash, which the server compares once more.
      planHash: options.planHash === undefined ? (planHash ?? open.planHash) : open.planHash,
    };
    try {
      const counted = await handle.executeUpdate<{ gate: string; outcome: string }, [Decide]>(UPDATES.decide, { args: [message] });
      const sent = { ...message, counted: true, outcome: counted.outcome, workflowId };
      print(options, sent, () => [outcomeSentence(decision, by, counted, open.quorum)]);
      return EXIT.done;
    } catch (error) {
      if (!(error instanceof WorkflowUpdateFailedError)) throw error;
      const reason = error.cause?.message ?? error.message;
      if (options.json) print(options, { ...message, counted: false, reason, workflowId }, () => []);
      else note(`did not count: ${plain(reason)}`);
      return EXIT.usage;
    }
  });
}

/** A closed run is no wrong id: say how it ended instead of what the server thinks of the update. */
export async function refuseClosed(handle: WorkflowHandle, what: string): Promise<void> {
  const { status } = await handle.describe();
  if (status.name !== 'RUNNING') throw new CommandError(EXIT.usage, `"${handle.workflowId}" has ended (${status.name.toLowerCase()}); ${what} changes nothing`);
}

function outcomeSentence(decision: string, by: string, { gate, outcome }: { gate: string; outcome: string }, quorum: number): string {
  const counted = `${decision} by ${plain(by)} counts at gate "${gate}"`;
  return outcome === 'open' ? `${counted}; the gate needs ${quorum} approvals and waits for the others` : `${counted}: ${outcome}`;
}
