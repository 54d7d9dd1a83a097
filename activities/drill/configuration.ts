import { join } from 'node:path';
import { isReserved } from '../../contracts/drill-settings.ts';
import type { RecoverySettings } from '../../contracts/recovery-point.ts';
import { RecoveryFailure } from '../archive/recovery-failure.ts';
import { DRILL_PORT, type Drill, drillPaths } from './drill.ts';
import { replaceFile } from './hostile-files.ts';
import { freeBytes } from './space.ts';

/** Where recovery stops: before a position (then it waits), or at the end of the WAL that is there (then it promotes). */
export interface RecoveryGoal {
  timeline: number;
  stopBeforeLsn: string | null;
  then: 'pause' | 'promote';
}

/**
 * Settings that keep a restored server away from production. They go on the command line too, where neither a file nor
 * ALTER SYSTEM in the restored database can change them.
 */
export function isolationSettings(drill: Pick<Drill, 'directory' | 'serverMajor' | 'preloadLibraries'>): Record<string, string> {
  const paths = drillPaths(drill.directory);
  return {
    archive_mode: 'off',
    archive_command: '',
    ...(drill.serverMajor >= 15 ? { archive_library: '' } : {}),
    archive_cleanup_command: '',
    recovery_end_command: '',
    primary_conninfo: '',
    primary_slot_name: '',
    ...(drill.serverMajor >= 17 ? { sync_replication_slots: 'off', event_triggers: 'off' } : {}),
    max_logical_replication_workers: '0',
    shared_preload_libraries: drill.preloadLibraries.join(','),
    session_preload_libraries: '',
    local_preload_libraries: '',
    listen_addresses: '',
    ssl: 'off',
    port: String(DRILL_PORT),
    unix_socket_directories: paths.socket,
    unix_socket_permissions: '0700',
    hba_file: join(paths.conf, 'pg_hba.conf'),
    ident_file: join(paths.conf, 'pg_ident.conf'),
    external_pid_file: '',
    logging_collector: 'off',
    log_destination: 'stderr',
  };
}

/** Recovery stops at the first setting that is lower than the source's was, also where the source raised it after the backup. */
export function raiseRecoverySettings(settings: RecoverySettings, changes: readonly RecoverySettings[]): RecoverySettings {
  const raised = { ...settings };
  for (const name of Object.keys(raised) as (keyof RecoverySettings)[]) raised[name] = Math.max(raised[name], ...changes.map((change) => change[name]));
  return raised;
}

/** Writes the drill's own configuration; nothing of the restored one is read. */
export async function writeConfiguration(drill: Drill, goal: RecoveryGoal): Promise<void> {
  const paths = drillPaths(drill.directory);
  const own = isolationSettings(drill);
  const mistaken = Object.keys(drill.settings).find(isReserved);
  // Refused with the configuration; a copy must not run with one whoever wrote it.
  if (mistaken !== undefined) throw new RecoveryFailure('UNFIT_HOST', `The setting "${mistaken}" belongs to the drill's isolation or recovery and cannot be configured.`);
  const all = { temp_file_limit: temporaryFileLimit(drill, await freeBytes(drill)), ...drill.settings, ...fixedSettings(drill, goal), ...own };
  await replaceFile(join(paths.conf, 'postgresql.conf'), settingLines(all), { mode: 0o644 });
}

/** Settings as lines of a configuration file. */
export function settingLines(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings).map(([name, value]) => `${name} = '${quote(value)}'\n`).join('');
}

function fixedSettings(drill: Drill, goal: RecoveryGoal): Record<string, string> {
  const wal = drillPaths(drill.directory).wal;
  return {
    ...Object.fromEntries(Object.entries(drill.recoverySettings).map(([name, value]) => [name, String(value)])),
    // Origins in the restored WAL need a place each, or recovery stops.
    max_replication_slots: '500',
    ...(drill.serverMajor >= 18 ? { max_active_replication_origins: '500' } : {}),
    wal_level: 'replica',
    hot_standby: 'on',
    fsync: 'on',
    full_page_writes: 'on',
    synchronous_commit: 'on',
    synchronous_standby_names: '',
    // Vacuum would run the copy's own functions, and would compete with the comparison.
    autovacuum: 'off',
    client_connection_check_interval: '1s',
    lc_messages: 'C',
    log_line_prefix: '%n [%p] ',
    log_min_error_statement: 'panic',
    // Files left without mount isolation lie in the data directory, and go with it.
    dynamic_shared_memory_type: drill.isolation.mounts === 'isolated' ? 'posix' : 'mmap',
    restore_command: restoreCommand(wal),
    // What is a link to the drill's copy of the WAL must not be written over.
    wal_recycle: 'off',
    recovery_target_timeline: String(goal.timeline),
    recovery_target_action: goal.then,
    recovery_target_inclusive: 'off',
    // Not one of the other targets may even be named beside it.
    ...(goal.stopBeforeLsn === null ? {} : { recovery_target_lsn: goal.stopBeforeLsn }),
  };
}

/**
 * Whether the server links the WAL that it replays, and needs no second copy of it. One of another user than this worker's
 * can; one of the same user has it mounted for reading only, and frees its copies at a restart point, which may come late.
 */
export function linksWal(): boolean {
  return process.getuid?.() === 0;
}

/**
 * 1 to 125: "not found", the end of WAL. Above: recovery stops, since a file that cannot be read is no end. A link is enough,
 * since the WAL is the drill's own copy, and spares the disk all of it once for each start; it copies where it cannot
 * ({@link linksWal}).
 */
function restoreCommand(wal: string): string {
  const file = `${shellQuote(wal)}/%f`;
  return `[ -e ${file} ] || exit 1; ln -f ${file} %p 2>/dev/null || cp ${file} %p || exit 200`;
}

/** Of one session: a check that sorts a whole database must not take what has to stay free, and there are a few of them. */
export function temporaryFileLimit({ reserveBytes }: Pick<Drill, 'reserveBytes'>, free: number): string {
  if (!Number.isFinite(free)) return '-1';
  // The setting is an integer of kilobytes: nothing above 2 TB fits.
  return `${Math.min(2_097_151, Math.max(64, Math.floor((free - reserveBytes) / 4 / 2 ** 20)))}MB`;
}

function quote(value: string): string {
  if (/[\r\n\0]/.test(value)) throw new RecoveryFailure('UNFIT_HOST', 'A setting of the drill holds a line break.');
  return value.replaceAll("'", "''").replaceAll('\\', '\\\\');
}

function shellQuote(path: string): string {
  // PostgreSQL replaces % in the command before the shell sees it.
  return `'${path.replaceAll("'", `'\\''`).replaceAll('%', '%%')}'`;
}
