import { setTimeout as sleep } from 'node:timers/promises';
import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { evidenceWriterId, guardianId } from '../../contracts/guardian.ts';
import type { Owner } from '../../contracts/ledger.ts';
import { wasEndedByForce } from '../../contracts/run-status.ts';

/** Workers look every ten seconds for runs that were ended by force before they had a guardian; where one was killed, the next has to start first, on a busy machine. */
const GIVEN_WITHIN_MS = 90_000;

/**
 * Waits until the guardian of a run that is over has ended, too, or what writes the evidence of one that was ended by force
 * before it had a guardian; returns at once where it never needed either.
 */
export async function awaitGuardian(client: Client, { workflowId, firstExecutionRunId }: Owner): Promise<void> {
  const { status, runId } = await client.workflow.getHandle(workflowId).describe();
  const byForce = wasEndedByForce(status.name);
  const ended = (id: string) => client.workflow.getHandle(id).result().then(() => true, (error: unknown) => {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
    return false;
  });
  for (const end = Date.now() + (byForce ? GIVEN_WITHIN_MS : 0); ; await sleep(50)) {
    for (const id of [guardianId({ workflowId, firstExecutionRunId }), evidenceWriterId({ workflowId, runId })]) if (await ended(id)) return;
    if (!byForce) return;
    if (Date.now() > end) throw new Error(`nobody saw to the evidence of ${workflowId} within ${GIVEN_WITHIN_MS} ms`);
  }
}
