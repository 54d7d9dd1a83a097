import { escapeIdentifier, escapeLiteral, type Client, type QueryResult } from 'pg';
import type { Tuple } from '../read-bucket.ts';
import { LARGE_OBJECT_TABLES } from '../tables.ts';
import { matchTuples } from './match-tuples.ts';
import { ofSource } from './of-source.ts';
import type { SharedPast } from './shared-past.ts';
import { temporaryObjects } from './temporary-objects.ts';

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

/** What servers count and note in rows of the catalog by themselves, mostly without making another version of them: of each server, and no part of what is held against each other. */
const IN_PLACE: Readonly<Record<string, readonly string[]>> = {
  pg_class: ['relpages', 'reltuples', 'relallvisible', 'relallfrozen', 'relhasindex', 'relhasrules', 'relhastriggers', 'relhassubclass', 'relfrozenxid', 'relminmxid'],
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

/** `replaced`: catalogs of which the copy has rows that were perhaps written after the manifest, and that the source has no more; a definition that was changed and changed back leaves one. */
export interface CatalogRows { lacks: Lacks; replaced: ReadonlySet<string> }

/** Of which catalogs: those of one database, or those that all share. What became of the one tells nothing of the other. */
export type Extent = 'database' | 'shared';

/** In a catalog that all databases share, though each has its own. */
const SHARED_OF_ONE = 'pg_subscription';

/**
 * Whether rows of the catalog that the source still has, and that were committed by the copy's instant, are not in the copy, or not
 * as they are at the source. Where that is so of none, whatever is defined otherwise there was defined so at the source, too, and has been
 * changed since; back again, perhaps; or the copy has lost what the source has replaced since. A part of the catalog that the source has
 * in another file by now, as after VACUUM FULL, has its rows elsewhere. What a copy may drop or write by itself counts for nothing:
 * temporary objects, what says the same elsewhere, and what a managed service writes of its own roles and of the one by which we came in.
 */
export async function lacksCatalogRows(copy: Client, source: Client, past: SharedPast, extent: Extent): Promise<CatalogRows> {
  const hidden = await ofSource(hiddenCatalogs(source));
  // Before the rows: what is made later the copy does not have.
  const temporary = extent === 'shared' ? [] : [...new Set([...await ofSource(temporaryObjects(source)), ...await temporaryObjects(copy)])];
  const ofService = await serviceRoles(copy);
  const replaced = new Set<string>();
  // An `anyarray` holds values of users' types, and writing these runs functions of theirs; where rows of a table have them, they are compared with those.
  const { rows: catalogs } = await copy.query<{ name: string; columns: CatalogColumn[] }>(
    `SELECT relname AS name, (SELECT jsonb_agg(jsonb_build_object('name', attname, 'type', typname) ORDER BY attnum) FROM pg_attribute JOIN pg_type t ON t.oid = atttypid WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND typname <> 'anyarray') AS columns
     FROM pg_class c WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r' AND has_table_privilege(oid, 'SELECT') AND relname <> ALL ($1) AND (relisshared AND relname <> $3) = $2 ORDER BY oid`, [[...OF_EACH_SERVER, ...LARGE_OBJECT_TABLES, ...hidden], extent === 'shared', SHARED_OF_ONE]);
  let isUntold = false;
  for (const { name, columns } of catalogs) {
    const where = [...byItself(name, ofService), ...notAmong(temporary, columns)].map((condition) => `(${condition}) IS NOT TRUE`).join(' AND ');
    const compared = columns.filter((column) => !IN_PLACE[name]?.includes(column.name)).map(asStored);
    const [ours, theirs] = await Promise.all([readCatalog(copy, name, compared, where), ofSource(readCatalog(source, name, compared, where))]);
    if (ours.file !== theirs.file) { isUntold = true; continue; }
    const { here, there, copyAlone } = withoutMoved(ours.rows, theirs.rows);
    const { altered, missing, maybeAltered, untold } = await matchTuples(here, there, (xids) => past.judge(xids));
    if (altered + missing > 0) return { lacks: 'yes', replaced };
    if (copyAlone.some(({ xmin }) => past.isMaybeSinceManifest(xmin))) replaced.add(name);
    // A copy defines what is its own, by numbers that the source has given to others since.
    isUntold ||= maybeAltered + untold > 0;
  }
  return { lacks: isUntold ? 'untold' : 'no', replaced };
}

/** Numbers of the role by which we came in, to which a managed service gives a password of its own in the copy, and of the service's own roles, which it may keep as it likes there. */
async function serviceRoles(copy: Client): Promise<number[]> {
  const { rows } = await copy.query<{ oid: number }>(`SELECT oid::int8::float8 AS oid FROM pg_roles WHERE rolname = current_user OR rolname ~ '^rds'`);
  return rows.map(({ oid }) => oid);
}

/** Conditions of rows that a managed service may have written in a copy, and of those that tell who owns what in each database, which goes with it, temporary objects too. */
function byItself(catalog: string, roles: readonly number[]): string[] {
  const among = (column: string) => `${column} = ANY (${numbers(roles)})`;
  switch (catalog) {
    case 'pg_authid': return [among('t.oid')];
    case 'pg_auth_members': return [among('t.member')];
    case 'pg_db_role_setting': return [among('t.setrole')];
    case 'pg_database': return [`t.datname = 'rdsadmin'`];
    case 'pg_shdepend': return ['t.dbid <> 0', among('t.refobjid')];
    default: return [];
  }
}

/** Conditions of rows that name one of these. An array under NOT, older servers look through for each row. */
function notAmong(objects: readonly number[], columns: readonly CatalogColumn[]): string[] {
  const naming = columns.filter(({ type }) => type === 'oid' || type.startsWith('reg'));
  return objects.length === 0 || naming.length === 0 ? [] : [naming.map(({ name }) => `t.${escapeIdentifier(name)}::oid = ANY (${numbers(objects)})`).join(' OR ')];
}

function numbers(oids: readonly number[]): string {
  return `'{${oids.join()}}'::oid[]`;
}

/**
 * Without rows that both have, and that say the same elsewhere: the copy, or the source, has written them anew and changed nothing. At the
 * same place, by the same number, each may have written something of its own. `copyAlone`: those of the copy that the source has not.
 */
export function withoutMoved(ours: readonly Tuple[], theirs: readonly Tuple[]): { here: Tuple[]; there: Tuple[]; copyAlone: Tuple[] } {
  const keyOf = ({ place, xmin, hash }: Tuple) => `${place} ${xmin} ${hash}`;
  const [ofOurs, ofTheirs] = [new Set(ours.map(keyOf)), new Set(theirs.map(keyOf))];
  const alone = new Map<bigint, Tuple[]>();
  for (const tuple of ours) {
    if (ofTheirs.has(keyOf(tuple))) continue;
    const known = alone.get(tuple.hash);
    if (known) known.push(tuple);
    else alone.set(tuple.hash, [tuple]);
  }
  const moved = new Set<Tuple>();
  const there = theirs.filter((tuple) => {
    const same = ofOurs.has(keyOf(tuple)) ? undefined : alone.get(tuple.hash)?.pop();
    if (same) moved.add(same);
    return same === undefined;
  });
  return { here: ours.filter((tuple) => !moved.has(tuple)), there, copyAlone: [...alone.values()].flat() };
}

/** The rows of one catalog, and the file that they are in: reading them keeps others from putting another in its place until both are answered. */
async function readCatalog(client: Client, name: string, columns: readonly string[], where: string): Promise<{ rows: Tuple[]; file: string | undefined }> {
  const catalog = `pg_catalog.${escapeIdentifier(name)}`;
  const [{ rows }, { rows: [file] }] = await client.query(`SELECT ctid::text AS place, xmin::text AS xmin, hashtextextended(ROW(${columns.join(', ')})::text, 0)::text AS hash FROM ${catalog} t${where === '' ? '' : ` WHERE ${where}`}; SELECT pg_relation_filenode(${escapeLiteral(catalog)}::regclass)::text AS node`) as unknown as [QueryResult<{ place: string; xmin: string; hash: string }>, QueryResult<{ node: string }>];
  return { rows: rows.map(({ place, xmin, hash }) => ({ place, xmin: Number(xmin), hash: BigInt(hash) })), file: file?.node };
}
