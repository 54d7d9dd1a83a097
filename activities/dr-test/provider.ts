import type { Client } from 'pg';
import type { DrillPlan } from '../../contracts/dr-test.ts';
import type { Check } from '../../contracts/evidence.ts';
import type { AbsenceProof, Owner } from '../../contracts/ledger.ts';
import type { Manifest } from '../../contracts/manifest.ts';
import type { GuardedConfig } from '../postgres/source.ts';
import type { ActivityProgress } from '../temporal/long-activity.ts';
import type { Prices } from '../../contracts/costs.ts';
import type { Draw } from './draw.ts';
import type { CopyResult, DrillPlaceCall, DrillRef } from './drill-activities.ts';
import type { AwsAccess } from '../../contracts/rds.ts';

/** Something that can be restored: a base backup, a dump, a snapshot. */
export interface Point {
  id: string;
  /** When taking it began, RFC 3339, by the source's clock. */
  beganAt: string;
  /** When it was complete, RFC 3339, by the source's clock: nothing before it can be reached from it. */
  completeAt: string;
  /** When it could first be found, RFC 3339, by the clock of the worker that published it, which is later: whoever declared before that had not got it. */
  availableAt: string;
  sizeBytes: number;
  /** Of the source's history; 1 where the tool knows no timelines. */
  timeline: number;
  serverVersion: string;
  /** Of the cluster that it was taken of, as the source's `pg_control_system()` says it; null where the tool does not know. */
  systemIdentifier: string | null;
  /** It is there to reach an instant from, for who names one, and is not what somebody has who asks for the latest. */
  isForInstants?: true;
}

/** What should be a point, or a manifest, and cannot be read. `failure` is what asking for it throws; `isOfHost`: it says nothing of the point, but of the host that reads. */
export interface UnusablePoint { id: string; failure: Error; isOfHost?: boolean }

/** What there is beside the point itself to recover with, as it stood at an instant. */
export interface Supply {
  /** Newest piece, as a person would look for it; null when there is none. */
  lastPiece: string | null;
  /** When the newest piece arrived, RFC 3339; the point's own end when there is none. */
  reachesUntil: string;
  pieces: number;
  bytes: number;
  /** The newest manifest that a restore with this supply passes; taken before `until` where that is given. */
  manifest: (until: string | null) => Promise<ChosenManifest>;
}

/** A manifest that a restore of a point can be stopped at. */
export interface UsableManifest { id: string; manifest: Manifest }

/** Undefined where there is none; `passedOver` are those that could not be considered. */
export interface ChosenManifest { usable: UsableManifest | undefined; passedOver: UnusablePoint[] }

/** What long calls get: a signal that cancellation aborts, and where progress goes. */
export interface Tools { signal: AbortSignal; onProgress: (progress: ActivityProgress) => void }

/** What a tool has to do twice because the copy waited to be compared; a recovery in earnest does not wait. 0 where it did not, or goes on without. */
export interface Repeated { repeatedSeconds: number }

/** Where recovery ended, and when. `endLsn` as PostgreSQL prints it, other times RFC 3339. */
export interface RecoveredEnd extends Repeated {
  endLsn: string;
  /** By the source's clock; null when nothing was committed after the point. */
  lastCommitAt: string | null;
  /** Recovery stopped before a commit that is later than what was asked for; false where it took all that there is. */
  stoppedBeforeLater: boolean;
  /** By this host's clock; null where it could not be told from promotion. */
  replayDoneAt: string | null;
  readyAt: string;
}

/** Commits that the source has and the restored copy does not. */
export interface LostCommits {
  commits: number;
  /** Transactions beside them that changed no data: where the tool can tell, those of ANALYZE and VACUUM and empty ones. */
  maintenance: number;
  /** By the source's clock. */
  lastCommitAt: string | null;
  /** Where commits beyond what was recovered could be known from: asked of the living source, read from its disk, or nowhere. */
  knownFrom: 'source' | 'disk' | 'archive';
  /** With `source`: in what they were counted, where that is not its WAL. */
  countedIn?: string;
  /** With `archive`: why the source's WAL cannot be read, or not to its end; null where nothing is to be said of it. */
  unread: string | null;
}

/**
 * The port behind which a backup tool lies, for one database. The workflow knows only this: base backups with a WAL
 * archive, dumps, managed snapshots or another tool's repository differ in how they do it. Every call can run twice.
 */
