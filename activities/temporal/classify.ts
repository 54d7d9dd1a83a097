import { ApplicationFailure } from '@temporalio/common';
import type { FailureType } from '../../contracts/failures.ts';
import { RecoveryFailure, type RecoveryFailureType } from '../archive/recovery-failure.ts';
import { isHostTrouble, limitReached, ManifestError, sqlState } from '../manifest/errors.ts';
import { INSTALL_LIBRARY, libraryTrouble } from '../postgres/library-trouble.ts';
import { ConnectionLost, hasBrokenOff, isRefused, unreachable } from '../postgres/unreachable.ts';

const RECOVERY: Record<RecoveryFailureType, FailureType> = {
  BACKUP_DAMAGED: 'BACKUP_DAMAGED',
  BACKUP_INCOMPLETE: 'BACKUP_DAMAGED',
  WAL_MISSING: 'BACKUP_DAMAGED',
  WAL_TRUNCATED: 'BACKUP_DAMAGED',
  WAL_DAMAGED: 'BACKUP_DAMAGED',
  RECOVERY_FAILED: 'RECOVERY_FAILED',
  RECOVERY_STOPPED_EARLY: 'RECOVERY_STOPPED_EARLY',
  RECOVERY_POINT_NOT_FOUND: 'NOT_FOUND',
  TIME_OUT_OF_RANGE: 'NOT_FOUND',
  NOT_ENOUGH_SPACE: 'DISK_FULL',
  UNREADABLE: 'PREFLIGHT',
  ARCHIVE_EMPTY: 'PREFLIGHT',
  ARCHIVE_CHANGED: 'PREFLIGHT',
  UNFIT_HOST: 'PREFLIGHT',
  FENCED: 'FENCED',
  // It never came to read the backup, or somebody or the kernel ended it: that says nothing about the backup.
  SERVER_DID_NOT_START: 'UNAVAILABLE',
  SERVER_KILLED: 'UNAVAILABLE',
  COPY_FAILED: 'UNAVAILABLE',
  COPY_MOVED_ON: 'UNAVAILABLE',
  HOST_RESTARTED: 'UNAVAILABLE',
  UNSAFE_PATH: 'PREFLIGHT',
  NOT_OUR_DRILL: 'FENCED',
  TABLESPACE_CREATED_AFTER_BACKUP: 'PREFLIGHT',
};

/** What passes when it is tried again; everything else is final. */
const WORTH_RETRYING = new Set<RecoveryFailureType>(['COPY_FAILED', 'SERVER_DID_NOT_START', 'SERVER_KILLED']);

const DISK_FULL_STATE = '53100';
/** What the system says when this host has no room left, and when its storage fails or something else of it runs out. */
const FULL_CODES = new Set(['ENOSPC', 'EDQUOT']);
const HOST_CODES = new Set(['EIO', 'EROFS', 'ESTALE', 'ENOTCONN', 'EMFILE', 'ENFILE', 'ENOMEM']);

/** Turns what adapters throw into a failure with a type that workflows branch on. What nobody knows stays as it is and is retried. */
export function classify(error: unknown): unknown {
  if (error instanceof ApplicationFailure) return error;
  if (error instanceof RecoveryFailure) {
    return ApplicationFailure.create({ message: error.message, type: RECOVERY[error.type], nonRetryable: !error.mayPass && !WORTH_RETRYING.has(error.type), cause: error });
  }
  if (error instanceof ManifestError) {
    if (error.type === 'cancelled') return error;
    return ApplicationFailure.nonRetryable(error.message, error.type === 'unavailable' || error.type === 'permission' ? 'PREFLIGHT' : 'MANIFEST_GAVE_UP');
  }
  const silent = error instanceof ConnectionLost ? error : unreachable(error);
  if (silent) return unavailable(silent);
  if (hasBrokenOff(error)) return unavailable(new ConnectionLost(`a connection to PostgreSQL broke off (${messageOf(error)})`, error));
  const state = sqlState(error);
  const unloaded = isHostTrouble(error) ? undefined : libraryTrouble(error);
  if (unloaded !== undefined) return ApplicationFailure.nonRetryable(`PostgreSQL cannot load a library that the database needs: ${unloaded}; ${INSTALL_LIBRARY}`, 'PREFLIGHT');
  if (isRefused(error)) return ApplicationFailure.nonRetryable(`PostgreSQL refused: ${messageOf(error)}; ${whatToCorrect(state)}`, 'CONFIGURATION');
  if (state === DISK_FULL_STATE) return ApplicationFailure.nonRetryable(`PostgreSQL ran out of disk space: ${messageOf(error)}`, 'DISK_FULL');
  if (state === limitReached) return ApplicationFailure.nonRetryable(`PostgreSQL reached a limit: ${messageOf(error)}; where it is temp_file_limit of a drill, make room or raise it in drills.settings`, 'DISK_FULL');
  if (isHostTrouble(error)) return unavailable(error);
  const { code = '' } = (error ?? {}) as NodeJS.ErrnoException;
  // Tried again as before: others may make room meanwhile.
  if (FULL_CODES.has(code)) return ApplicationFailure.create({ message: `this host ran out of disk space: ${messageOf(error)}`, type: 'DISK_FULL', nonRetryable: false });
  if (HOST_CODES.has(code)) return unavailable(error, 'this host failed: ');
  return error;
}

/** The same object with every method's errors classified. */
export function classified<T extends object>(activities: T): T {
  return Object.fromEntries(Object.entries(activities).map(([name, activity]) => [name, async (...args: unknown[]) => {
    try {
      return await (activity as (...all: unknown[]) => Promise<unknown>)(...args);
    } catch (error) {
      throw classify(error);
    }
  }])) as T;
}

/** Which setting of the database a refusal points to. Which database it is, the run says. */
function whatToCorrect(state: string): string {
  const where = 'of the database in the configuration';
  if (state.startsWith('3D')) return `correct connection.database ${where}, or the database that a check or the probe names`;
  if (state === '42501') return `grant it to connection.user ${where}: \`runbook doctor\` says what it lacks`;
  return `correct connection.user and its password (passwordFile or passwordEnv) ${where}, or the source's pg_hba.conf`;
}

function unavailable(error: unknown, prefix = ''): ApplicationFailure {
  return ApplicationFailure.create({ message: `${prefix}${messageOf(error)}`, type: 'UNAVAILABLE', nonRetryable: false, ...(error instanceof Error ? { cause: error } : {}) });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
