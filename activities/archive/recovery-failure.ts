/**
 * Why a backup or a restore failed, in words that callers branch on. The first group says that the backup is not sound;
 * the second that this host or this input does not fit; the third that isolation would be at risk.
 */
export type RecoveryFailureType =
  | 'BACKUP_DAMAGED'
  | 'BACKUP_INCOMPLETE'
  | 'WAL_MISSING'
  | 'WAL_TRUNCATED'
  | 'WAL_DAMAGED'
  | 'RECOVERY_FAILED'
  | 'RECOVERY_STOPPED_EARLY'
  | 'RECOVERY_POINT_NOT_FOUND'
  | 'TIME_OUT_OF_RANGE'
  | 'NOT_ENOUGH_SPACE'
  | 'UNREADABLE'
  | 'ARCHIVE_EMPTY'
  | 'ARCHIVE_CHANGED'
  | 'UNFIT_HOST'
  | 'FENCED'
  | 'SERVER_DID_NOT_START'
  | 'SERVER_KILLED'
  | 'COPY_FAILED'
  | 'COPY_MOVED_ON'
  | 'HOST_RESTARTED'
  | 'UNSAFE_PATH'
  | 'NOT_OUR_DRILL'
  | 'TABLESPACE_CREATED_AFTER_BACKUP';

/** A failure that trying again does not mend, unless it says `mayPass`. `files` names what is damaged, missing or extra. */
export class RecoveryFailure extends Error {
  override readonly name = 'RecoveryFailure';
  readonly type: RecoveryFailureType;
  readonly files: readonly string[];
  /** That it is to be tried again, whatever its type says: somebody may mend it meanwhile. */
  readonly mayPass: boolean;

  constructor(type: RecoveryFailureType, message: string, options: { files?: readonly string[]; mayPass?: boolean; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.type = type;
    this.files = options.files ?? [];
    this.mayPass = options.mayPass ?? false;
  }
}

/** Names up to five files and says how many more there are. */
export function nameFiles(files: readonly string[]): string {
  const shown = files.slice(0, 5).join(', ');
  return files.length > 5 ? `${shown} and ${files.length - 5} more` : shown;
}

/** How far a long operation is. `bytesTotal` is 0 where it is not known. */
export interface Progress {
  phase: string;
  bytesDone: number;
  bytesTotal: number;
}
/** Called often, from within what is going on: it must neither throw nor take long. */
export type OnProgress = (progress: Progress) => void;