export interface RecoveryProvider {
  readonly kind: string;
  /**
   * What a copy is held against: `manifest`, where recovery stops at its positions. `living source`: where it cannot be stopped, what
   * was written since the manifest is held against what the source has by now.
   */
  readonly comparesWith: 'manifest' | 'living source';
  /** Whether only the host that planned can do what follows, or any worker. */
  readonly worksOn: 'its host' | 'any host';
  /** An instant to recover to is the service's own, in which the source's commits are stamped, too. Left out where one that people give is turned into the source's. */
  readonly takesInstantsAsGiven?: true;
  /** Where the copy is billed: by what prices, as far as they are configured. Left out where nothing is billed. */
  readonly bills?: { prices: Prices | undefined };
  /** The instant that is recovered to where another one is asked for: a service may know whole seconds only. Left out where each can be. */
  reaches?(time: string): string;
  /**
   * All points there are, oldest first, and what should be one and cannot be read; half-written ones are never among them. Of a tool that
   * restores every instant, the newest that is not later than `asOf`, by this host's clock. `ifNone`: what is said where there is no
   * point that could be the latest: where was looked for them, and what to do then, as the second half of a sentence.
   */
  list(asOf: Date): Promise<{ points: Point[]; unusable: UnusablePoint[]; ifNone: string }>;
  /** For `random`, where more can be restored than is listed: one of all that was there at an instant, and what was drawn from what, in words. Left out where one of {@link list} is drawn. */
  draw?(range: { untilMs: number; draw: Draw }): Promise<{ point: Point; from: string }>;
  /** Throws `NOT_FOUND` for an id that is not there, `BACKUP_DAMAGED` for one that cannot be read. */
  find(id: string): Promise<Point>;
  /**
   * `asOf` is by this host's clock. Throws `BACKUP_DAMAGED` when what there is has a gap, `NOT_FOUND` when it reached the point's end only after `asOf`.
   * `plannedLast`: the last piece that a plan of the same point and `asOf` counted on. It and all before it were there, whatever touched them since; throws `PREFLIGHT` where they are not any more.
   */
  supply(id: string, asOf: string, plannedLast?: string | null): Promise<Supply>;
  readManifest(id: string, manifestId: string): Promise<Manifest>;
  /** What restoring makes, for the plan that people approve: by its name, with `<fence>` for the number that only the lock's grant brings. */
  describePlace(owner: Owner): string;
  /** By whose rights, and in which region, that is. Left out where it is no place in AWS. */
  readonly placeAccess?: AwsAccess;
  /** What no restore by this tool of that point, chosen of those that were there at `asOf`, shows, each in words; for people, and for the evidence. */
  limits?(point: Point, asOf: Date): Promise<string[]>;
  /** Looks whether this host can carry the restore. Throws one `PREFLIGHT` failure that names everything wrong. */
  preflight(plan: DrillPlan, signal: AbortSignal): Promise<Check[]>;

  openPlace(call: DrillPlaceCall, signal?: AbortSignal): Promise<void>;
  /** Revokes the fence and destroys; returns what it destroyed. Refuses what is the source's. `signal` gives up what takes long. */
  closePlace(call: DrillPlaceCall, signal?: AbortSignal): Promise<string[]>;
  provePlaceAbsent(call: DrillPlaceCall): Promise<AbsenceProof>;

  /** Brings a verified copy into the place; nothing runs yet. */
  restore(drill: DrillRef, plan: DrillPlan, tools: Tools): Promise<Omit<CopyResult, 'seconds'>>;
  /** Recovers up to a manifest's position and waits there, readable. */
  recoverTo(drill: DrillRef, lsn: string, tools: Tools): Promise<Repeated & { replayedLsn: string }>;
  /** Recovers all that was asked for and opens the copy for writing. */
  recoverToEnd(drill: DrillRef, tools: Tools): Promise<RecoveredEnd>;
  /**
   * Runs work that may make the copy take space. Where less is left than has to stay free, the work's signal is aborted,
   * the copy stopped, and `DISK_FULL` thrown, whatever the work made of it.
   */
  keepReserve<T>(drill: DrillRef, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T>;
  /** How to reach the copy, as a superuser, and by its guard nothing else. Nothing of production opens it. */
  address(drill: DrillRef): Promise<(database: string) => GuardedConfig>;
  /** Environment for processes started for the drill: by it closing the place ends them, and the proof of absence looks for them. */
  marker(drill: DrillRef): Readonly<Record<string, string>>;
  /** Counts what a restore to `endLsn` lost; `source` is null when it does not answer. */
  lostCommits(drill: DrillRef, query: { endLsn: string; until: Date; source: Client | null; signal: AbortSignal }): Promise<LostCommits>;
}

/** The provider of a database in the configuration. Throws `NOT_FOUND` for a name that is not there. */
export type ProviderOf = (database: string) => RecoveryProvider;
