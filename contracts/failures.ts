/**
 * Why a step, and with it a run, can fail. Activities classify at their boundary and put one of these in the
 * `type` of an `ApplicationFailure`; workflows branch on the type and never on the text of a message.
 */
export const FAILURE_TYPES = [
  /** What the caller gave, or what the configuration says, must be changed by a person. */
  'INVALID_INPUT',
  'CONFIGURATION',
  /** The named target, recovery point or instant is not there. */
  'NOT_FOUND',
  /** A precondition on this host or at the source does not hold; nothing was created. */
  'PREFLIGHT',
  /** The backup itself is damaged: a file, a hash or a WAL segment is missing or wrong. */
  'BACKUP_DAMAGED',
  /** Recovery ended before the end of the WAL that is there. */
  'RECOVERY_STOPPED_EARLY',
  /** PostgreSQL refused to recover, start or promote. */
  'RECOVERY_FAILED',
  /** The restored database differs from its manifest, or a check of the owner's failed. */
  'RESTORE_UNSOUND',
  /** Something that should have been compared was not. */
  'RESTORE_NOT_PROVEN',
  /** RTO or RPO was missed, and the configuration says that this fails the run. */
  'OBJECTIVE_MISSED',
  /** A gate said no, or expired. */
  'REJECTED',
  'ABORTED',
  /** The run did what it is for, and what it created could not be removed, or not be proven to be gone. */
  'TEARDOWN_FAILED',
  /** The run took longer than its lease. */
  'LEASE_OVER',
  /** The run's fence was revoked: somebody else owns the target now. */
  'FENCED',
  /** The file system would have run full. */
  'DISK_FULL',
  /** The manifest could not be taken within the limits that protect production, or not at all. */
  'MANIFEST_GAVE_UP',
  /** The source or a tool does not answer; trying again may help. */
  'UNAVAILABLE',
] as const;

/** One of {@link FAILURE_TYPES}. */
export type FailureType = (typeof FAILURE_TYPES)[number];
