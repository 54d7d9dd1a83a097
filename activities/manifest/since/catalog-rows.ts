import { escapeIdentifier, escapeLiteral, type Client, type QueryResult } from 'pg';
import { databaseNumber } from '../database-number.ts';
import type { Tuple } from '../read-bucket.ts';
import { LARGE_OBJECT_TABLES } from '../tables.ts';
import { matchTuples } from './match-tuples.ts';
import { ofSource } from './of-source.ts';
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

/** What servers count and note in rows of the catalog without making another version of them: of each server, and no part of what is held against each other. */
const IN_PLACE: Readonly<Record<string, readonly string[]>> = {
  pg_class: ['relpages', 'reltuples', 'relallvisible', 'relallfrozen', 'relhasindex', 'relhasrules', 'relhastriggers', 'relfrozenxid', 'relminmxid'],
  pg_database: ['datfrozenxid', 'datminmxid', 'datconnlimit', 'dathasloginevt'],
};

/** What a row of the catalog says, as it is stored: not by names, which are others where what they name was renamed since. */
function asStored({ name, type }: CatalogColumn): string {
  const column = `t.${escapeIdentifier(name)}`;
  if (type.startsWith('reg')) return `${column}::pg_catalog.oid`;
  return type === '_aclitem' ? `pg_catalog.hash_array_extended(${column}, 0)` : column;
}

interface CatalogColumn { name: string; type: string }

/** Whether the copy has lost rows of the catalog, or they say something else there; `untold`: of some of these nobody knows. */
export type Lacks = 'yes' | 'no' | 'untold';

/**
 * Whether rows of the catalog that the source still has, and that were committed by the copy's instant, are not in the copy, or not
 * as they are at the source. Where that is so of none, whatever is defined otherwise there was defined so at the source, too, and has been
 * changed since; back again, perhaps. A part of the catalog that the source has in another file by now, as after VACUUM FULL, has its
 * rows elsewhere.
 */
export async function lacksCatalogRows(copy: Client, source: Client, past: SharedPast): Promise<Lacks> {
  const own = await copy.query<{ name: string }>('SELECT current_user AS name');
  const hidden = await ofSource(hiddenCatalogs(source));
  // Of different databases only what all share can be held against each other.
  const areSame = await databaseNumber(copy) === await ofSource(databaseNumber(source));
  // An `anyarray` holds values of users' types, and writing these runs functions of theirs; where rows of a table have them, they are compared with those.
  const { rows: catalogs } = await copy.query<{ name: string; columns: CatalogColumn[] }>(
    `SELECT relname AS name, (SELECT jsonb_agg(jsonb_build_object('name', attname, 'type', typname) ORDER BY attnum) FROM pg_attribute JOIN pg_type t ON t.oid = atttypid WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND typname <> 'anyarray') AS columns
     FROM pg_class c WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r' AND has_table_privilege(oid, 'SELECT') AND relname <> ALL ($1) AND (relisshared OR $2) ORDER BY oid`, [[...OF_EACH_SERVER, ...LARGE_OBJECT_TABLES, ...hidden], areSame]);
  let isUntold = false;
  for (const { name, columns } of catalogs) {
    // The role by which we came in was given a password of its own in the copy.
    const others = name === 'pg_authid' ? ` WHERE rolname <> ${escapeLiteral(own.rows[0]?.name ?? '')}` : '';
    const compared = columns.filter((column) => !IN_PLACE[name]?.includes(column.name)).map(asStored);
    const [ours, theirs] = await Promise.all([readCatalog(copy, name, compared, others), ofSource(readCatalog(source, name, compared, others))]);
    if (ours.file !== theirs.file) { isUntold = true; continue; }
    const { altered, missing, maybeAltered, untold } = await matchTuples(ours.rows, theirs.rows, (xids) => past.judge(xids));
    if (altered + missing > 0) return 'yes';
    // A copy defines what is its own, by numbers that the source has given to others since.
    isUntold ||= maybeAltered + untold > 0;
  }
  return isUntold ? 'untold' : 'no';
}

/** The rows of one catalog, and the file that they are in: reading them keeps others from putting another in its place until both are answered. */
async function readCatalog(client: Client, name: string, columns: readonly string[], where: string): Promise<{ rows: Tuple[]; file: string | undefined }> {
  const catalog = `pg_catalog.${escapeIdentifier(name)}`;
  const [{ rows }, { rows: [file] }] = await client.query(`SELECT ctid::text AS place, xmin::text AS xmin, hashtextextended(ROW(${columns.join(', ')})::text, 0)::text AS hash FROM ${catalog} t${where}; SELECT pg_relation_filenode(${escapeLiteral(catalog)}::regclass)::text AS node`) as unknown as [QueryResult<{ place: string; xmin: string; hash: string }>, QueryResult<{ node: string }>];
  return { rows: rows.map(({ place, xmin, hash }) => ({ place, xmin: Number(xmin), hash: BigInt(hash) })), file: file?.node };
}
