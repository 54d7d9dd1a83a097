import { readdir, realpath, rm } from 'node:fs/promises';
import { join, posix } from 'node:path';
import type { BackupFiles } from '../../contracts/recovery-point.ts';
import { readSmallFile, replaceFile } from '../drill/hostile-files.ts';
import { endProcess, identifyProcess, type ProcessIdentity } from '../drill/processes.ts';
import { removeTrees } from '../drill/remove-trees.ts';
import { copyFiles } from './copy-files.ts';
import { nameFiles, type OnProgress, RecoveryFailure } from './recovery-failure.ts';
import { unreadable } from './unreadable.ts';

/**
 * What to copy and whom it will belong to: to this process's user where `owner` is absent.
 * `bytesPerSecond` is without a limit where absent.
 */
export interface VerifiedCopyArgs {
  /** Root of the backup, which holds `data/` and `tablespaces/`. */
  source: string;
  /** An existing directory; `data/` and `tablespaces/` are made in it, and replaced if they are left from an earlier attempt. */
  target: string;
  files: BackupFiles;
  owner?: { uid: number; gid: number } | undefined;
  bytesPerSecond?: number | undefined;
  /** Stops before the target's file system has less than this free. */
  reserveBytes: number;
  threads?: number | undefined;
  reflink?: boolean | undefined;
  marker: { name: string; value: string };
  signal?: AbortSignal | undefined;
  onProgress?: OnProgress | undefined;
}

const TOP = ['data', 'tablespaces'];
const RECORD = 'copying.json';

/**
 * Copies a backup and proves every byte by its hash. Safe to repeat: it first ends an earlier attempt that still copies
 * into the same place, and begins from nothing.
 * @throws RecoveryFailure `BACKUP_DAMAGED` naming damaged, missing and extra files; `UNSAFE_PATH`; `NOT_ENOUGH_SPACE`; `COPY_FAILED`
 */
export async function copyVerified(args: VerifiedCopyArgs): Promise<{ files: number; bytes: number }> {
  const { source, target, files } = args;
  await endPredecessor({ target, marker: args.marker });
  await removeTrees(TOP.map((top) => join(target, top)), args);

  for (const path of [...files.directories, ...files.files.map((file) => file.path)]) refuseUnsafe(path);
  await refuseExtraFiles(await realpath(source), files);

  // Largest first keeps all threads busy to the end; ties by name, so that every run goes the same way.
  const ordered = files.files.toSorted((a, b) => b.size - a.size || (a.path < b.path ? -1 : 1));
  const results = await copyFiles({
    phase: 'copy',
    setting: 'drills.directory',
    directories: files.directories.toSorted().map((path) => join(target, path)),
    jobs: ordered.map((file) => ({ source: join(source, file.path), target: join(target, file.path), size: file.size })),
    spaceOf: target,
    reserveBytes: args.reserveBytes,
    owner: args.owner,
    bytesPerSecond: args.bytesPerSecond,
    threads: args.threads,
    reflink: args.reflink,
    // Into the time of what comes next, which has to wait for the disk at last; whatever ends the drill ends it.
    flush: true,
    marker: args.marker,
    signal: args.signal,
    onProgress: args.onProgress,
    onStarted: async (pid) => {
      const identity = await identifyProcess(pid);
      if (identity) await replaceFile(join(target, RECORD), JSON.stringify(identity), { mode: 0o600 });
    },
  });
  await rm(join(target, RECORD), { force: true });

  const missing: string[] = [];
  const damaged: string[] = [];
  let bytes = 0;
  for (const [index, file] of ordered.entries()) {
    const result = results[index];
    if (!result || result.state !== 'copied') missing.push(file.path);
    else if (result.size !== file.size || result.sha256 !== file.sha256) damaged.push(file.path);
    else bytes += result.size;
  }
  refuseDamage({ missing, damaged, extra: [] });
  return { files: ordered.length, bytes };
}

function refuseDamage(found: { missing: string[]; damaged: string[]; extra: string[] }): void {
  const parts = [
    found.damaged.length > 0 && `its SHA-256 or size is wrong: ${nameFiles(found.damaged.sort())}`,
    found.missing.length > 0 && `missing: ${nameFiles(found.missing.sort())}`,
    found.extra.length > 0 && `not part of the backup: ${nameFiles(found.extra.sort())}`,
  ].filter((part) => part !== false);
  if (parts.length === 0) return;
  throw new RecoveryFailure('BACKUP_DAMAGED', `The backup is damaged (${parts.join('; ')}).`, { files: [...found.damaged, ...found.missing, ...found.extra] });
}

/** The file list is data from outside: nothing in it may lead out of the two directories that we make. */
function refuseUnsafe(path: string): void {
  const inside = posix.normalize(path) === path && !path.includes('\0') && !path.split('/').includes('..');
  if (!inside || posix.isAbsolute(path) || !TOP.includes(path.split('/')[0] ?? '')) {
    throw new RecoveryFailure('UNSAFE_PATH', `The backup's file list names "${path}", which is outside of the backup.`, { files: [path] });
  }
}

async function refuseExtraFiles(root: string, files: BackupFiles): Promise<void> {
  const known = new Set(files.files.map((file) => file.path));
  const directories = new Set(files.directories);
  const extra: string[] = [];
  for (const top of TOP) {
    const entries = await readdir(join(root, top), { recursive: true, withFileTypes: true }).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT') return [];
      throw unreadable(`The backup in ${root}`, cause);
    });
    for (const entry of entries) {
      const path = posix.join(entry.parentPath.slice(root.length + 1), entry.name);
      if (entry.isSymbolicLink()) {
        throw new RecoveryFailure('UNSAFE_PATH', `The backup holds a symbolic link, which could lead to production's files: ${path}.`, { files: [path] });
      }
      if (!(entry.isDirectory() ? directories : known).has(path)) extra.push(path);
    }
  }
  refuseDamage({ missing: [], damaged: [], extra });
}

/** Ends an attempt that lost its worker but not its life, for instance one that was stopped and continued. */
async function endPredecessor(args: { target: string; marker: { name: string; value: string } }): Promise<void> {
  const text = await readSmallFile(join(args.target, RECORD)).catch(() => undefined);
  if (text === undefined) return;
  let identity: ProcessIdentity;
  try {
    identity = JSON.parse(text) as ProcessIdentity;
  } catch {
    // Cut off while it was written, so nothing was copied yet and its process is ending.
    return;
  }
  await endProcess({ identity, marker: args.marker });
}
