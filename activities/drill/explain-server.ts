import { RecoveryFailure } from '../archive/recovery-failure.ts';
import { type Drill, drillPaths } from './drill.ts';
import { sqlState } from '../manifest/errors.ts';
import { isRefused } from '../postgres/unreachable.ts';
import { fatalLines, insufficientSetting, readLifeFrom } from './server-log.ts';
import { freeBytes, notEnoughSpace } from './space.ts';

/** Less than this and nothing can be written any more, also not the log that would say so. */
const NOTHING_LEFT = 64 * 1024;
const NO_SPACE = /No space left on device|Disk quota exceeded/;
/** Errors of storage (EIO, EROFS, ESTALE), from the server or from what copies its WAL; the files were whole when they were copied. */
const STORAGE_FAILED = /^.*(Input\/output error|Read-only file system|Stale file handle).*$/m;
const NO_MEMORY = /Cannot allocate memory|out of memory|Too many open files/;
/** Only a server that could not make sense of the restored files says one of these before it begins to replay. */
const FILES_UNFIT = /control file|pg_control|checkpoint record|backup_label|PG_VERSION|was initialized by PostgreSQL|not a valid data directory|data directory is not|could not (open|read|access) (file|directory) "(base|global|pg_)/;
/** Its own manager of records, or a server that wants to have been started with it: a drill is started without libraries. */
const LIBRARY_LEFT_OUT = /^resource manager with ID \d+ not registered|must be (pre)?loaded via "?shared_preload_libraries/;
/** PostgreSQL says so of libraries only; no file of a backup is opened in this way. */
const LIBRARY_NOT_INSTALLED = /^could not access file /;
/** `ALLOW_CONNECTIONS false`. */
const TAKES_NO_CONNECTIONS = '55000';
/** It waits, or takes writes. */
const AT_ITS_END = /pausing at the end of recovery|recovery has paused|is ready to accept connections/;
/** The first signal is the cause. The kernel and people send these; a process that crashes by itself dies of others, and then the server kills the rest. */
const KILLED = /^(?:(?!was terminated by signal)[^])*was terminated by signal (9|15)\b/;
/** Before any of its processes crashed: by people, or by what restarts a worker and signals all that it started. */
const TOLD_TO_STOP = /^(?:(?!was terminated by signal)[^])*?received ((?:smart|fast|immediate) shutdown request)/;
/** Recovery was told by itself: where it gives up it says so as FATAL, and ends in the same way. */
const RECOVERY_TOLD_TO_STOP = /startup process \(PID \d+\) exited with exit code 1\b/;
/** The copy of a segment that is there, in the drill's own directory, was ended; WAL that is damaged or missing ends otherwise. */
const WAL_NOT_HANDED_OVER = /^could not restore file "[^"]+" from archive/;

