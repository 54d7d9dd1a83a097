import type { Client } from '@temporalio/client';
import { guardianId } from '../../contracts/guardian.ts';
import type { Owner } from '../../contracts/ledger.ts';
import { isOver, wasEndedByForce } from '../../contracts/run-status.ts';
import { describeIfKnown } from './describe-if-known.ts';
import type { FormerGuardian } from './kernel-activities.ts';
import { readLedger } from './run-history.ts';

/** Who guards what a run did before it was reset to where it had no guardian yet. See {@link KernelActivities.findFormerGuardian}. */
export async function findFormerGuardian(client: Client, { owner, runId }: { owner: Owner; runId: string }): Promise<FormerGuardian> {
  // It was never reset.
  if (runId === owner.firstExecutionRunId) return { state: 'none', lost: [] };
  const guardian = await describeIfKnown(client, guardianId(owner));
  // One that failed has settled all the same: it fails when all else is done.
  if (guardian) return { state: !isOver(guardian.status.name) ? 'lives' : wasEndedByForce(guardian.status.name) ? 'endedByForce' : 'none', lost: [] };
  const { entries, lost = [] } = await readLedger(client, owner);
  return { state: entries.length > 0 ? 'endedByForce' : 'none', lost };
}
