import { chmod, chown, lstat, mkdir, readdir, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { RecoveryPoint } from '../../contracts/recovery-point.ts';
import { copyFiles } from '../archive/copy-files.ts';
import { type ArchiveLayout, backupPaths, readBackupFiles, readBackupLabel } from '../archive/layout.ts';
import { nameFiles, type OnProgress, RecoveryFailure } from '../archive/recovery-failure.ts';
import { copyVerified } from '../archive/verified-copy.ts';
import type { WalContinuity } from '../archive/wal.ts';
import { scanArchivedWal, type WalSummary } from '../archive/wal-scan.ts';
import { formatLsn, parseLsn } from '../postgres/lsn.ts';
import { writeAccess } from './access.ts';
import { raiseRecoverySettings } from './configuration.ts';
import { type Drill, drillMarker, type DrillPaths, drillPaths, type Isolation, productionPathsOf, refuseForeignDrill, refuseProductionPath, writeMarker } from './drill.ts';
import { replaceFile } from './hostile-files.ts';
import { readBootId } from './host-boot.ts';
import { chooseHiddenDrills, chooseHiddenPaths } from './isolation.ts';
import { endProcessesOf } from './processes.ts';
import { removeTrees } from './remove-trees.ts';
import { writeRecoverySignal } from './recover.ts';
import { SOCKET_PATH_BYTES, socketPathBytes } from './socket-path.ts';

/**
 * What to restore, where, as whom, and cut off from what. `bytesPerSecond` is without a limit
 * where absent; `owner` null: this process's user.
 */
export interface PrepareDrillArgs {
  name: string;
  /** Its parent, made by the caller; never made here. */
  drillsDirectory: string;
  /** Where all drills of this host lie, if not in `drillsDirectory` itself: hidden from the copy but for its own. */
  allDrills?: string;
  run: string;
  fence: string;
  layout: ArchiveLayout;
  point: RecoveryPoint;
  /** From `checkWalContinuity`: exactly these segments are visible to the drill. */
  wal: WalContinuity;
  binDirectory: string;
  owner: { uid: number; gid: number } | null;
  /** How far the copy will be cut off, from `probeIsolation` for this owner. Whether that is enough is for the caller to say. */
  isolation: Isolation;
  /** What else of production this host carries, to be hidden from the copy as the source's own is. */
  production?: { paths: readonly string[]; sockets: readonly { directory: string; port: number }[] };
  /** Commits after this are not to be recovered; `null` for all. */
  until: Date | null;
  reserveBytes: number;
  bytesPerSecond?: number | undefined;
  reflink?: boolean | undefined;
  settings?: Record<string, string>;
  preloadLibraries?: string[];
  priority?: Drill['priority'];
  signal?: AbortSignal | undefined;
  onProgress?: OnProgress | undefined;
}

/** What the drill's WAL holds, as text that passes through history. */
export interface DrillWal {
  startLsn: string;
  endLsn: string;
  timeline: number;
  segments: number;
  commits: number;
  /** No transaction with this id or a later one has a record in it; null where that is not known. */
  nextXid: number | null;
  lastCommit: { xid: number; lsn: string; committedAt: string } | null;
  /** Before which record recovery must stop, since the next commit is after `until`; `null` to take all. */
  stopLsn: string | null;
}

/** A copy that was not started yet, as data that passes through history; `bytes` and `files` are those of the backup. */
export interface PreparedDrill {
  drill: Drill;
  wal: DrillWal;
  files: number;
  bytes: number;
}

/**
 * Makes a drill's directory with a verified copy of a backup, a private copy of its WAL, and a configuration of its own.
 * Nothing is started. Safe to repeat: what an earlier attempt of the same run left is ended and replaced.
 * @throws RecoveryFailure
 */
export async function prepareDrill(args: PrepareDrillArgs): Promise<PreparedDrill> {
  const { point, layout, owner } = args;
  const directory = join(args.drillsDirectory, args.name);
  const paths = drillPaths(directory);
  refuseLongSocket(directory);
  const production = productionPathsOf(layout, point);
  // First: where nothing may be removed, nothing may be made.
  await refuseProductionPath(directory, production);
  await makeDirectory(args, directory);
  for (const path of [paths.wal, paths.socket]) await makeOwned(path, owner);
  // The worker writes there, as root perhaps: it must find no links that the restored server has put in its way.
  await mkdir(paths.log, { mode: 0o700 });
  await mkdir(paths.conf, { mode: 0o700 });
  await letThrough(paths.conf, owner);

  const files = await readBackupFiles({ layout, point });
  await copyWal(args, paths);
  const scan = scanArchivedWal({
    directory: paths.wal, lineage: args.wal.lineage, segments: args.wal.segments, segmentSize: point.walSegmentSize, systemIdentifier: point.systemIdentifier,
    startLsn: parseLsn(point.startLsn), ...(args.until ? { until: args.until } : {}), signal: args.signal,
  });
  // Awaited below; a failure of the copy must not leave it unhandled.
  scan.catch(() => undefined);
  const copied = await copyVerified({
    source: backupPaths(join(layout.backups, point.id)).root, target: directory, files, owner: owner ?? undefined,
    reserveBytes: args.reserveBytes, bytesPerSecond: args.bytesPerSecond, reflink: args.reflink, marker: drillMarker(args.name),
    signal: args.signal, onProgress: args.onProgress,
  });
  const wal = await scan;
  refuseTablespaces(wal, args.until);
  await arrangeData(args, paths);
  await writeAccess({ directory }, [...new Set([point.bootstrapSuperuser, ...point.roleNames])]);
  // Last: until then nobody but the worker's user comes in, other drills' copies neither, which may run as the same user as this one will.
  await letThrough(directory, owner);

  const hiddenPaths = await chooseHiddenPaths({
    production: [...production, ...(args.production?.paths ?? [])],
    sockets: [...point.sourceSocketDirectories.map((path) => ({ directory: path, port: point.sourcePort })), ...(args.production?.sockets ?? [])],
    needed: [directory, args.binDirectory, dirname(dirname(args.binDirectory))],
  });
  const hiddenDrills = await chooseHiddenDrills(args.allDrills ?? args.drillsDirectory, [args.binDirectory, dirname(dirname(args.binDirectory))]);
  const drill: Drill = {
    name: args.name, directory, run: args.run, fence: args.fence, binDirectory: args.binDirectory, serverMajor: point.serverMajor, owner,
    superuser: point.bootstrapSuperuser, maintenanceDatabase: point.databases.find(({ extensions }) => extensions !== null)?.name ?? 'template1', isolation: args.isolation, hiddenPaths, hiddenDrills, recoverySettings: raiseRecoverySettings(point.settings, wal.parameterChanges),
    reserveBytes: args.reserveBytes,
    settings: args.settings ?? {}, preloadLibraries: args.preloadLibraries ?? [], priority: args.priority ?? 'normal', bootId: await readBootId(),
  };
  const last = wal.lastCommit;
  return {
    drill,
    files: copied.files,
    bytes: copied.bytes,
    wal: {
      startLsn: point.startLsn, endLsn: formatLsn(wal.endLsn), timeline: args.wal.lineage.timeline, segments: args.wal.segments.length,
      commits: wal.commits, nextXid: wal.nextXid, lastCommit: last && { xid: last.xid, lsn: formatLsn(last.lsn), committedAt: last.committedAt.toISOString() },
      stopLsn: wal.stopLsn === null ? null : formatLsn(wal.stopLsn),
    },
  };
}

async function makeDirectory(args: PrepareDrillArgs, directory: string): Promise<void> {
  const exists = await lstat(directory).then(() => true, () => false);
  if (exists) {
    await refuseForeignDrill(directory, args);
    args.signal?.throwIfAborted();
    await endProcessesOf({ marker: drillMarker(args.name), directory });
    const left = (await readdir(directory)).filter((name) => name !== 'drill.json');
    await removeTrees(left.map((name) => join(directory, name)), { marker: drillMarker(args.name), signal: args.signal });
  } else {
    await mkdir(directory, { mode: 0o700 }).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code !== 'ENOENT') throw cause;
      throw new RecoveryFailure('FENCED', `${args.drillsDirectory} is not there: the directory for drills is made by the worker's configuration, or was removed.`, { cause });
    });
  }
  await writeMarker(directory, args);
  await chmod(directory, 0o700);
}

