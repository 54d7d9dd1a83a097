import type { NotVerifiedReasons } from '../../contracts/record.ts';
import type { AbsenceProof, Owner, PlaceCall } from '../../contracts/ledger.ts';

export interface PlanBackupInput {
  database: string;
  owner: Owner;
  startedAtMs: number;
  /** Whether the source's files will be copied: they must be those on the host that plans. */
  copiesFiles: boolean;
}

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

export interface BackupRef {
  database: string;
  id: string;
  fence: number;
  owner: Owner;
  /** What {@link BaseBackupResult} said; missing where there is no base backup. */
  part?: string;
}
export interface BaseBackupResult {
  /** Directory, in the backup's place, of the attempt that succeeded. */
  part: string;
  bytes: number;
  files: number;
  startLsn: string;
  stopLsn: string;
  seconds: number;
}
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

export interface BackupPlaceCall extends PlaceCall { database: string }
