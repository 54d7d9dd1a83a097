import type { TakenSnapshot } from '../../contracts/database-snapshot.ts';
import type { Check } from '../../contracts/evidence.ts';
import type { AbsenceProof, Owner, PlaceCall } from '../../contracts/ledger.ts';

/** What will be taken and copied, as people and evidence see it before anything is made. */
export interface SnapshotPlan {
  database: string;
  /** What the snapshot is taken of. */
  instance: string;
  /** Begins the name. */
  stem: string;
  /** With `<fence>` for the number that only the lock's grant brings. */
  name: string;
  where: string;
  /** Where copies go to. */
  copies: string[];
  sizeBytes: number;
  serverVersion: string;
  /** RFC 3339. */
  expiresAt: string;
  keepAtLeast: number;
}

/** Names a run's snapshot, and its copies, in calls. */
export interface SnapshotRef { database: string; stem: string; fence: number; owner: Owner; expiresAt: string }

/** A snapshot that was looked at. Finished, so that it stays, where all checks passed. */
export interface VerifiedSnapshot { taken: TakenSnapshot; checks: Check[]; isFinished: boolean }

/** One that is to be removed, and why in words. */
export interface ExpiredSnapshot { id: string; where: string; why: string }

/** `kept`: finished ones of ours that stay; `notOurs`: what lacks our tags, which nobody touches. */
export interface ExpiredSnapshots { remove: ExpiredSnapshot[]; kept: number; notOurs: number }

/** What the guardian calls with: all that names the snapshot, so that none needs the run. */
export interface SnapshotPlaceCall extends PlaceCall, Omit<SnapshotRef, 'fence' | 'owner'> { [key: string]: unknown }

/** What taking a snapshot does. */
export interface DatabaseSnapshotActivities {
  planSnapshot(input: { database: string; owner: Owner; startedAtMs: number }): Promise<SnapshotPlan>;
  /** Begins it, or goes on with the one that is there, and waits until it is available. */
  takeSnapshot(input: { snapshot: SnapshotRef }): Promise<TakenSnapshot>;
  /** The same for a copy. */
  copySnapshot(input: { snapshot: SnapshotRef; to: string }): Promise<TakenSnapshot>;
  /** `of`: what it is a copy of; without it, it is the source's own and at least `sizeBytes` large. */
  finishSnapshot(input: { snapshot: SnapshotRef; where: string; sizeBytes: number; of?: TakenSnapshot }): Promise<VerifiedSnapshot>;
  /** Looks which are past their retention, and which no run is at work on any more that did not finish them. Removes nothing. */
  chooseExpiredSnapshots(input: { database: string }): Promise<ExpiredSnapshots>;
  /** Removes what was chosen, as far as it is still to be removed, and looks that it is gone. */
  removeExpiredSnapshots(input: { database: string; chosen: ExpiredSnapshot[] }): Promise<{ removed: string[]; spared: string[] }>;
  openSnapshotPlace(input: SnapshotPlaceCall): Promise<void>;
  /** Removes what the run began and did not finish. */
  closeSnapshotPlace(input: SnapshotPlaceCall): Promise<{ destroyed: string[] }>;
  proveSnapshotPlaceAbsent(input: SnapshotPlaceCall): Promise<AbsenceProof>;
}
