import type { Client } from '@temporalio/client';
import { evidenceWriterId, guardianId } from '../../contracts/guardian.ts';
import type { Owner } from '../../contracts/ledger.ts';
import { leftBehind } from '../../contracts/record.ts';
import { isOver, wasEndedByForce } from '../../contracts/run-status.ts';
import { describeIfKnown } from './describe-if-known.ts';
import { describeGuardian, isGuardian, readWritings } from './guardian-history.ts';
import type { UnguardedEnd } from './kernel-activities.ts';
import { latestRun } from './run-end.ts';
import { hadGuardian, ledgerOf, readLives } from './run-history.ts';

/**
 * Who writes the evidence of a run that was ended by force, where it did not itself.
 * - `goes on`: in what it was reset to; or the server has forgotten it.
 * - `nobody`: what is to be said only its own guardian knew. `because`: what became of that; null where the server has forgotten it.
 * - `due`: another is to be started for it. `isIdUsed`: what had the id of such a one came to its end, and has not written.
 */
export type Standing =
  | { state: 'goes on' | 'somebody is at it' }
  | { state: 'written'; by: string }
  | { state: 'nobody'; because: string | null }
  | { state: 'due'; owner: Owner; isIdUsed: boolean };

/** Looks who does. Workers and the doctor go by this. */
export async function whoWrites(client: Client, { workflowId, runId }: { workflowId: string; runId: string }): Promise<Standing> {
  const run = await describeIfKnown(client, workflowId, runId);
  if (!run) return { state: 'goes on' };
  const owner: Owner = { workflowId, firstExecutionRunId: run.raw.workflowExecutionInfo?.firstRunId || runId };
  const id = evidenceWriterId({ workflowId, runId });
  const holder = await describeIfKnown(client, id);
  const writer = isGuardian(holder) ? holder : undefined;
  if (writer && !isOver(writer.status.name)) return { state: 'somebody is at it' };
  const writing = writer && (await readWritings(client, writer)).find((one) => one.runId === runId);
  if (writing?.isWritten) return { state: 'written', by: id };
  if (writing && !wasEndedByForce(writer.status.name)) return { state: 'nobody', because: `${id} could not` };
  const standing = await withoutWriter(client, owner, runId);
  return standing.state === 'due' ? { state: 'due', owner, isIdUsed: holder?.status.name === 'COMPLETED' } : standing;
}

/** See {@link KernelActivities.findUnguardedEnd}. */
export async function findUnguardedEnd(client: Client, { owner, runId }: { owner: Owner; runId: string }): Promise<UnguardedEnd | null> {
  const standing = await withoutWriter(client, owner, runId);
  return standing.state === 'due' ? { left: standing.left, lost: standing.lost } : null;
}

/** Who writes, besides what is started for that alone. */
async function withoutWriter(client: Client, owner: Owner, runId: string): Promise<Exclude<Standing, { state: 'due' }> | { state: 'due' } & UnguardedEnd> {
  const newest = await latestRun(client, owner);
  if (newest?.runId !== runId || !wasEndedByForce(newest.status.name)) return { state: 'goes on' };
  const guardian = await describeGuardian(client, owner);
  if (guardian && !isOver(guardian.status.name)) return { state: 'somebody is at it' };
  const writings = guardian ? await readWritings(client, guardian) : [];
  if (writings.some((one) => one.isWritten && one.runId === runId)) return { state: 'written', by: guardianId(owner) };
  if (guardian && wasEndedByForce(guardian.status.name)) return { state: 'nobody', because: 'its guardian, which knew what it did, was ended by force' };
  // Histories are long, and therefore last. A guardian that the server has forgotten is in one of them.
  const lives = await readLives(client, owner);
  const guarded = [...lives.histories].filter(([, events]) => hadGuardian(events)).map(([of]) => of);
  const settled = writings.at(-1);
  // One that had settled a former life has nothing to do with this one, which began without a guardian. Of its own, no other knows what that did.
  if (settled ? guarded.includes(runId) : guarded.length > 0) return { state: 'nobody', because: settled ? 'its guardian ended without it' : null };
  if (ledgerOf(lives).entries.some(({ registeredAt }) => Date.parse(registeredAt) > (settled?.begunAtMs ?? 0))) return { state: 'nobody', because: 'it or a former life did what nobody has undone' };
  return { state: 'due', left: settled && leftBehind(settled.settlement) !== null ? settled.settlement : null, lost: settled ? [] : lives.lost };
}
