import type { Client, WorkflowHandle } from '@temporalio/client';
import { approvalStatement, type ApprovalStatement } from '../../contracts/approval.ts';
import { shortHash } from '../../contracts/deciding.ts';
import { namesPlan, PLAN_HASH } from '../../contracts/gate.ts';
import { QUERIES, SIGNALS, UPDATES, type Decide, type Progress } from '../../contracts/messages.ts';
import type { RunRecord } from '../../contracts/record.ts';
import { RUNBOOKS } from '../../contracts/runbooks.ts';
import { ANSWER_MS, ask } from './ask.ts';
import { withClient } from './connect.ts';
import { decideBySignal } from './decide-by-signal.ts';
import { CommandError, EXIT, type ExitCode } from './exit.ts';
import type { TemporalOptions } from './options.ts';
import { note, plain, print, systemUser } from './output.ts';
import { ourCommand, signalCommand } from './printed-command.ts';
import { refuseClosed, sendUpdate, unanswered } from './send-update.ts';
import { signStatement } from './sign-statement.ts';
import { silenceOf } from './silence.ts';

/**
 * Without `gate`, the open one; without `by`, the user of this system; without `planHash`,
 * that of the present plan, and evidence says so.
 */
export interface DecideOptions extends TemporalOptions {
  gate?: string;
  by?: string;
  comment?: string;
  planHash?: string;
  /** File of an SSH key that signs the decision. */
  sign?: string;
}

/** `runbook approve`. */
export function approve(workflowId: string, options: DecideOptions): Promise<ExitCode> {
  return decide('approve', workflowId, options);
}

/** `runbook reject`. */
export function reject(workflowId: string, options: DecideOptions): Promise<ExitCode> {
  return decide('reject', workflowId, options);
}

/** Decides, bound to the plan that is being approved, and says whether it counted: by update at once, by signal where only a verified name counts, which no update brings. */
function decide(decision: 'approve' | 'reject', workflowId: string, options: DecideOptions): Promise<ExitCode> {
  const seen = options.planHash;
  if (seen !== undefined && !PLAN_HASH.test(seen)) return Promise.reject(new CommandError(EXIT.usage, `--plan-hash "${seen}" is no hash of a plan: give all of it, or its first 32 digits or more, as \`${ourCommand(options, 'status', workflowId)}\` shows it`));
  return withClient(options, async ({ client }) => {
    const handle = client.workflow.getHandle(workflowId);
    const type = await refuseClosed(handle, decision);
    // Whose key signs is who decides: the user of this system need not be called like that.
    const by = options.by ?? (options.sign === undefined ? systemUser() : undefined);
    // As the decision itself, bound to the plan that was looked at. What was to be signed counts for nothing without that.
    const instead = (gate: string, about: Pick<Decide, 'planHash' | 'planHashFilledIn'>) => (options.sign === undefined
      ? signalCommand(options, workflowId, SIGNALS[decision], { gate, by: by ?? systemUser(), ...(options.comment === undefined ? {} : { comment: options.comment }), ...about })
      : undefined);
    const progress = await ask<Progress>(client, handle, QUERIES.progress).catch(async (error: unknown) => {
      // A signal that names no gate counts only where no name is asked for.
      throw unanswered(await silenceOf(client, handle, error), workflowId, instead(options.gate ?? RUNBOOKS[type]?.gates[0] ?? 'start', seen === undefined ? {} : { planHash: seen }), { cause: error });
    });
    const open = progress.openGate;
    if (!open) throw new CommandError(EXIT.usage, `no gate of "${workflowId}" is open (it is at: ${progress.phase}); nothing was sent`);
    if (seen !== undefined && !namesPlan(seen, open.planHash)) {
      throw new CommandError(EXIT.usage, `the plan of gate "${open.name}" is ${shortHash(open.planHash)}, not ${shortHash(seen)}; look at it again with: ${ourCommand(options, 'status', workflowId)}`);
    }
    // What counts is the whole hash, which the run compares once more. Honest about whose
    // it is: the evidence must not say that somebody named a plan whom nobody asked.
    const about = { planHash: open.planHash, ...(seen === undefined ? { planHashFilledIn: true } : {}) };
    const message: Decide = {
      gate: options.gate ?? open.name, decision,
      ...(by === undefined ? {} : { by }),
      ...(options.comment === undefined ? {} : { comment: options.comment }),
      ...about,
    };
    if (options.sign !== undefined) message.signature = await signStatement(options.sign, approvalStatement({ ...await signedRun(client, handle), gate: message.gate, planShownAt: open.planShownAt ?? open.openedAt, planHash: open.planHash, decision, comment: message.comment ?? null }));
    const answer = open.assurance === 'principal' && message.gate === open.name
      ? await decideBySignal(client, handle, message, open.quorum, ourCommand(options, 'status', workflowId))
      : await sendUpdate<{ gate: string; outcome: string }>(client, handle, { name: UPDATES.decide, argument: message, instead: instead(message.gate, about) });
    if (answer.refused !== undefined) {
      if (options.json) print(options, { ...message, counted: false, reason: answer.refused, workflowId }, () => []);
      else note(`did not count: ${plain(answer.refused)}`);
      return EXIT.usage;
    }
    const sent = { ...message, ...answer.result, counted: true, workflowId };
    print(options, sent, () => [outcomeSentence(decision, sent.by ?? null, answer.result, open.quorum)]);
    return EXIT.done;
  });
}

/** What of the run a signature is over. */
async function signedRun(client: Client, handle: WorkflowHandle): Promise<Pick<ApprovalStatement, 'runbook' | 'target' | 'owner' | 'runId'>> {
  const [{ runbook, target, owner }, { runId }] = await Promise.all([ask<RunRecord>(client, handle, QUERIES.record), client.withDeadline(Date.now() + ANSWER_MS, () => handle.describe())]);
  return { runbook, target, owner, runId };
}

function outcomeSentence(decision: string, by: string | null, { gate, outcome }: { gate: string; outcome: string }, quorum: number): string {
  const counted = `${decision} by ${plain(by ?? 'an unnamed person')} counts at gate "${gate}"`;
  return outcome === 'open' ? `${counted}; the gate needs ${quorum} approvals and waits for the others` : `${counted}: ${outcome}`;
}
