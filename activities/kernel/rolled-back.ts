import type { Client } from '@temporalio/client';
import { guardianId } from '../../contracts/guardian.ts';
import type { LedgerEntry, Owner } from '../../contracts/ledger.ts';
import { undoneBefore } from '../../contracts/record.ts';
import { describeIfKnown } from './describe-if-known.ts';
import { readGuardians, undoneIn } from './guardians-of-lives.ts';
import type { RolledBack } from './kernel-activities.ts';
import { collect, isSame } from './ledger-entries.ts';
import { ledgerOf, readLives } from './run-history.ts';

/**
 * What a life of a run did, or rests on since it was reset to behind it, and guardians have undone since, for whichever life.
 * See {@link KernelActivities.findRolledBack}.
 */
export async function findRolledBack(client: Client, { owner, runId }: { owner: Owner; runId: string }): Promise<RolledBack> {
  const lives = await readLives(client, owner);
  const { started, known } = await readGuardians(client, { owner, lives, newest: await describeIfKnown(client, guardianId(owner)) });
  const undone = undoneIn(known);
  // A life's history begins with a copy of what it rests on.
  const own = new Map<string, LedgerEntry>();
  collect(lives.histories.get(runId) ?? [], own, {});
  const isOwn = (entry: LedgerEntry) => [...own.values()].some((one) => isSame(one, entry));
  const entries = ledgerOf(lives).entries.filter(isOwn);
  const standing = entries.filter((entry) => undoneBefore(entry, undone));
  // What one undid that the server has forgotten, nobody knows.
  const isAllKnown = started.every((guardian) => known.has(guardian.runId));
  return { undone, standing, kept: isAllKnown ? entries.filter((entry) => !standing.includes(entry)) : [] };
}