/** Lets the server's user look into a directory of ours and change nothing there: neither its files nor the directories in it. */
async function letThrough(directory: string, owner: PrepareDrillArgs['owner']): Promise<void> {
  if (!owner) return;
  await chown(directory, process.getuid?.() ?? 0, owner.gid);
  await chmod(directory, 0o750);
}

async function makeOwned(path: string, owner: PrepareDrillArgs['owner']): Promise<void> {
  await mkdir(path, { mode: 0o700 });
  if (owner) await chown(path, owner.uid, owner.gid);
}

async function copyWal(args: PrepareDrillArgs, paths: DrillPaths): Promise<void> {
  const names = [...args.wal.historyFiles, ...args.wal.segments.map((segment) => segment.name)];
  const results = await copyFiles({
    phase: 'copyWal', setting: 'drills.directory', directories: [], sums: false, flush: true, spaceOf: args.drillsDirectory, reserveBytes: args.reserveBytes, owner: args.owner ?? undefined,
    bytesPerSecond: args.bytesPerSecond, reflink: args.reflink, marker: drillMarker(args.name), signal: args.signal, onProgress: args.onProgress,
    jobs: names.map((name) => ({ source: join(args.layout.wal, name), target: join(paths.wal, name), size: args.point.walSegmentSize })),
  });
  const missing = names.filter((_, index) => results[index]?.state !== 'copied');
  if (missing.length > 0) throw new RecoveryFailure('WAL_MISSING', `The WAL archive lost ${nameFiles(missing)} while it was read.`, { files: missing });
}

