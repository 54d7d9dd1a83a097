import { CancellationScope } from '@temporalio/workflow';
import { GUARDIAN_TYPE } from '../../contracts/guardian.ts';
import { guardianInputSchema } from '../../contracts/internal-messages.ts';
import type { Settlement } from '../../contracts/record.ts';
import { parseInput } from '../procedure/parse-input.ts';
import { Guard } from './guard.ts';

/**
 * Outlives a run and keeps its promises: when the run asks for it, takes the lock of the target, opens the place where the run may create things,
 * and when the run has ended, in whatever way, undoes its ledger, closes the place, proves its absence, gives the lock
 * back, and sees to the evidence. Cancelling it changes nothing.
 */
export async function guardian(rawInput?: unknown): Promise<Settlement> {
  const input = parseInput({ type: GUARDIAN_TYPE, input: guardianInputSchema }, rawInput);
  // A cancel of everything reaches it too, and that is when it is needed.
  return CancellationScope.nonCancellable(() => new Guard(input).run());
}
