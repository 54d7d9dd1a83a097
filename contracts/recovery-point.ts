import { z } from 'zod';

/** A WAL position as PostgreSQL prints it: two hexadecimal halves. */
export const lsnSchema = z.string().regex(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/i, 'must look like 0/16B3748');

const instantSchema = z.iso.datetime({ offset: true });
const oidSchema = z.string().regex(/^\d+$/);
const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/);

/** Settings that a restored server must not have lower than its source, or recovery stops. */
export const recoverySettingsSchema = z.object({
  max_connections: z.int().positive(),
  max_worker_processes: z.int().nonnegative(),
  max_wal_senders: z.int().nonnegative(),
  max_prepared_transactions: z.int().nonnegative(),
  max_locks_per_transaction: z.int().positive(),
});
/** Names and values as in `postgresql.conf` of the source when it was backed up. */
export type RecoverySettings = z.infer<typeof recoverySettingsSchema>;

/** What a host must have to serve this database: extensions and the collation versions its indexes were built with. */
export const databaseDescriptionSchema = z.object({
  name: z.string(),
  oid: oidSchema,
  encoding: z.string(),
  localeProvider: z.enum(['libc', 'icu', 'builtin']),
  collationVersion: z.string().nullable(),
  sizeBytes: z.number().nonnegative(),
  /** `null` where it could not be read, for instance because the database takes no connections. */
  extensions: z.array(z.object({ name: z.string(), version: z.string() })).nullable(),
  /** Files of functions in C (`pg_proc.probin`) that the source surely had, beside those of every PostgreSQL, and the extension that brings each; not known of older backups. */
  libraries: z.array(z.object({ file: z.string(), extension: z.string().nullable() })).optional(),
});
/** As the source had it when it was backed up; `sizeBytes` on its disk there. */
export type DatabaseDescription = z.infer<typeof databaseDescriptionSchema>;

/** One physical base backup: all that is needed to choose it, to check that a host can restore it, and to restore it. */
export const recoveryPointSchema = z.object({
  schemaVersion: z.literal(1),
  id: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/),
  kind: z.literal('baseBackup'),
  systemIdentifier: z.string(),
  serverVersion: z.string(),
  serverMajor: z.int().min(14),
  architecture: z.string(),
  glibcVersion: z.string().nullable(),
  timeline: z.int().positive(),
  startLsn: lsnSchema,
  stopLsn: lsnSchema,
  startedAt: instantSchema,
  stoppedAt: instantSchema,
  /** When it could first be found, by the clock of the host that published it; null until then. The other times are the source's. */
  publishedAt: instantSchema.nullable().default(null),
  walSegmentSize: z.int().positive(),
  blockSize: z.int().positive(),
  dataChecksums: z.boolean(),
  sizeBytes: z.number().nonnegative(),
  fileCount: z.int().nonnegative(),
  /** SHA-256 of files.json, which holds those of everything in `data/` and `tablespaces/`. */
  filesSha256: sha256Schema,
  backupLabelSha256: sha256Schema,
  tablespaceMapSha256: sha256Schema,
  /** Of manifest.json, set when the backup is published; null: it was published without one. */
  manifestSha256: sha256Schema.nullable(),
  tablespaces: z.array(z.object({ oid: oidSchema, name: z.string(), location: z.string(), sizeBytes: z.number() })),
  settings: recoverySettingsSchema,
  databases: z.array(databaseDescriptionSchema),
  /** By whom a copy is looked at: the first superuser that may log in, which often is the one that initdb made. */
  bootstrapSuperuser: z.string(),
  roleNames: z.array(z.string()),
  sourceDataDirectory: z.string(),
  sourceSocketDirectories: z.array(z.string()),
  sourcePort: z.int(),
});
/** Times are RFC 3339, sizes in bytes; log positions are text and compare as numbers only. */
export type RecoveryPoint = z.infer<typeof recoveryPointSchema>;

/** `files.json`: every directory and file of a backup, paths relative to the backup and with forward slashes. */
export const backupFilesSchema = z.object({
  directories: z.array(z.string()),
  files: z.array(z.object({ path: z.string(), size: z.number().nonnegative(), sha256: sha256Schema })),
});
/** It is trusted only where its hash is `filesSha256` of the recovery point. */
export type BackupFiles = z.infer<typeof backupFilesSchema>;
