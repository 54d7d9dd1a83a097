import { setTimeout as sleep } from 'node:timers/promises';
import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { guardianId } from '../../contracts/guardian.ts';
import type { Owner } from '../../contracts/ledger.ts';

/** Workers look every ten seconds for runs that were ended by force before they had a guardian. */
const GIVEN_WITHIN_MS = 30_000;

/**
 * Waits until the guardian of a run that is over has ended, too; returns at once where it never needed one. One that was
 * ended by force gets one in any case.
 */
export async function awaitGuardian(client: Client, { workflowId, firstExecutionRunId }: Owner): Promise<void> {
  const { status } = await client.workflow.getHandle(workflowId).describe();
  const byForce = status.name === 'TERMINATED' || status.name === 'TIMED_OUT';
  for (const end = Date.now() + (byForce ? GIVEN_WITHIN_MS : 0); ; await sleep(50)) {
    try {
      await client.workflow.getHandle(guardianId({ workflowId, firstExecutionRunId })).result();
      return;
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) throw error;
      if (Date.now() < end) continue;
      if (byForce) throw error;
      return;
    }
  }
}
