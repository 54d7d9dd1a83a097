import type { Client } from 'pg';
import { restAfterLook } from './pace.ts';
import { pause } from './snapshot.ts';

/**
 * The slot may have to wait for minutes: looked often enough to see what is held across a position, and resting many
 * times as long as a look took, since each one takes all partitions of the lock table and, with many relations, milliseconds.
 *
 * A lock that is held across the position for less than the rest can be missed. A copy that is paused there shows it, so
 * the table is then not compared and the drill ends `notProven`, never wrongly sound or unsound.
 */
const LEAST_PAUSE_MS = 20;

/**
 * Tables (by oid) of this database that somebody holds an ACCESS EXCLUSIVE lock on, be it on an index of theirs.
 *
 * These locks are logged. A standby that is paused while the transaction is under way keeps them for as long as it is
 * paused, so what is locked across a manifest's position can never be read in the copy that is recovered to it.
 */
export function exclusivelyLocked(client: Client): Promise<Set<number>> {
  return lockedWhere(client, 'l.pid IS DISTINCT FROM pg_backend_pid()');
}

/** Those of them that a prepared transaction holds, which outlives a restart and has no process. A lock of any other, as VACUUM's where it cuts a table short, goes by itself. */
export function lockedByPrepared(client: Client): Promise<Set<number>> {
  return lockedWhere(client, 'l.pid IS NULL');
}

async function lockedWhere(client: Client, holder: string): Promise<Set<number>> {
  const { rows } = await client.query<{ oid: number }>(
    `SELECT coalesce(i.indrelid, t.oid, l.relation)::int8::float8 AS oid
     FROM pg_locks l LEFT JOIN pg_index i ON i.indexrelid = l.relation LEFT JOIN pg_class t ON t.reltoastrelid = l.relation
     WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.granted AND ${holder}
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`);
  return new Set(rows.map((row) => row.oid));
}

/** Looks again and again until the position is fixed, and once more: a lock that was seen just before or after may span it. */
export async function lockedAcross<T>(client: Client, signal: AbortSignal, fixPosition: () => Promise<T>): Promise<{ result: T; locked: Set<number> }> {
  const fixed = new AbortController();
  const until = AbortSignal.any([signal, fixed.signal]);
  const looking = (async () => {
    let last = new Set<number>();
    while (!until.aborted) {
      const started = performance.now();
      last = await exclusivelyLocked(client);
      await pause(restAfterLook(performance.now() - started, LEAST_PAUSE_MS), until);
    }
    return last;
  })();
  // Awaited below; a connection that is cut meanwhile must not be an unhandled rejection.
  looking.catch(() => undefined);
  const result = await fixPosition().finally(() => fixed.abort());
  const before = await looking;
  return { result, locked: new Set([...before, ...await exclusivelyLocked(client)]) };
}
