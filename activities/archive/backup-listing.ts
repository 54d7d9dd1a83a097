import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { RecoveryFailure } from './recovery-failure.ts';

/** What of a running server's directory belongs into a backup. Paths are relative, with forward slashes. */
export interface Listing {
  directories: string[];
  files: { path: string; size: number }[];
}

/** Recreated or useless at start; the directories themselves must be there. As pg_basebackup does (basebackup.c). */
const EMPTIED = new Set(['pg_replslot', 'pg_dynshmem', 'pg_notify', 'pg_serial', 'pg_snapshots', 'pg_stat_tmp', 'pg_subtrans']);
const SKIPPED = new Set([
  'postmaster.pid', 'postmaster.opts', 'backup_label', 'backup_label.old', 'tablespace_map', 'tablespace_map.old',
  'backup_manifest', 'current_logfiles', 'current_logfiles.tmp', 'postgresql.auto.conf.tmp', 'recovery.signal', 'standby.signal',
]);

/** Lists a data directory without its log, WAL, slots, temporary files and what recovery empties anyway. */
export async function listDataDirectory(args: { directory: string; logDirectory: string }): Promise<Listing> {
  const listing: Listing = { directories: [], files: [] };
  for (const entry of await readdir(args.directory, { withFileTypes: true })) {
    const { name } = entry;
    if (SKIPPED.has(name) || name === args.logDirectory || isTemporary(name)) continue;
    // pg_wal may be a link to another disk.
    if (EMPTIED.has(name)) listing.directories.push(name);
    else if (name === 'pg_wal') continue;
    else if (entry.isDirectory()) await listInto(listing, args.directory, name);
    else if (entry.isFile()) await addFile(listing, args.directory, name);
  }
  listing.directories.push('pg_wal', 'pg_wal/archive_status');
  return listing;
}

/** Lists one tablespace: of its location only the directory of this server version. */
export async function listTablespace(args: { location: string; versionDirectory: string }): Promise<Listing> {
  const listing: Listing = { directories: [], files: [] };
  await listInto(listing, args.location, args.versionDirectory);
  return listing;
}

async function listInto(listing: Listing, root: string, path: string): Promise<void> {
  // A database or a temporary directory may be dropped while we look.
  const entries = await readdir(join(root, path), { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (!entries) return;
  listing.directories.push(path);
  const unlogged = new Set(entries.map(({ name }) => /^(\d+)_init$/.exec(name)?.[1]).filter((id) => id !== undefined));
  for (const entry of entries) {
    const { name } = entry;
    const child = `${path}/${name}`;
    if (isTemporary(name)) continue;
    const fork = /^(\d+)(_fsm|_vm)?(\.\d+)?$/.exec(name);
    // Unlogged tables come back empty: recovery makes them from their init fork.
    if (fork?.[1] !== undefined && unlogged.has(fork[1])) continue;
    if (entry.isDirectory()) await listInto(listing, root, child);
    else if (entry.isFile()) await addFile(listing, root, child);
    else if (path !== 'pg_tblspc') {
      throw new RecoveryFailure('BACKUP_INCOMPLETE', `The data directory holds ${child}, which is neither a file nor a directory; such a cluster cannot be backed up by copying.`, { files: [child] });
    }
  }
}

async function addFile(listing: Listing, root: string, path: string): Promise<void> {
  const info = await stat(join(root, path)).catch(() => undefined);
  if (info) listing.files.push({ path, size: info.size });
}

function isTemporary(name: string): boolean {
  return name.startsWith('pgsql_tmp') || name.startsWith('pg_internal.init') || /^t\d+_\d+/.test(name);
}
