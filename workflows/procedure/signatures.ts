import { ActivityFailure, isCancellation, workflowInfo } from '@temporalio/workflow';
import type { VerifiedSignature } from '../../activities/kernel/kernel-activities.ts';
import { approvalStatement } from '../../contracts/approval.ts';
import { planShownSinceMs } from './gate-record.ts';
import { readMessage } from './kernel-activities.ts';
import type { OpenGate, PendingDecision, RunState } from './run-state.ts';
import { instantOf } from './wait.ts';

/** So many signatures are checked at once, each with what it is over: that has to fit into one event, too. */
const MOST_SIGNATURES = 100;

/** Who has signed these decisions, each of which has a signature. */
export async function checkSignatures(state: RunState, gate: OpenGate, signed: readonly PendingDecision[]): Promise<Map<PendingDecision, VerifiedSignature>> {
  const verified = new Map<PendingDecision, VerifiedSignature>();
  for (let from = 0; from < signed.length; from += MOST_SIGNATURES) {
    const part = signed.slice(from, from + MOST_SIGNATURES);
    const answers = await unlessTooLate(() => readMessage.verifySignatures({ signed: part.map((pending) => signedBy(state, gate, pending)) }));
    for (const [index, pending] of part.entries()) verified.set(pending, answers?.[index] ?? UNCHECKED);
  }
  return verified;
}

/** Who has signed a decision that has a signature. */
export async function checkSignature(state: RunState, gate: OpenGate, pending: PendingDecision): Promise<VerifiedSignature> {
  return await unlessTooLate(() => readMessage.verifySignature(signedBy(state, gate, pending))) ?? UNCHECKED;
}

const UNCHECKED: VerifiedSignature = { refused: 'no worker could check its signature in time; send it again' };

/** Undefined where no worker came to an answer. */
async function unlessTooLate<T>(check: () => Promise<T>): Promise<T | undefined> {
  try {
    return await check();
  } catch (error) {
    if (!(error instanceof ActivityFailure) || isCancellation(error)) throw error;
    return undefined;
  }
}

/** A signature, and what has to be signed to decide like this at this gate: {@link approvalStatement}. */
function signedBy({ record }: RunState, gate: OpenGate, { decision, comment, signature = '' }: PendingDecision): { signature: string; statement: string } {
  return {
    signature,
    statement: approvalStatement({ runbook: record.runbook, target: record.target, owner: record.owner, runId: workflowInfo().runId, gate: gate.name, planShownAt: instantOf(planShownSinceMs(gate)), planHash: gate.record.planHash, decision, comment }),
  };
}
