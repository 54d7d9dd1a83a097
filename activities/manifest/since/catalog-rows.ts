import { escapeIdentifier, escapeLiteral, type Client } from 'pg';
import { LARGE_OBJECT_TABLES } from '../tables.ts';
import { matchTuples } from './match-tuples.ts';
import { databaseNumber } from './same-database.ts';
import type { SharedPast } from './shared-past.ts';

/** Rows of these are made anew by the copy itself, whenever it analyzes a table. */
const OF_EACH_SERVER: readonly string[] = ['pg_statistic', 'pg_statistic_ext_data'];

/** Kinds of object that are in a catalog which not everybody may read. */
const HIDDEN: Readonly<Record<string, string>> = { role: 'pg_authid', subscription: 'pg_subscription', 'user mapping': 'pg_user_mapping' };

async function hiddenCatalogs(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(`SELECT relname AS name FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND NOT has_table_privilege(oid, 'SELECT')`);
  return rows.map(({ name }) => name);
}

/** Kinds of which the rows cannot be looked at over one of these connections. */
export async function hiddenKinds(...clients: readonly Client[]): Promise<Set<string>> {
  const hidden = new Set((await Promise.all(clients.map(hiddenCatalogs))).flat());
  return new Set(Object.entries(HIDDEN).filter(([, catalog]) => hidden.has(catalog)).map(([kind]) => kind));
}

/**
 * Whether rows of the catalog that the source still has, and that were committed by the copy's instant, are not in the copy.
 * Where none is, whatever is defined otherwise there was defined so at the source, too, and has been changed since; back again,
 * perhaps. Only places and transactions are looked at: the catalog's rows are updated in place, and by each server for itself.
 */
export async function lacksCatalogRows(copy: Client, source: Client, past: SharedPast): Promise<boolean> {
  const own = await copy.query<{ name: string }>('SELECT current_user AS name');
  const hidden = await hiddenCatalogs(source);
  // Of different databases only what all share can be held against each other.
  const areSame = await databaseNumber(copy) === await databaseNumber(source);
  const { rows: catalogs } = await copy.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r' AND has_table_privilege(oid, 'SELECT') AND relname <> ALL ($1) AND (relisshared OR $2) ORDER BY oid`, [[...OF_EACH_SERVER, ...LARGE_OBJECT_TABLES, ...hidden], areSame]);
  for (const { name } of catalogs) {
    // The role by which we came in was given a password of its own in the copy.
    const others = name === 'pg_authid' ? ` WHERE rolname <> ${escapeLiteral(own.rows[0]?.name ?? '')}` : '';
    const query = `SELECT ctid::text AS place, xmin::text AS xmin FROM pg_catalog.${escapeIdentifier(name)}${others}`;
    const [ours, theirs] = await Promise.all([copy, source].map(async (client) => (await client.query<{ place: string; xmin: string }>(query)).rows.map(({ place, xmin }) => ({ place, xmin: Number(xmin), hash: 0n }))));
    const { missing } = await matchTuples(ours ?? [], theirs ?? [], (xids) => past.committed(xids));
    if (missing > 0) return true;
  }
  return false;
}
