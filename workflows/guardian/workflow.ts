import { ApplicationFailure, CancellationScope, workflowInfo } from '@temporalio/workflow';
import { evidenceWriterId, GUARDIAN_TYPE, guardianId } from '../../contracts/guardian.ts';
import { guardianInputSchema } from '../../contracts/internal-messages.ts';
import { parseInput } from '../procedure/parse-input.ts';
import { Guard, type GuardianResult } from './guard.ts';

/**
 * Outlives a run and keeps its promises: when the run asks for it, takes the lock of the target, opens the place where the run may create things,
 * and when the run has ended, in whatever way, undoes its ledger, closes the place, proves its absence, gives the lock
 * back, and sees to the evidence. Cancelling it changes nothing.
 */
export async function guardian(rawInput?: unknown): Promise<GuardianResult> {
  const input = parseInput({ type: GUARDIAN_TYPE, input: guardianInputSchema }, rawInput);
  const { owner, forEvidence } = input;
  // Anybody can start one by hand: under another name it would know nothing of the run's own, and contradict it.
  const id = forEvidence ? evidenceWriterId({ workflowId: owner.workflowId, ...forEvidence }) : guardianId(owner);
  if (workflowInfo().workflowId !== id) throw ApplicationFailure.nonRetryable(`a ${GUARDIAN_TYPE} with this input has to be ${id}; runs and workers start those that are needed`, 'INVALID_INPUT');
  // A cancel of everything reaches it too, and that is when it is needed.
  return CancellationScope.nonCancellable(() => new Guard(input).run());
}
