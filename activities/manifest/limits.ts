/** How much a reading may ask of the database that it reads. */
export interface ManifestLimits {
  /** Connections that read at the same time; three more look after them, one more makes the snapshot, and up to eight hold tables that raced. */
  connections: number;
  statementTimeoutMs: number;
  /** How long a lock may be waited for: whoever comes after us in the queue waits as long. */
  lockTimeoutMs: number;
  /** How long a transaction of others may wait for locks that the reading has; then it gives way. */
  maxBlockingMs: number;
  /** How long a snapshot may hold back vacuum, and a table that raced before may stay locked while nobody waits for it; then the reading gives up. */
  maxXminAgeMs: number;
  /** How much WAL the slot may hold back; then the reading gives up. */
  maxRetainedWalBytes: number;
  /** Part of the time in which a connection reads, above 0 and at most 1; it rests in between. */
  dutyCycle: number;
  /** Size of what is reported as one range, and read under one lock unless rests come in between. */
  bucketBytes: number;
}

/**
 * What suits a busy database: half of two processors is left alone, and a table is locked for the time of one bucket at most,
 * mostly well under a second. One that raced in an earlier attempt is locked until it is read from end to end.
 */
export const defaultLimits: ManifestLimits = {
  connections: 2,
  statementTimeoutMs: 300_000,
  lockTimeoutMs: 500,
  maxBlockingMs: 5_000,
  maxXminAgeMs: 3_600_000,
  maxRetainedWalBytes: 4 * 1024 ** 3,
  dutyCycle: 1,
  bucketBytes: 8 * 1024 ** 2,
};
