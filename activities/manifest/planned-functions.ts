import type { Client } from 'pg';

/**
 * SQL: whether PostgreSQL may run a function of somebody who is no superuser when it plans a query of this relation, whatever that
 * asks. It works out what is constant in the expressions and predicates of indexes, in those of extended statistics and in
 * partition keys, with the rights of whoever asks, and takes the word of a function's owner that it changes nothing. Which calls are constant
 * is not looked at: a function that was one of a column a moment ago is replaced by one that calls another.
 * @param relation an oid, in SQL
 */
export const mayRunTheirs = (relation: string): string => `EXISTS (
  SELECT FROM (
    SELECT 'pg_class'::regclass AS classid, indexrelid AS oid FROM pg_index WHERE indrelid = ${relation} AND (indexprs IS NOT NULL OR indpred IS NOT NULL)
    UNION ALL SELECT 'pg_statistic_ext'::regclass, oid FROM pg_statistic_ext WHERE stxrelid = ${relation} AND stxexprs IS NOT NULL
    UNION ALL SELECT 'pg_class'::regclass, partrelid FROM pg_partitioned_table WHERE partrelid = ${relation} AND partexprs IS NOT NULL
  ) planned JOIN pg_depend d ON d.classid = planned.classid AND d.objid = planned.oid
  LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
  JOIN pg_proc p ON p.oid = CASE WHEN d.refclassid = 'pg_proc'::regclass THEN d.refobjid ELSE o.oprcode END
  JOIN pg_roles r ON r.oid = p.proowner WHERE NOT r.rolsuper)`;

/**
 * A query that is refused, as a lock, while somebody has an index of one of these relations to themselves, which the planner would wait
 * for: who has waited there once need not do so after the look, and what was made meanwhile is what the look then sees.
 * @param relations what is in parentheses after IN: oids, in SQL
 */
export const waitForIndexes = (relations: string): string => `SELECT count(pg_relation_size(indexrelid)) FROM pg_index WHERE indrelid IN (${relations})`;

/** SQL: whether who is connected may do anything on the server's host, or become somebody who may: a function that runs with their rights can, too. */
export const mayDoAnything = `EXISTS (SELECT FROM pg_roles r WHERE (r.rolsuper OR r.rolname IN ('pg_execute_server_program', 'pg_write_server_files')) AND pg_has_role(session_user, r.oid, 'MEMBER'))`;

/** Why such a table is not read, and what to do. */
export const WHY_NOT_PLANNED = 'PostgreSQL would run functions of a role that is no superuser, which an index or extended statistics of it call, with the rights of the role that reads, which is a superuser or as good as one; read with a role that is none, or give the functions to a superuser';

/** Which of the tables that this client sees would lend the rights of a superuser to their owners where they are read; without such rights none. */
export async function tablesRunningTheirs(client: Client): Promise<ReadonlySet<number>> {
  if (!await isMighty(client)) return new Set();
  const { rows } = await client.query<{ oid: number }>(`SELECT c.oid::int8::float8 AS oid FROM pg_class c WHERE c.relkind IN ('r', 'm') AND ${mayRunTheirs('c.oid')}`);
  return new Set(rows.map(({ oid }) => oid));
}

/**
 * Asks the same of one table right before it is read: no lock of a reader keeps others from making indexes and statistics.
 * @param control a connection without a snapshot, which sees what is there now
 * @returns undefined where there are no such rights
 */
export async function lookerForTheirs(control: Client): Promise<((table: { oid: number }) => Promise<boolean>) | undefined> {
  if (!await isMighty(control)) return undefined;
  return async ({ oid }) => {
    // Prepared: to plan it takes longer than to answer it.
    await control.query({ name: 'indexes', text: waitForIndexes('$1::oid'), values: [oid] });
    const { rows: [row] } = await control.query<{ runs: boolean }>({ name: 'running-theirs', text: `SELECT ${mayRunTheirs('$1::oid')} AS runs`, values: [oid] });
    return row?.runs !== false;
  };
}

async function isMighty(client: Client): Promise<boolean> {
  const { rows: [row] } = await client.query<{ mighty: boolean }>(`SELECT ${mayDoAnything} AS mighty`);
  return row?.mighty !== false;
}
