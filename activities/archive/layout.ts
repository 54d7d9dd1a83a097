import type { Dirent } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type BackupFiles, backupFilesSchema, type RecoveryPoint, recoveryPointSchema } from '../../contracts/recovery-point.ts';
import { createHash } from 'node:crypto';
import { nameFiles, RecoveryFailure } from './recovery-failure.ts';
import { type ClosedDirectory, inWords } from './try-writing.ts';
import { isHostUnableToRead, unreadable } from './unreadable.ts';

/** Where one database's backups are. The WAL archive may be any directory; `wal/` is only the default. */
export interface ArchiveLayout {
  root: string;
  backups: string;
  incoming: string;
  wal: string;
}

/** Paths of one backup, published or half written. */
export interface BackupPaths {
  root: string;
  description: string;
  files: string;
  data: string;
  tablespaces: string;
  backupLabel: string;
  tablespaceMap: string;
  manifest: string;
}

/** Where everything is below `root`; makes nothing, and does not look whether it is there. */
export function archiveLayout(args: { root: string; walDirectory?: string | undefined }): ArchiveLayout {
  return {
    root: args.root,
    backups: join(args.root, 'backups'),
    incoming: join(args.root, 'incoming'),
    wal: args.walDirectory ?? join(args.root, 'wal'),
  };
}

/** Where everything is below a backup's directory, be that under `incoming/` or published; whether it is there is not looked at. */
export function backupPaths(root: string): BackupPaths {
  return {
    root,
    description: join(root, 'backup.json'),
    files: join(root, 'files.json'),
    data: join(root, 'data'),
    tablespaces: join(root, 'tablespaces'),
    backupLabel: join(root, 'backup_label'),
    tablespaceMap: join(root, 'tablespace_map'),
    manifest: join(root, 'manifest.json'),
  };
}

/** A directory among the backups that cannot be read as one, or no longer: it went while it was looked at. */
export interface UnusableBackup {
  id: string;
  failure: RecoveryFailure;
  /** This host cannot read it at present; it may be as it should. */
  isOfHost: boolean;
}

/** An id comes from untrusted input: it must not climb out of the directory. */
const ID = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/**
 * All published backups, oldest first, and what lies among them and cannot be read: one damaged backup must not hide the
 * others. Half-written ones lie under `incoming/` and are never seen here; stray files are nobody's backup. `isThere`: whether
 * the directory is, in which they are.
 * @throws RecoveryFailure `UNREADABLE` where the directory cannot be read
 */
export async function listRecoveryPoints(layout: ArchiveLayout): Promise<{ points: RecoveryPoint[]; unusable: UnusableBackup[]; isThere: boolean }> {
  let entries: Dirent[];
  try {
    entries = await readdir(layout.backups, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { points: [], unusable: [], isThere: false };
    throw unreadable(`The backup directory ${layout.backups}`, error as NodeJS.ErrnoException);
  }
  const points: RecoveryPoint[] = [];
  const unusable: UnusableBackup[] = [];
  await Promise.all(entries.filter((entry) => ID.test(entry.name) && !entry.isFile()).map(async ({ name: id }) => {
    try {
      points.push(await readRecoveryPoint({ layout, id }));
    } catch (failure) {
      if (!(failure instanceof RecoveryFailure)) throw failure;
      unusable.push({ id, failure, isOfHost: isHostUnableToRead(failure) });
    }
  }));
  return { points: points.sort((a, b) => a.startedAt.localeCompare(b.startedAt)), unusable: unusable.sort((a, b) => a.id.localeCompare(b.id)), isThere: true };
}

/**
 * What is wrong where there is no backup at all, and what to do about it. Who has just lost a host, and mounts on another one
 * what it left, must not be sent to take a backup of what is gone.
 */
export function noBackupIn({ backups }: ArchiveLayout, isThere: boolean): ClosedDirectory {
  return {
    problem: isThere ? `${backups} holds none at all` : `there is no directory ${backups}`,
    remedy: 'look whether its file system is mounted, and whether provider.repository is the right directory; where this database was never backed up, take a first backup with: runbook start backup',
  };
}

/** @throws RecoveryFailure `RECOVERY_POINT_NOT_FOUND` or `BACKUP_DAMAGED` (its description is not readable as one) */
export async function readRecoveryPoint(args: { layout: ArchiveLayout; id: string }): Promise<RecoveryPoint> {
  const path = join(args.layout.backups, args.id, 'backup.json');
  if (!ID.test(args.id)) {
    throw new RecoveryFailure('RECOVERY_POINT_NOT_FOUND', `"${args.id}" is not a recovery point id.`);
  }
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') {
      throw new RecoveryFailure('RECOVERY_POINT_NOT_FOUND', `There is no recovery point "${args.id}" in ${args.layout.backups}.`, { cause });
    }
    throw unreadable(path, cause);
  });
  const parsed = recoveryPointSchema.safeParse(parseJson(text, path));
  if (!parsed.success || parsed.data.id !== args.id) {
    throw new RecoveryFailure('BACKUP_DAMAGED', `${path} does not describe backup "${args.id}".`, { files: ['backup.json'], cause: parsed.error });
  }
  return parsed.data;
}

