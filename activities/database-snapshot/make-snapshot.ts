import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/common';
import type { TakenSnapshot } from '../../contracts/database-snapshot.ts';
import { percentProgress, type ActivityProgress } from '../temporal/long-activity.ts';
import { awaitReady, HOST_CLOCK } from '../waiting/await-ready.ts';
import { lookSchedule } from '../waiting/look-schedule.ts';
import type { SnapshotRef } from './snapshot-activities.ts';
import type { Begun, KeptSnapshot, SnapshotStore } from './snapshot-store.ts';
import { begunAtMs, requireOfRun, snapshotName, tagsOf } from './snapshot-tags.ts';

/**
 * What to make, and how long to wait for it. `begin` asks for it, and again where what it is taken of is in
 * no state for it yet. Times are in milliseconds.
 */
export interface MakeSnapshot {
  ref: SnapshotRef;
  store: Pick<SnapshotStore, 'find' | 'where'>;
  begin: (id: string, tags: Readonly<Record<string, string>>) => Promise<Begun>;
  /** How long earlier ones took. */
  earlierMs: readonly number[];
  lookEveryMs: number;
  patienceMs: number;
  signal: AbortSignal;
  onProgress: (progress: ActivityProgress) => void;
}

/** The state of what no look has found. */
const UNSEEN = 'not to be seen yet';
/** So many looks in a row that find nothing where something was: a read may be an old one. */
const LOST_AFTER = 5;

/** Makes a run's snapshot, or goes on with the one that is there, and waits until it is available. */
export async function makeSnapshot(input: MakeSnapshot): Promise<TakenSnapshot> {
  const { ref, store, signal } = input;
  const id = snapshotName(ref);
  const existing = await store.find(id, signal);
  if (existing) requireOfRun(existing, ref, store.where);
  else await beginOnce(input, id);
  return describeTaken(await untilAvailable(input, id), store.where);
}

/** What runs, evidence and people get to know of a snapshot. One that does not say when it was taken is as old as can be: 1970. */
export function describeTaken({ id, arn, takenAt, sizeBytes }: KeptSnapshot, where: string): TakenSnapshot {
  return { id, arn, where, takenAt: (takenAt ?? new Date(0)).toISOString(), sizeBytes };
}

async function beginOnce({ ref, store, begin, lookEveryMs, patienceMs, signal, onProgress }: MakeSnapshot, id: string): Promise<void> {
  for (const end = Date.now() + patienceMs; ;) {
    // A stalled attempt must not make what its guardian has removed.
    signal.throwIfAborted();
    if (await begin(id, tagsOf(ref, new Date())) === 'begun') return;
    if (Date.now() > end) throw ApplicationFailure.nonRetryable(`the snapshot ${id} could not be begun in ${store.where} within ${minutes(patienceMs)}: what it is taken of was in no state for it all the while; look at its events, or raise provider.snapshots.patience`, 'PREFLIGHT');
    onProgress(percentProgress('waiting until RDS can begin it', undefined));
    await sleep(lookEveryMs, undefined, { signal });
  }
}

async function untilAvailable({ ref, store, earlierMs, lookEveryMs, patienceMs, signal, onProgress }: MakeSnapshot, id: string): Promise<KeptSnapshot> {
  let [wasSeen, missed] = [false, 0];
  const ready = await awaitReady<KeptSnapshot | undefined>({
    look: async () => {
      const snapshot = await store.find(id, signal);
      [wasSeen, missed] = [wasSeen || snapshot !== undefined, snapshot ? 0 : missed + 1];
      if (snapshot) requireOfRun(snapshot, ref, store.where);
      if (wasSeen && missed >= LOST_AFTER) throw ApplicationFailure.nonRetryable(`the snapshot ${id} in ${store.where} was removed while it was made: its place is closed`, 'FENCED');
      const status = snapshot?.status ?? UNSEEN;
      onProgress(percentProgress(`RDS says: ${status}`, snapshot?.percent));
      if (status === 'failed' || status.startsWith('incompatible')) throw ApplicationFailure.nonRetryable(`RDS could not make the snapshot ${id} in ${store.where}: it is ${status}`, 'BACKUP_DAMAGED');
      return { isReady: status === 'available', state: snapshot, beganAtMs: snapshot && begunAtMs(snapshot) };
    },
    patience: {
      ms: patienceMs,
      over: (snapshot) => ApplicationFailure.nonRetryable(`RDS has not made the snapshot ${id} in ${store.where} available within ${minutes(patienceMs)} (it is ${snapshot?.status ?? UNSEEN}); look at its events, or raise provider.snapshots.patience`, 'PREFLIGHT'),
    },
    schedule: lookSchedule({ earlierMs, everyMs: lookEveryMs }),
    clock: HOST_CLOCK, signal,
  });
  return ready as KeptSnapshot;
}

function minutes(ms: number): string {
  return `${Math.round(ms / 60_000)} minutes`;
}
