import type { NotVerifiedReasons } from '../../contracts/record.ts';
import type { AbsenceProof, Owner, PlaceCall } from '../../contracts/ledger.ts';

/** `startedAtMs`: start of the run by Temporal's clock, in milliseconds since 1970; the backup's id is made of it. */
export interface PlanBackupInput {
  database: string;
  owner: Owner;
  startedAtMs: number;
  /** Whether the source's files will be copied: they must be those on the host that plans. */
  copiesFiles: boolean;
}

/** What will be taken, and on whose task queue: only that host has the files. */
export interface BackupPlan {
  database: string;
  taskQueue: string;
  /** The id under which the backup will be published; made from the run, so that a repeated call publishes one. */
  id: string;
  sizeBytes: number;
  serverVersion: string;
  /** Why no exact manifest can be taken, or null. */
  noManifest: string | null;
}

/** Names a backup that grows, in calls; where it lies is found from the configuration, and from whose it is. */
export interface BackupRef {
  database: string;
  id: string;
  fence: number;
  owner: Owner;
  /** What {@link BaseBackupResult} said; missing where there is no base backup. */
  part?: string;
}
/** A finished copy that is not published yet. Positions as PostgreSQL prints them, between which the backup was taken. */
export interface BaseBackupResult {
  /** Directory, in the backup's place, of the attempt that succeeded. */
  part: string;
  bytes: number;
  files: number;
  startLsn: string;
  stopLsn: string;
  seconds: number;
}
/**
 * `lsns`: one position for each database, in ascending order; `attempts`: as often as others were
 * faster, and one; `rows`: of all tables together.
 */
export interface ManifestResult { tables: number; rows: number; lsns: string[]; attempts: number; seconds: number; notVerified: NotVerifiedReasons }

/** What taking a backup does on the host of the source. */
export interface BackupActivities {
  planBackup(input: PlanBackupInput): Promise<BackupPlan>;
  takeBaseBackup(input: { backup: BackupRef }): Promise<BaseBackupResult>;
  takeManifest(input: { backup: BackupRef }): Promise<ManifestResult>;
  /** Waits until WAL beyond the manifest is archived: only then can it be restored. */
  awaitArchived(input: { backup: BackupRef }): Promise<{ lastSegment: string }>;
  /** One rename: a backup is there with its manifest, or not at all. */
  publishBackup(input: { backup: BackupRef }): Promise<{ directory: string }>;
  /** For backups that other tools made: publishes the manifest alone. */
  publishManifest(input: { backup: BackupRef }): Promise<{ file: string }>;
  openBackupPlace(input: BackupPlaceCall): Promise<void>;
  closeBackupPlace(input: BackupPlaceCall): Promise<{ destroyed: string[] }>;
  proveBackupPlaceAbsent(input: BackupPlaceCall): Promise<AbsenceProof>;
}

/** What the guardian calls with, to open a backup's place, to close it, and to prove that nothing is left. */
export interface BackupPlaceCall extends PlaceCall { database: string }