/**
 * Replay of CREATE TABLESPACE makes it where the source has it. What lies behind where recovery stops is not replayed.
 * @throws RecoveryFailure `TABLESPACE_CREATED_AFTER_BACKUP`
 */
function refuseTablespaces({ tablespaceCreations, stopLsn }: WalSummary, until: Date | null): void {
  const replayed = tablespaceCreations.filter(({ location, lsn }) => location.startsWith('/') && (stopLsn === null || lsn < stopLsn));
  if (replayed.length === 0) return;
  throw new RecoveryFailure(
    'TABLESPACE_CREATED_AFTER_BACKUP',
    `A tablespace was created in ${nameFiles(replayed.map(({ location }) => location))} after the backup began${until ? ', and before what was asked for' : ''}; replay would write there. Take a new base backup, or ask for an instant before it was created.`,
  );
}

async function arrangeData(args: PrepareDrillArgs, paths: DrillPaths): Promise<void> {
  const { owner, point } = args;
  const ofServer = { mode: 0o600, owner };
  args.signal?.throwIfAborted();
  await replaceFile(join(paths.data, 'backup_label'), await readBackupLabel(args), ofServer);
  for (const { oid } of point.tablespaces) {
    const link = join(paths.data, 'pg_tblspc', oid);
    await symlink(join(paths.tablespaces, oid), link);
  }
  // It is read whatever the configuration file says, and would bring back production's settings.
  await replaceFile(join(paths.data, 'postgresql.auto.conf'), '', ofServer);
  await writeRecoverySignal({ directory: dirname(paths.data), owner });
}

function refuseLongSocket(directory: string): void {
  const length = socketPathBytes(directory);
  if (length > SOCKET_PATH_BYTES) throw new RecoveryFailure('UNFIT_HOST', `The path of the drill's socket is ${length} bytes long and ${SOCKET_PATH_BYTES} are allowed: configure a shorter directory for drills.`);
}
