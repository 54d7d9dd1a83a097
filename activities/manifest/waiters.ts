import type { Client } from 'pg';
import { FIRST_OF_USERS } from './of-users.ts';

/** Somebody who waits for a relation (by oid) that one of ours has locked. */
export interface Waiter { relation: number; pid: number; seconds: number; blockedBy: number[] }

/** What a waiter waits for: a table, also where it is an index of it, or something of the system's own catalog. */
export interface Wanted { schema: string; name: string; isOfSystem: boolean }

/** Which database a connection is in, by oid. */
export async function databaseOf(client: Client): Promise<number> {
  const { rows: [row] } = await client.query<{ oid: number }>('SELECT oid::int8::float8 AS oid FROM pg_database WHERE datname = current_database()');
  return row?.oid ?? 0;
}

/**
 * Who has waited for longer than this for a lock that one of these backends of ours has, in this database. Everybody may look
 * at locks, while what sessions wait for only some roles may see; who is in whose way is asked of those alone that wait so long.
 *
 * It opens no table of the catalog, and is prepared by the first call: who waits for one of those would keep it waiting, too.
 */
export async function whoWaits(client: Client, { database, longerThanMs, pids }: { database: number; longerThanMs: number; pids: readonly number[] }): Promise<Waiter[]> {
  const { rows } = await client.query<Waiter>({
    name: 'who waits',
    text: `WITH waiting AS MATERIALIZED (
       SELECT relation::int8::float8 AS relation, pid, extract(epoch FROM clock_timestamp() - waitstart)::float8 AS seconds FROM pg_lock_status()
       WHERE locktype = 'relation' AND NOT granted AND waitstart < clock_timestamp() - $1::float8 * interval '1 millisecond' AND database::int8 IN (0, $2::int8)
     ), blocked AS MATERIALIZED (SELECT *, pg_blocking_pids(pid) AS "blockedBy" FROM waiting)
     SELECT * FROM blocked WHERE "blockedBy" && $3::int[]`,
    values: [longerThanMs, database, pids],
  });
  return rows;
}

/** The table that a waiter waits for; undefined where there is none by now. */
export async function wantedBy(client: Client, { relation }: Waiter): Promise<Wanted | undefined> {
  // Where the catalog itself is waited for, it may not say how this is called.
  const unnamed = { schema: 'pg_catalog', name: `relation ${relation}`, isOfSystem: true };
  if (relation < FIRST_OF_USERS) {
    const { rows: [row] } = await client.query<{ name: string }>('SELECT relname AS name FROM pg_class WHERE oid = $1', [relation]).catch(() => ({ rows: [] }));
    return { ...unnamed, ...row };
  }
  const { rows: [row] } = await client.query<Omit<Wanted, 'isOfSystem'>>(
    `SELECT n.nspname AS schema, c.relname AS name FROM (SELECT $1::oid AS oid) w
     LEFT JOIN pg_index i ON i.indexrelid = w.oid LEFT JOIN pg_class t ON t.reltoastrelid = coalesce(i.indrelid, w.oid)
     JOIN pg_class c ON c.oid = coalesce(t.oid, i.indrelid, w.oid) JOIN pg_namespace n ON n.oid = c.relnamespace`, [relation]);
  return row && { ...row, isOfSystem: false };
}

/** The role of a session, where the server says it. */
export async function roleOf(client: Client, { pid }: Waiter): Promise<string | null> {
  const { rows: [row] } = await client.query<{ role: string | null }>('SELECT usesysid::regrole::text AS role FROM pg_stat_get_activity($1)', [pid]).catch(() => ({ rows: [] }));
  return row?.role ?? null;
}
