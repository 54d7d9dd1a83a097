import { setTimeout as sleep } from 'node:timers/promises';
import type { SnapshotRef } from './snapshot-activities.ts';
import type { KeptSnapshot, SnapshotStore } from './snapshot-store.ts';
import { isFinished, isOfRun, snapshotName } from './snapshot-tags.ts';

/** So many looks in a row have to say the same before it is believed: RDS is consistent in the end only, and a read may be an old one. */
const AGREEING = 5;
/** The longest that two of them are apart. */
const APART_MS = 5_000;

/** How often, and until when, it is looked. */
export interface Looking { lookEveryMs: number; signal: AbortSignal }

/** Looks until a look finds what is hoped for; what none of so many finds is believed not to be. @returns what the last one found */
export async function lookUntil<Found>(look: () => Promise<Found>, isHopedFor: (found: Found) => boolean, { lookEveryMs, signal }: Looking): Promise<Found> {
  for (let looks = 1; ; looks += 1) {
    const found = await look();
    if (isHopedFor(found) || looks === AGREEING) return found;
    await sleep(Math.min(lookEveryMs, APART_MS), undefined, { signal });
  }
}

type Place = Pick<SnapshotStore, 'find' | 'readTags' | 'where'>;

/** What has the name of a run's snapshot in a place; undefined where nothing has. */
export interface Left { snapshot: KeptSnapshot; isOurs: boolean; isFinished: boolean }

/**
 * What of a run lies in a place. What is ours is believed to be unfinished only where its run knows of no other, and neither a
 * list nor the tags themselves have said otherwise for a while.
 * @param knownFinished where the run's own history says that it is finished
 */
export async function whatIsLeft(store: Place, ref: SnapshotRef, knownFinished: ReadonlySet<string>, looking: Looking): Promise<Left | undefined> {
  const look = async (): Promise<Left | undefined> => {
    const snapshot = await store.find(snapshotName(ref), looking.signal);
    if (!snapshot) return undefined;
    if (!isOfRun(snapshot, ref)) return { snapshot, isOurs: false, isFinished: false };
    if (isFinished(snapshot) || knownFinished.has(store.where)) return { snapshot, isOurs: true, isFinished: true };
    const asked = await withTags(store, snapshot, looking.signal);
    return { snapshot, isOurs: isOfRun(asked, ref), isFinished: isFinished(asked) };
  };
  return lookUntil(look, (found) => !found?.isOurs || found.isFinished, looking);
}

/** Whether one of ours that a list shows as unfinished is finished after all, or is ours no more. */
export async function isToStay(store: Place, { id }: KeptSnapshot, isOurs: (snapshot: KeptSnapshot) => boolean, looking: Looking): Promise<boolean> {
  return lookUntil(async () => {
    const snapshot = await store.find(id, looking.signal);
    if (!snapshot || isFinished(snapshot)) return snapshot !== undefined;
    const asked = await withTags(store, snapshot, looking.signal);
    return isFinished(asked) || !isOurs(asked);
  }, (isToStay) => isToStay, looking);
}

/** With the tags that are answered when they are asked for by themselves; as it is where it is gone by now, which the next look says. */
async function withTags(store: Place, snapshot: KeptSnapshot, signal: AbortSignal): Promise<KeptSnapshot> {
  return { ...snapshot, tags: await store.readTags(snapshot, signal) ?? snapshot.tags };
}
