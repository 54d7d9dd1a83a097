import type { Client } from 'pg';

/**
 * The numbers of what is temporary on a server, and of all that goes with it: indexes, types, constraints, whatever depends on one. A
 * copy has it of sessions that it never had, and autovacuum, or the first session that makes a temporary table of its own, drops it.
 */
export async function temporaryObjects(client: Client): Promise<number[]> {
  const { rows } = await client.query<{ oid: number }>(
    `WITH RECURSIVE temporary (class, oid) AS (
       (SELECT 'pg_catalog.pg_namespace'::regclass::oid, oid FROM pg_namespace WHERE nspname ~ '^pg_(toast_)?temp_'
        UNION ALL SELECT 'pg_catalog.pg_class'::regclass::oid, oid FROM pg_class WHERE relpersistence = 't')
       UNION SELECT d.classid, d.objid FROM temporary t JOIN pg_depend d ON d.refclassid = t.class AND d.refobjid = t.oid
     ) SELECT DISTINCT oid::int8::float8 AS oid FROM temporary`);
  return rows.map(({ oid }) => oid);
}
