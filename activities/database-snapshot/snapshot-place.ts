import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/common';
import type { AbsenceProof } from '../../contracts/ledger.ts';
import { whatIsLeft, type Looking } from './agreeing-looks.ts';
import type { SnapshotRef } from './snapshot-activities.ts';
import type { SnapshotStores } from './snapshot-store.ts';
import { isOfRun, notOfRun, requireOfRun, snapshotName } from './snapshot-tags.ts';

const DELETING_MS = 9 * 60_000;

/** Where a run's snapshot would lie must be nothing that another made. RDS has nothing that a snapshot could be fenced with: what escapes its guardian is without a mark of being finished, and the next run's retention removes it. */
export async function openSnapshotPlace({ own, copies }: SnapshotStores, ref: SnapshotRef): Promise<void> {
  const id = snapshotName(ref);
  for (const store of [own, ...copies]) {
    const existing = await store.find(id);
    if (existing) requireOfRun(existing, ref, store.where);
  }
}

/** How a place is looked at after its run. `knownFinished`: where the run's history says that its snapshot is finished. */
export interface LookingAfter extends Looking { knownFinished: ReadonlySet<string> }

/** Removes, copies first, what the run began and did not finish. What is being made cannot be removed before that is over. */
export async function closeSnapshotPlace({ own, copies }: SnapshotStores, ref: SnapshotRef, { knownFinished, ...looking }: LookingAfter): Promise<string[]> {
  const id = snapshotName(ref);
  const destroyed: string[] = [];
  for (const store of [...copies, own]) {
    for (const end = Date.now() + DELETING_MS; ;) {
      const left = await whatIsLeft(store, ref, knownFinished, looking);
      if (!left || left.isFinished) break;
      if (!left.isOurs) throw notOfRun(id, store.where);
      looking.signal.throwIfAborted();
      if (await store.remove(id) === 'removed') destroyed.push(`snapshot ${id} in ${store.where}`);
      if (Date.now() > end) throw ApplicationFailure.create({ message: `RDS is still making or deleting the snapshot ${id} in ${store.where}`, type: 'UNAVAILABLE', nonRetryable: false });
      await sleep(looking.lookEveryMs, undefined, { signal: looking.signal });
    }
  }
  const finished = await own.find(id, looking.signal);
  if (finished && isOfRun(finished, ref)) for (const copy of copies) await copy.endSharing(finished);
  return [...new Set(destroyed)];
}

/** Looks in every place whether something of the run is there that it did not finish. */
export async function proveSnapshotPlaceAbsent({ own, copies }: SnapshotStores, ref: SnapshotRef, { knownFinished, ...looking }: LookingAfter): Promise<AbsenceProof> {
  const id = snapshotName(ref);
  const looked: string[] = [];
  const found: string[] = [];
  for (const store of [own, ...copies]) {
    looked.push(`unfinished snapshot ${id} in ${store.where}`);
    const left = await whatIsLeft(store, ref, knownFinished, looking);
    if (left && !left.isFinished) found.push(`snapshot ${id} in ${store.where} is ${left.snapshot.status}`);
  }
  return { at: new Date().toISOString(), looked, found };
}
