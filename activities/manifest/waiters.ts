import type { Client } from 'pg';
import { FIRST_OF_USERS } from './of-users.ts';
import { LARGE_OBJECT_TABLES } from './tables.ts';

/** Somebody who waits for a relation (by oid) that one of ours has locked, or who waits behind one that waits for one of ours. */
export interface Waiter {
  relation: number;
  pid: number;
  /** Name of its transaction, which no other one ever has. */
  transaction: string;
  seconds: number;
  /**
   * The process of a command CONCURRENTLY that it waits for, where that itself waits for a transaction of ours to end;
   * null where it waits for one of our locks.
   */
  behind: number | null;
  /** Whom it waits for, or whom the one waits for that it waits behind. */
  blockedBy: number[];
}

/** What a waiter waits for: a table, also where it is an index of it, or something of the system's own catalog. By its own oid where nobody says whose it is. */
export interface Wanted { oid: number; schema: string; name: string; isOfSystem: boolean }

/**
 * Who has waited for longer than this for a lock that one of these backends of ours has, in this database, and whoever of these
 * transactions waits at all. Everybody may look at locks, while what sessions wait for only some roles may see; who is in whose
 * way is asked of those alone that wait so long.
 *
 * Commands CONCURRENTLY wait for transactions that began before, and have a lock SHARE UPDATE EXCLUSIVE meanwhile. That keeps
 * nobody from reading or writing; but who waits for it keeps others, unless it is for a lock of the same kind.
 *
 * It opens no table of the catalog, and is prepared by the first call: who waits for one of those would keep it waiting, too.
 */
export async function whoWaits(client: Client, { database, longerThanMs, pids, favoured }: { database: number; longerThanMs: number; pids: readonly number[]; favoured: readonly string[] }): Promise<Waiter[]> {
  const { rows } = await client.query<Waiter>({
    name: 'who waits',
    text: `WITH waiting AS MATERIALIZED (
       SELECT locktype, relation::int8::float8 AS relation, pid, virtualtransaction AS transaction, mode, waitstart, extract(epoch FROM clock_timestamp() - waitstart)::float8 AS seconds FROM pg_lock_status()
       WHERE NOT granted AND (locktype = 'virtualxid' OR (locktype = 'relation' AND database::int8 IN (0, $2::int8)))
     ), late AS MATERIALIZED (
       SELECT relation, pid, transaction, mode <> 'ShareUpdateExclusiveLock' AS "keepsOthers", coalesce(seconds, 0) AS seconds, pg_blocking_pids(pid) AS blockers FROM waiting
       WHERE locktype = 'relation' AND (waitstart < clock_timestamp() - $1::float8 * interval '1 millisecond' OR transaction = ANY ($4::text[]))
     ), ending AS MATERIALIZED (
       SELECT pid, pg_blocking_pids(pid) AS blockers FROM waiting WHERE locktype = 'virtualxid' AND pid IN (SELECT unnest(blockers) FROM late WHERE "keepsOthers")
     )
     SELECT relation, pid, transaction, seconds, NULL::int AS behind, blockers AS "blockedBy" FROM late WHERE blockers && $3::int[]
     UNION ALL
     SELECT l.relation, l.pid, l.transaction, l.seconds, c.pid, c.blockers FROM late l JOIN ending c ON c.pid = ANY (l.blockers) WHERE l."keepsOthers" AND c.blockers && $3::int[]`,
    values: [longerThanMs, database, pids, favoured],
  });
  return rows;
}

/** The table that a relation (by oid) is, or belongs to. One that has no name by now, or none that is to be had soon, goes by its number. */
export async function wantedBy(client: Client, relation: number): Promise<Wanted> {
  // Where the catalog itself is waited for, it may not say how this is called; of a part of it one part less is asked.
  const { rows: [table] } = await client.query<{ oid: number; name: string; namespace: string }>(
    `SELECT c.oid::int8::float8 AS oid, c.relname AS name, c.relnamespace::oid::text AS namespace FROM (SELECT $1::oid AS oid) w
     LEFT JOIN pg_index i ON i.indexrelid = w.oid LEFT JOIN pg_class t ON t.reltoastrelid = coalesce(i.indrelid, w.oid)
     JOIN pg_class c ON c.oid = coalesce(t.oid, i.indrelid, w.oid)`, [relation]).catch(() => ({ rows: [] }));
  const name = table?.name ?? `relation ${relation}`;
  const oid = table?.oid ?? relation;
  if (oid < FIRST_OF_USERS) return { oid, schema: 'pg_catalog', name, isOfSystem: !LARGE_OBJECT_TABLES.includes(name) };
  const { rows: [namespace] } = await client.query<{ schema: string }>('SELECT nspname AS schema FROM pg_namespace WHERE oid = $1', [table?.namespace ?? 0]).catch(() => ({ rows: [] }));
  return { oid, schema: namespace?.schema ?? 'unknown', name, isOfSystem: false };
}

/** Whether somebody still waits for one of these backends, or behind one that does. */
export async function isStillBehind(client: Client, { pid, behind }: Waiter, pids: readonly number[]): Promise<boolean> {
  const { rows: [row] } = await client.query<{ still: boolean }>('SELECT $1::int[] && pg_blocking_pids($2) AS still', [pids, behind ?? pid]);
  return row?.still ?? false;
}

/** The role of a session, where the server says it. */
export async function roleOf(client: Client, { pid }: Waiter): Promise<string | null> {
  const { rows: [row] } = await client.query<{ role: string | null }>('SELECT usesysid::regrole::text AS role FROM pg_stat_get_activity($1)', [pid]).catch(() => ({ rows: [] }));
  return row?.role ?? null;
}
