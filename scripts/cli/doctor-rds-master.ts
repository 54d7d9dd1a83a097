import { type Client, escapeIdentifier } from 'pg';
import { findInstance } from '../../activities/rds-provider/instance.ts';
import { openPlaces } from '../../activities/rds-provider/where.ts';
import type { RdsProvider } from '../../contracts/rds.ts';
import { messageOf, type Findings } from './doctor-finding.ts';

/** So many are named; the rest is counted. */
const NAMED = 5;

/** SQL: whether a role may read all of a table or sequence `c` in the schema `n`. A policy that does not count for it hides nothing. */
const mayRead = (role: string) => `(has_schema_privilege(${role}, n.oid, 'USAGE') AND CASE c.relkind WHEN 'S' THEN has_sequence_privilege(${role}, c.oid, 'SELECT') ELSE has_table_privilege(${role}, c.oid, 'SELECT') END
  AND NOT (c.relrowsecurity AND (c.relforcerowsecurity OR NOT pg_has_role(${role}, c.relowner, 'USAGE')) AND EXISTS (SELECT FROM pg_roles r WHERE r.rolname = ${role} AND NOT r.rolbypassrls AND NOT r.rolsuper)))`;

/** Manifests are read by `connection.user`, and copies by the master user, who has no other password there: what the one may read and the other may not is not compared. */
export async function examineMaster(client: Client, provider: RdsProvider, findings: Findings): Promise<void> {
  let master: string | undefined;
  try {
    master = (await findInstance((await openPlaces(provider)).source, provider.instance))?.MasterUsername;
  } catch (error) {
    return findings.skipped('master user', `whether it may read what manifests are taken of was not looked at: ${messageOf(error)}`);
  }
  if (master === undefined) return findings.skipped('master user', `RDS does not say who that of ${provider.instance} is`);
  const { rows } = await client.query<{ user: string; database: string; name: string | null }>(
    `SELECT current_user AS user, current_database() AS database, (SELECT string_agg(name, ', ' ORDER BY name) FILTER (WHERE place <= ${NAMED}) || CASE WHEN count(*) > ${NAMED} THEN format(' and %s more', count(*) - ${NAMED}) ELSE '' END
       FROM (SELECT format('%I.%I', n.nspname, c.relname) AS name, row_number() OVER (ORDER BY n.nspname, c.relname) AS place FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'm', 'S') AND c.relpersistence = 'p' AND (n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') OR c.relname = 'pg_user_mapping') AND ${mayRead('current_user')} AND NOT ${mayRead('$1::name')}) AS hidden) AS name`, [master]);
  const [row] = rows;
  if (!row || row.user === master) return;
  const copies = `${master}, as whom copies are read,`;
  const closed = await closedTo(client, master);
  if (closed.length > 0) findings.warning('master user', `${copies} may not connect to ${closed.slice(0, NAMED).join(', ')}${closed.length > NAMED ? ` and ${closed.length - NAMED} more` : ''}, so that drills end as not proven`, `GRANT CONNECT ON DATABASE ${closed.map(escapeIdentifier).join(', ')} TO ${escapeIdentifier(master)}`);
  if (row.name === null) return findings.ok('master user', `${copies} may read all of ${row.database} that ${row.user} may`);
  findings.warning('master user', `${copies} may not read all of ${row.database} that ${row.user} may, so that drills end as not proven: ${row.name}`, `GRANT ${escapeIdentifier(row.user)} TO ${escapeIdentifier(master)}, or whoever owns them`);
}

/** Databases that manifests are taken of, and that a role may not connect to. */
async function closedTo(client: Client, role: string): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(`
    SELECT datname AS name FROM pg_database WHERE datallowconn AND NOT datistemplate AND datconnlimit <> -2
      AND has_database_privilege(oid, 'CONNECT') AND NOT has_database_privilege($1::name, oid, 'CONNECT') ORDER BY datname`, [role]);
  return rows.map(({ name }) => name);
}
