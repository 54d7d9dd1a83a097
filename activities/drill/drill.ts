import { lstat, readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { RecoveryPoint, RecoverySettings } from '../../contracts/recovery-point.ts';
import type { ArchiveLayout } from '../archive/layout.ts';
import { RecoveryFailure } from '../archive/recovery-failure.ts';
import { PART, writeDurably } from '../archive/write-durably.ts';
import { readSmallFile } from './hostile-files.ts';

/** How far the host let us cut the restored server off. */
export interface Isolation {
  /** In a network namespace of its own, without any interface that is up. */
  network: 'isolated' | 'notIsolated';
  /** Production's sockets and files are hidden from it. */
  mounts: 'isolated' | 'notIsolated';
  /** Why something is not isolated; `null` when all is. */
  reason: string | null;
}

/** A restored copy: plain data, so that it passes through workflow history. All its files lie in `directory`. */
export interface Drill {
  name: string;
  directory: string;
  run: string;
  fence: string;
  binDirectory: string;
  serverMajor: number;
  owner: { uid: number; gid: number } | null;
  superuser: string;
  /** Where to ask what is the whole server's: the first that took connections when it was backed up, which often is template1. */
  maintenanceDatabase: string;
  isolation: Isolation;
  /** Production's socket directories, data, tablespaces and archive. */
  hiddenPaths: string[];
  /** Where other drills lie, to be hidden but for this one; `null` where that cannot be. */
  hiddenDrills: string | null;
  recoverySettings: RecoverySettings;
  /** Extra settings of the restored server; never ones that isolate it. */
  settings: Record<string, string>;
  preloadLibraries: string[];
  /** `low`: the restored server goes last at the processors and the disk. */
  priority: 'normal' | 'low';
  /** What replay must leave free of the drill's file system. */
  reserveBytes: number;
  /** During which run of this host's kernel it was copied; `null` where the host does not say. A worker of older code did not. */
  bootId?: string | null;
}

/** Names the socket only, since nothing listens on TCP; so all drills of a host may have the same, each in its own directory. */
export const DRILL_PORT = 5432;

/** The socket of a server that listens on a port, in one of its socket directories. */
export function socketFile(directory: string, port: number = DRILL_PORT): string {
  return join(directory, `.s.PGSQL.${port}`);
}
/** Set in the environment of every process of a drill. */
export const DRILL_VARIABLE = 'DURABLE_RUNBOOKS_DRILL';

/** The variable by which processes of a drill of this name are found, also when whoever started them is gone. */
export function drillMarker(name: string): { name: string; value: string } {
  return { name: DRILL_VARIABLE, value: name };
}

/** Paths of one drill. `s` is short for a reason: a socket's path may have 107 bytes. */
export interface DrillPaths {
  data: string;
  tablespaces: string;
  wal: string;
  socket: string;
  conf: string;
  /** What is mounted for its server. */
  mounts: string;
  log: string;
  logFile: string;
  marker: string;
}

/** Where everything is below a drill's directory; makes nothing, and does not look whether it is there. */
export function drillPaths(directory: string): DrillPaths {
  return {
    data: join(directory, 'data'),
    tablespaces: join(directory, 'tablespaces'),
    wal: join(directory, 'wal'),
    socket: join(directory, 's'),
    conf: join(directory, 'conf'),
    mounts: join(directory, 'conf', 'mounts'),
    log: join(directory, 'log'),
    logFile: join(directory, 'log', 'server.log'),
    marker: join(directory, 'drill.json'),
  };
}

/** What tells a drill's directory from any other. */
export interface DrillOwnership {
  name: string;
  run: string;
  fence: string;
}

/** Says whose a directory is, durably, before anything else is made there: what a power cut leaves is still known to be ours. */
export async function writeMarker(directory: string, owner: DrillOwnership): Promise<void> {
  await writeDurably(drillPaths(directory).marker, markerText(owner));
}

function markerText({ name, run, fence }: DrillOwnership): string {
  return JSON.stringify({ durableRunbooksDrill: 1, name, run, fence });
}

/**
 * A directory that is empty, or holds nothing but the beginning of a marker, is from an attempt that died there.
 * @throws RecoveryFailure `NOT_OUR_DRILL` unless the directory carries the marker of this very run and fence
 */
export async function refuseForeignDrill(directory: string, owner: DrillOwnership): Promise<void> {
  const info = await lstat(directory);
  if (!info.isDirectory()) throw new RecoveryFailure('NOT_OUR_DRILL', `${directory} is not a directory of a drill.`);
  const { marker } = drillPaths(directory);
  if ((await readdir(directory)).every((name) => name === `${basename(marker)}${PART}`)) return;
  const text = await readSmallFile(marker).catch(() => undefined);
  if (text === undefined || !isOurs(text, owner) || basename(directory) !== owner.name) {
    throw new RecoveryFailure('NOT_OUR_DRILL', `${directory} does not carry the marker of run ${owner.run} with fence ${owner.fence}; it is left alone.`);
  }
}

/** A power cut can leave nothing but the beginning of what we wrote, or zeros. Fence and run are in the directory's name, so it is nobody else's. */
function isOurs(text: string, owner: DrillOwnership): boolean {
  const ours = markerText(owner);
  if (ours.startsWith(text.replace(/\0+$/, ''))) return true;
  try {
    const found = JSON.parse(text) as Partial<DrillOwnership> | null;
    return found?.name === owner.name && found.run === owner.run && found.fence === owner.fence;
  } catch {
    return false;
  }
}

/** What of a source a drill must keep clear of: its backups, its archive, and its data directory and tablespaces as a backup names them. */
export function productionPathsOf({ root, wal }: ArchiveLayout, point: Pick<RecoveryPoint, 'sourceDataDirectory' | 'tablespaces'> | undefined): string[] {
  return [...(point ? serverPathsOf(point) : []), root, wal];
}

/** Of those, what its server has, and who runs as that one's user can write. */
export function serverPathsOf({ sourceDataDirectory, tablespaces }: Pick<RecoveryPoint, 'sourceDataDirectory' | 'tablespaces'>): string[] {
  return [sourceDataDirectory, ...tablespaces.map(({ location }) => location)];
}

/** Users of this host to whom something of production belongs: a copy that runs as one of them may do with it what production may. */
export async function usersOf(productionPaths: readonly string[]): Promise<number[]> {
  const found = await Promise.all(productionPaths.map((path) => stat(path).catch(() => undefined)));
  return [...new Set(found.flatMap((info) => (info ? [info.uid] : [])))];
}

/**
 * Refuses a directory that is, holds or lies within one of production's, by the file system's own identities, whatever
 * the paths look like. One that is not there yet can only lie within one.
 * @throws RecoveryFailure `UNSAFE_PATH`
 */
export async function refuseProductionPath(directory: string, productionPaths: readonly string[]): Promise<void> {
  const path = await findAbove(directory, productionPaths) ?? await findWithin(directory, productionPaths);
  if (path !== undefined) throw new RecoveryFailure('UNSAFE_PATH', `${directory} is, holds or lies within ${path}, which belongs to the source.`);
}

/** Which of these paths, of those that are there, a directory is or lies within; it need not be there yet. */
export async function findAbove(directory: string, paths: readonly string[]): Promise<string | undefined> {
  const own = await identitiesUpwards(directory);
  for (const path of paths) {
    const [id] = await identitiesUpwards(path);
    if (id !== undefined && own.includes(id)) return path;
  }
  return undefined;
}

async function findWithin(directory: string, paths: readonly string[]): Promise<string | undefined> {
  const [own] = await identitiesUpwards(directory);
  for (const path of own === undefined ? [] : paths) {
    const theirs = await identitiesUpwards(path);
    if (theirs[0] !== undefined && theirs.includes(own)) return path;
  }
  return undefined;
}

/** Device and inode of a path and of all above it; undefined for each part of it that is not there. */
async function identitiesUpwards(path: string): Promise<(string | undefined)[]> {
  const found: (string | undefined)[] = [];
  for (let at = resolve(path); ; at = dirname(at)) {
    const real = await realpath(at).catch(() => undefined);
    const info = real === undefined ? undefined : await stat(real);
    found.push(info && `${info.dev}:${info.ino}`);
    at = real ?? at;
    if (dirname(at) === at) return found;
  }
}