/** Why a server is gone, from its log since `logOffset`. Trouble of the host must not look like a bad backup. */
export async function explainEnd(drill: Drill, logOffset: number): Promise<RecoveryFailure> {
  const { text, replayBegan } = await readLifeFrom(drillPaths(drill.directory).logFile, logOffset);
  const free = await freeBytes(drill);
  if (NO_SPACE.test(text) || free < NOTHING_LEFT) return notEnoughSpace('Replay', drill, free);
  const storage = storageFailure(text);
  if (storage) return storage;
  const unfit = insufficientSetting(text);
  if (unfit !== undefined) return settingTooLow(unfit);
  const fatal = fatalLines(text);
  const reason = fatal[0] ?? text.trim().split('\n').at(-1) ?? 'it wrote no log';
  if (fatal.some((line) => line.startsWith('out of shared memory'))) return new RecoveryFailure('UNFIT_HOST', `The restored server ended: ${reason}. Raise max_locks_per_transaction in drills.settings or at the source.`);
  if (fatal.some((line) => LIBRARY_LEFT_OUT.test(line))) return new RecoveryFailure('UNFIT_HOST', `The restored server ended: ${reason}. A drill leaves out the source's shared_preload_libraries: name the one that is needed in drills.preloadLibraries.`);
  if (fatal.some((line) => LIBRARY_NOT_INSTALLED.test(line))) return new RecoveryFailure('UNFIT_HOST', `The restored server ended: ${reason}. Install that library for this host's PostgreSQL, or correct drills.preloadLibraries.`);
  if (NO_MEMORY.test(fatal.join('\n'))) return new RecoveryFailure('SERVER_KILLED', `This host could not give the restored server what it needs: ${reason}.`);
  if (/recovery ended before configured recovery target|WAL ends before (end of online backup|consistent recovery point)/.test(text)) {
    const last = /redo done at ([0-9A-F]+\/[0-9A-F]+)/.exec(text)?.[1];
    return new RecoveryFailure('RECOVERY_STOPPED_EARLY', `Recovery ended before its target: ${reason}${last === undefined ? '' : `; the last record that it found is at ${last}`}.`);
  }
  // A server that gives up says why, also when one of its processes crashed; one that is killed has no time to.
  const silent = text !== '' && !/was terminated by signal|exited with exit code|aborting startup|database system is shut down/.test(text);
  if (fatal.every((line) => WAL_NOT_HANDED_OVER.test(line))) {
    const request = TOLD_TO_STOP.exec(text)?.[1] ?? (fatal.length === 0 && RECOVERY_TOLD_TO_STOP.test(text) ? 'the process that replays was ended' : undefined);
    if (request !== undefined) return new RecoveryFailure('SERVER_KILLED', `The restored server was told to stop from outside (${request}), as happens when everything that its worker started is stopped with it.`);
    if (fatal.length > 0) return new RecoveryFailure('SERVER_KILLED', `This host did not hand the restored server its WAL: ${reason}.`);
    if (silent || KILLED.test(text)) return new RecoveryFailure('SERVER_KILLED', 'The restored server was killed from outside, without a word of why in its log; perhaps this host ran out of memory.');
  }
  const isBackups = replayBegan || fatal.some((line) => FILES_UNFIT.test(line));
  return new RecoveryFailure(isBackups ? 'RECOVERY_FAILED' : 'SERVER_DID_NOT_START', `The restored server ended: ${reason}.`);
}

/** What the log says of this host's storage, if that failed: whatever came of it is no finding about the backup. */
export function storageFailure(text: string): RecoveryFailure | undefined {
  const line = STORAGE_FAILED.exec(text)?.[0].replace(/^.*?(?:[A-Z]+: {2})/, '').trim();
  return line === undefined ? undefined : new RecoveryFailure('SERVER_KILLED', `The storage of this host failed the restored server: ${line}.`);
}

/**
 * Why a server lets nobody in, once that is final: while it replays, what comes next may open it again, as what it says
 * while it starts and stops passes. Undefined until then.
 */
export async function explainRefusal(drill: Drill, logOffset: number, error: unknown): Promise<RecoveryFailure | undefined> {
  const { severity, message } = error as { severity?: unknown; message?: string };
  // FATAL: the connection was refused, and not what was asked.
  if (severity !== 'FATAL' || !(isRefused(error) || sqlState(error) === TAKES_NO_CONNECTIONS)) return undefined;
  const { text } = await readLifeFrom(drillPaths(drill.directory).logFile, logOffset);
  if (!AT_ITS_END.test(text)) return undefined;
  return new RecoveryFailure(
    'UNFIT_HOST',
    `The copy does not let the superuser "${drill.superuser}" into the database "${drill.maintenanceDatabase}": ${message}. These were open when the backup was taken, if any were: see to it that the source has a superuser that may log in, and take a new backup.`,
  );
}

/** Why recovery waits where it was not to; PostgreSQL does so by itself when a setting is lower than the source's was. */
export async function explainPause(drill: Drill, logOffset: number, where: string): Promise<RecoveryFailure> {
  const unfit = await readInsufficientSetting(drill, logOffset);
  if (unfit) return unfit;
  const { text } = await readLifeFrom(drillPaths(drill.directory).logFile, logOffset);
  const said = text.trim().split('\n').findLast((line) => line.includes('paus'))?.replace(/^.*?: {2}/, '') ?? 'its log does not say why';
  return new RecoveryFailure('COPY_MOVED_ON', `Recovery waits ${where}: ${said}. Somebody paused it; the copy must be restored again.`);
}

/** A pause for a setting that is too low, wherever it happened. */
export async function readInsufficientSetting(drill: Drill, logOffset: number): Promise<RecoveryFailure | undefined> {
  const { text } = await readLifeFrom(drillPaths(drill.directory).logFile, logOffset);
  const unfit = insufficientSetting(text);
  return unfit === undefined ? undefined : settingTooLow(unfit);
}

function settingTooLow(sentence: string): RecoveryFailure {
  return new RecoveryFailure('UNFIT_HOST', `The restored server cannot replay on: ${sentence}`);
}