/** So many ids of recovery points are named where one is asked for that is not there. */
const NAMED_POINTS = 5;

/** The backup that somebody asks for by its id. @throws RecoveryFailure as {@link readRecoveryPoint}; where there is none, the newest are named */
export async function findRecoveryPoint(args: { layout: ArchiveLayout; id: string }): Promise<RecoveryPoint> {
  return readRecoveryPoint(args).catch(async (failure: unknown) => {
    if (!(failure instanceof RecoveryFailure) || failure.type !== 'RECOVERY_POINT_NOT_FOUND') throw failure;
    const { points, unusable, isThere } = await listRecoveryPoints(args.layout);
    const newest = points.slice(-NAMED_POINTS).map(({ id }) => id).reverse();
    const none = unusable.length > 0 ? `there is only what cannot be used: ${nameFiles(unusable.map(({ id }) => id))}; \`runbook doctor\` says what is wrong with it` : inWords(noBackupIn(args.layout, isThere));
    const there = newest.length === 0 ? none.replace(/^t/, 'T') : `There ${points.length === newest.length ? 'are' : `are ${points.length}, the newest`}: ${newest.join(', ')}; name one of them, or "latest"`;
    throw new RecoveryFailure(failure.type, `${failure.message} ${there}.`, { cause: failure });
  });
}

/**
 * Reads `files.json`. Proves it, and what else recovery begins with (`backup_label`, `tablespace_map`), by the hashes in `backup.json`.
 * @throws RecoveryFailure as {@link readProven}
 */
export async function readBackupFiles(args: { layout: ArchiveLayout; point: RecoveryPoint }): Promise<BackupFiles> {
  const { point } = args;
  const paths = backupPaths(join(args.layout.backups, point.id));
  const bytes = await readProven(paths.files, point.filesSha256);
  await readBackupLabel(args);
  await readProven(paths.tablespaceMap, point.tablespaceMapSha256);
  return backupFilesSchema.parse(parseJson(bytes.toString('utf8'), paths.files));
}

/** Where recovery of a backup begins. Without it a server would start at a wrong place and not notice. */
export async function readBackupLabel(args: { layout: ArchiveLayout; point: RecoveryPoint }): Promise<Buffer> {
  return readProven(backupPaths(join(args.layout.backups, args.point.id)).backupLabel, args.point.backupLabelSha256);
}

/**
 * Reads a file of a published backup and proves it by its hash.
 * @throws RecoveryFailure `BACKUP_DAMAGED` naming it when it is missing or differs, `UNREADABLE`
 */
export async function readProven(path: string, sha256: string): Promise<Buffer> {
  const files = [basename(path)];
  const bytes = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') throw new RecoveryFailure('BACKUP_DAMAGED', `${path} is missing: the backup was published with it.`, { files, cause });
    throw unreadable(path, cause, files);
  });
  if (sha256Of(bytes) !== sha256) throw new RecoveryFailure('BACKUP_DAMAGED', `${path} is not what was backed up: its SHA-256 differs.`, { files });
  return bytes;
}

/** SHA-256 in lower-case hexadecimal; of text, that of its UTF-8. */
export function sha256Of(content: Buffer | string): string {
  return createHash('sha256').update(content).digest('hex');
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new RecoveryFailure('BACKUP_DAMAGED', `${path} is not JSON.`, { files: [path], cause });
  }
}
