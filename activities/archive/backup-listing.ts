import { readdir, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from 'pg';
import type { RecoveryPoint } from '../../contracts/recovery-point.ts';
import { RecoveryFailure } from './recovery-failure.ts';
import type { SourceFacts } from './source-facts.ts';

/** What of a running server's directory belongs into a backup. Paths are relative, with forward slashes. */
interface Listing {
  directories: string[];
  files: { path: string; size: number }[];
}

/** One directory of a server, and where what is listed of it lies in a backup. */
interface Piece {
  source: string;
  under: string;
  listing: Listing;
}

/** Lists all that a base backup of a server on this host copies, and the tablespaces that it has outside of its data directory. */
export async function listCluster(client: Client, { sourceDataDirectory: data, logDirectory, serverMajor }: Pick<SourceFacts, 'sourceDataDirectory' | 'logDirectory' | 'serverMajor'>): Promise<{ pieces: Piece[]; tablespaces: RecoveryPoint['tablespaces'] }> {
  const pieces: Piece[] = [{ source: data, under: 'data', listing: await listDataDirectory({ directory: data, logDirectory }) }];
  const { rows } = await client.query<{ oid: string; name: string }>(`SELECT oid::text, spcname AS name FROM pg_tablespace WHERE pg_tablespace_location(oid) ~ '^/' ORDER BY oid`);
  const tablespaces: RecoveryPoint['tablespaces'] = [];
  for (const { oid, name } of rows) {
    const location = await readlink(join(data, 'pg_tblspc', oid));
    const versionDirectory = (await readdir(location)).find((entry) => entry.startsWith(`PG_${serverMajor}_`));
    if (!versionDirectory) throw new RecoveryFailure('BACKUP_INCOMPLETE', `Tablespace ${name} has no directory of this server version in ${location}.`);
    const listing = await listTablespace({ location, versionDirectory });
    pieces.push({ source: location, under: `tablespaces/${oid}`, listing });
    tablespaces.push({ oid, name, location, sizeBytes: sizeOf(listing) });
  }
  return { pieces, tablespaces };
}

/** Where in a backup all that was listed lies: directories before what lies in them. Of as many files as a server has, which may be more than a call takes arguments. */
export function placesInBackup(pieces: readonly Piece[]): { directories: string[]; files: { path: string; source: string; size: number }[] } {
  const tops = pieces.some(({ under }) => under !== 'data') ? ['data', 'tablespaces'] : ['data'];
  return {
    directories: [...tops, ...pieces.flatMap(({ under, listing }) => [...(under === 'data' ? [] : [under]), ...listing.directories.toSorted().map((path) => `${under}/${path}`)])],
    files: pieces.flatMap(({ source, under, listing }) => listing.files.map(({ path, size }) => ({ path: `${under}/${path}`, source: join(source, path), size }))),
  };
}

/**
 * Bytes that a base backup of a server on this host would copy at present. Databases say that they are larger where much of
 * them is unlogged, as a cache may be. The role must be superuser or a member of pg_read_all_settings.
 */
export async function bytesToCopy(client: Client): Promise<number> {
  const { rows: [row] } = await client.query<Pick<SourceFacts, 'sourceDataDirectory' | 'logDirectory' | 'serverMajor'>>(
    `SELECT current_setting('data_directory') AS "sourceDataDirectory", current_setting('log_directory') AS "logDirectory", current_setting('server_version_num')::int / 10000 AS "serverMajor"`);
  if (!row) throw new Error('the source said nothing of itself');
  const { pieces } = await listCluster(client, row);
  return pieces.reduce((sum, { listing }) => sum + sizeOf(listing), 0);
}

function sizeOf({ files }: Listing): number {
  return files.reduce((sum, file) => sum + file.size, 0);
}

/** Recreated or useless at start; the directories themselves must be there. As pg_basebackup does (basebackup.c). */
const EMPTIED = new Set(['pg_replslot', 'pg_dynshmem', 'pg_notify', 'pg_serial', 'pg_snapshots', 'pg_stat_tmp', 'pg_subtrans']);
const SKIPPED = new Set([
  'postmaster.pid', 'postmaster.opts', 'backup_label', 'backup_label.old', 'tablespace_map', 'tablespace_map.old',
  'backup_manifest', 'current_logfiles', 'current_logfiles.tmp', 'postgresql.auto.conf.tmp', 'recovery.signal', 'standby.signal',
]);

/** Lists a data directory without its log, WAL, slots, temporary files and what recovery empties anyway. */
async function listDataDirectory(args: { directory: string; logDirectory: string }): Promise<Listing> {
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
async function listTablespace(args: { location: string; versionDirectory: string }): Promise<Listing> {
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
