import { escapeIdentifier, escapeLiteral, type Client, type QueryResult } from 'pg';
import type { Tuple } from '../read-bucket.ts';
import { LARGE_OBJECT_TABLES } from '../tables.ts';
import { matchTuples } from './match-tuples.ts';
import { ofSource } from './of-source.ts';
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

/** `untold`: of some of what may be lacking nobody knows. */
export type Lacks = 'yes' | 'no' | 'untold';

/**
 * Whether rows of the catalog that the source still has, and that were committed by the copy's instant, are not in the copy.
 * Where none is, whatever is defined otherwise there was defined so at the source, too, and has been changed since; back again,
 * perhaps. Only places and transactions are looked at: the catalog's rows are updated in place, and by each server for itself. A part
 * of the catalog that the source has in another file by now, as after VACUUM FULL, has its rows elsewhere.
 */
export async function lacksCatalogRows(copy: Client, source: Client, past: SharedPast): Promise<Lacks> {
  const own = await copy.query<{ name: string }>('SELECT current_user AS name');
  const hidden = await ofSource(hiddenCatalogs(source));
  // Of different databases only what all share can be held against each other.
  const areSame = await databaseNumber(copy) === await ofSource(databaseNumber(source));
  const { rows: catalogs } = await copy.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r' AND has_table_privilege(oid, 'SELECT') AND relname <> ALL ($1) AND (relisshared OR $2) ORDER BY oid`, [[...OF_EACH_SERVER, ...LARGE_OBJECT_TABLES, ...hidden], areSame]);
  let isUntold = false;
  for (const { name } of catalogs) {
    // The role by which we came in was given a password of its own in the copy.
    const others = name === 'pg_authid' ? ` WHERE rolname <> ${escapeLiteral(own.rows[0]?.name ?? '')}` : '';
    const [ours, theirs] = await Promise.all([readCatalog(copy, name, others), ofSource(readCatalog(source, name, others))]);
    if (ours.file !== theirs.file) { isUntold = true; continue; }
    const { missing } = await matchTuples(ours.rows, theirs.rows, (xids) => past.committed(xids));
    if (missing > 0) return 'yes';
  }
  return isUntold ? 'untold' : 'no';
}

/** The rows of one catalog, and the file that they are in: reading them keeps others from putting another in its place until both are answered. */
async function readCatalog(client: Client, name: string, where: string): Promise<{ rows: Tuple[]; file: string | undefined }> {
  const catalog = `pg_catalog.${escapeIdentifier(name)}`;
  const [{ rows }, { rows: [file] }] = await client.query(`SELECT ctid::text AS place, xmin::text AS xmin FROM ${catalog}${where}; SELECT pg_relation_filenode(${escapeLiteral(catalog)}::regclass)::text AS node`) as unknown as [QueryResult<{ place: string; xmin: string }>, QueryResult<{ node: string }>];
  return { rows: rows.map(({ place, xmin }) => ({ place, xmin: Number(xmin), hash: 0n })), file: file?.node };
}
