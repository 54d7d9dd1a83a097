import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/common';
import type { SnapshotSettings } from '../../contracts/rds.ts';
import { isToStay, type Looking } from './agreeing-looks.ts';
import type { ExpiredSnapshot, ExpiredSnapshots } from './snapshot-activities.ts';
import type { KeptSnapshot, SnapshotSource, SnapshotStore } from './snapshot-store.ts';
import { begunAtMs, expiresAtMs, isFinished } from './snapshot-tags.ts';

/** By what snapshots are judged: what is configured now, and now, in milliseconds since 1970. */
export interface RetentionQuery { database: string; source: SnapshotSource; settings: Pick<SnapshotSettings, 'retention' | 'keepAtLeast' | 'patience'>; nowMs: number }

/** Snapshots of a source in one place: `finished` ones of ours, the newest first; those that no run waits for any more, and those that one may; how many are not ours. */
export interface SnapshotsOfSource { finished: KeptSnapshot[]; abandoned: KeptSnapshot[]; underWay: KeptSnapshot[]; notOurs: number }

/** Sorts what a place has. Ours is what has all of our tags for this target. */
export function snapshotsOfSource(all: readonly KeptSnapshot[], { database, source, settings, nowMs }: RetentionQuery): SnapshotsOfSource {
  const ofSource = all.filter((one) => one.isOf(source));
  const ours = ofSource.filter((one) => expiresAtMs(one, database) !== undefined);
  const finished = ours.filter((one) => isFinished(one) && one.status === 'available' && one.takenAt !== null).sort((a, b) => takenAtMs(b) - takenAtMs(a));
  const [abandoned, underWay]: [KeptSnapshot[], KeptSnapshot[]] = [[], []];
  for (const one of ours.filter((each) => !isFinished(each))) ((begunAtMs(one) ?? Infinity) + settings.patience < nowMs ? abandoned : underWay).push(one);
  return { finished, abandoned, underWay, notOurs: ofSource.length - ours.length };
}

/**
 * Which snapshots of one place are to be removed: those with our tags for this target, of this instance, that are past what was
 * promised when they were taken and past what the configuration says now, but for the newest ones; and those that a run began and
 * did not finish, longer ago than any run waits. Whatever lacks a tag is only counted.
 */
export function chooseExpired(all: readonly KeptSnapshot[], where: string, query: RetentionQuery): ExpiredSnapshots {
  const { database, settings, nowMs } = query;
  const { finished, abandoned, notOurs } = snapshotsOfSource(all, query);
  const expired = finished.slice(settings.keepAtLeast).filter((one) => Math.max(expiresAtMs(one, database) ?? Infinity, takenAtMs(one) + settings.retention) < nowMs);
  return {
    remove: [
      ...expired.map((one) => ({ id: one.id, where, why: `of ${one.takenAt?.toISOString()}, past its retention` })),
      ...abandoned.map((one) => ({ id: one.id, where, why: `begun ${new Date(begunAtMs(one) ?? 0).toISOString()} and never finished` })),
    ],
    kept: finished.length - expired.length, notOurs,
  };
}

function takenAtMs({ takenAt }: KeptSnapshot): number {
  return takenAt?.getTime() ?? 0;
}

/** How long RDS may take to forget one. */
const GONE_MS = 60_000;

/**
 * Removes what was chosen from one place. What is chosen is looked at anew: somebody may have taken its tags away meanwhile, or the
 * configuration may keep it by now.
 */
export async function removeExpired(store: Omit<SnapshotStore, 'begin'>, chosen: readonly ExpiredSnapshot[], query: RetentionQuery, looking: Looking): Promise<{ removed: string[]; spared: string[] }> {
  const here = chosen.filter(({ where }) => where === store.where);
  if (here.length === 0) return { removed: [], spared: [] };
  const all = await store.list();
  const now = new Set(chooseExpired(all, store.where, query).remove.map(({ id }) => id));
  const there = new Map(all.map((one) => [one.id, one]));
  /** What a list shows as never finished may be so in an old list only. */
  const isSpared = async (one: KeptSnapshot) => !now.has(one.id) || (!isFinished(one) && await isToStay(store, one, (seen) => expiresAtMs(seen, query.database) !== undefined, looking));
  const [removed, spared]: [string[], string[]] = [[], []];
  for (const { id } of here) {
    const name = `${id} in ${store.where}`;
    const one = there.get(id);
    const isKept = one !== undefined && await isSpared(one);
    looking.signal.throwIfAborted();
    if (isKept || (one && await store.remove(id) === 'not now')) spared.push(name);
    else {
      await untilGone(store, id, looking);
      removed.push(name);
    }
  }
  return { removed, spared };
}

/** @throws ApplicationFailure `UNAVAILABLE`, retryable */
async function untilGone(store: Pick<SnapshotStore, 'find' | 'where'>, id: string, { lookEveryMs, signal }: Looking): Promise<void> {
  for (const end = Date.now() + GONE_MS; Date.now() < end; await sleep(lookEveryMs, undefined, { signal })) if (!await store.find(id, signal)) return;
  throw ApplicationFailure.create({ message: `RDS is still deleting ${id} in ${store.where}`, type: 'UNAVAILABLE', nonRetryable: false });
}
