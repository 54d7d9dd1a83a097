import { escapeIdentifier, type Client, type FieldDef, type QueryResult } from 'pg';
import type { Bucket } from '../../contracts/manifest.ts';
import type { PageRange, TableSize } from './buckets.ts';
import { definitionMoved, sqlState } from './errors.ts';
import { onlyIf, quotedName } from './only-if.ts';
import { WAIT_NO_MORE } from './table-locks.ts';
import type { Table, TableKey } from './tables.ts';

/** What one range held, and for how long, in milliseconds, its table was locked meanwhile (ACCESS SHARE). */
export interface BucketReading {
  bucket: Bucket;
  /** Furthest value of each of `table.owned`, in that order. */
  furthest: (string | null)[];
  lockMs: number;
}

/** What is asked over another connection once a table is locked; before that, others could hold it until they were asked about, and change the answer. */
export interface Look {
  isRefused: (table: Table) => Promise<boolean>;
  /** How long an answer may take while whoever wants the table waits: the server then ends the session, also where this process is frozen. In milliseconds. */
  withinMs: number;
}

const LET_GO = 'ROLLBACK TO SAVEPOINT bucket; RELEASE SAVEPOINT bucket';

/** How much is read of each row. `count` proves no content. */
export type ReadDepth = 'count' | 'fingerprint' | 'fingerprintAndBounds';

/**
 * Reads one range of pages inside a transaction that has its snapshot.
 *
 * The lock lasts for this range only: rolling back to a savepoint releases it, while the snapshot stays. Under the
 * lock it is certain whether the file is still the one that the snapshot means: TRUNCATE, a rewriting ALTER and
 * REFRESH put another in its place, which the snapshot would read as it is now. Where it is not, nothing is read: what is
 * called so by now may be a view, which runs functions of its owner with our rights. So are the names of columns those of
 * now, which stay what they are under the lock; where one of them is another column's by now, what was read counts for nothing.
 * @param options.known what of the same bucket was read before: the bounds that are returned are those of both together
 * @returns 'moved' when the table was rewritten, dropped or renamed since the snapshot, or its columns have taken each other's names; 'refused' as it was answered
 */
export async function readBucket(client: Client, table: Table, range: PageRange, depth: ReadDepth, { known, look }: { known?: Bucket | undefined; look?: Look | undefined } = {}): Promise<BucketReading | 'moved' | 'refused'> {
  // One round trip, unless somebody is asked. The values in it are numbers and quoted identifiers of ours: a simple query takes no parameters.
  const locking = `SAVEPOINT bucket; ${table.lock}`;
  const reading = `${onlyIf(isSameFile(table))}; ${columnsQuery(table)}; ${bucketQuery(table, range, depth, known)}; ${LET_GO}`;
  const started = performance.now();
  let results: QueryResult<Record<string, unknown>>[];
  try {
    if (look) {
      // A statement that is cancelled lets go; a session that waits for what its client says next knows no such thing.
      await client.query(`${locking}; SET LOCAL idle_in_transaction_session_timeout = ${Math.ceil(look.withinMs)}`);
      if (await look.isRefused(table)) {
        // Where the table was held over this connection, that may be ended by now.
        await client.query(LET_GO).catch(() => undefined);
        return 'refused';
      }
    }
    // Who has an index locked could make another while the planner waits for it, after the look.
    results = await client.query(look ? `${WAIT_NO_MORE}; ${reading}` : `${locking}; ${reading}`) as unknown as QueryResult<Record<string, unknown>>[];
  } catch (error) {
    await client.query(LET_GO).catch(() => undefined);
    if (definitionMoved.has(sqlState(error))) return 'moved';
    throw error;
  }
  const lockMs = performance.now() - started;
  if (!areSameColumns(table, results.at(-4)?.fields ?? [])) return 'moved';
  const row = results.at(-3)?.rows[0] ?? {};
  return {
    bucket: {
      ...range,
      rows: Number(row['n']),
      fingerprint: textOrNull(row['f']) ?? '0',
      keyFrom: textOrNull(row['key_from']),
      keyTo: textOrNull(row['key_to']),
    },
    furthest: table.owned.map((_, index) => textOrNull(row[`o${index}`])),
    lockMs,
  };
}

/** A version of a row: it never changes, and a physical copy has it at the same place. */
export interface Tuple {
  /** Page and line, as PostgreSQL writes a ctid. */
  place: string;
  /** The transaction that made it, as 32 bits. */
  xmin: number;
  hash: bigint;
}

/**
 * Reads the versions of rows in one range of pages, under the same lock and the same conditions as {@link readBucket}; of each
 * only where it is, who made it and the hash of what it says.
 * @returns 'moved' as {@link readBucket} says
 */
export async function readTuples(client: Client, table: Table, range: PageRange): Promise<Tuple[] | 'moved'> {
  const query = `SELECT ctid::text AS place, xmin::text AS xmin, (${table.expression})::text AS hash FROM ${table.from}${whereOf(table, range)}`;
  try {
    const results = await client.query(`SAVEPOINT bucket; ${table.lock}; ${onlyIf(isSameFile(table))}; ${columnsQuery(table)}; ${query}; ${LET_GO}`) as unknown as QueryResult<{ place: string; xmin: string; hash: string }>[];
    if (!areSameColumns(table, results.at(-4)?.fields ?? [])) return 'moved';
    return (results.at(-3)?.rows ?? []).map(({ place, xmin, hash }) => ({ place, xmin: Number(xmin), hash: BigInt(hash) }));
  } catch (error) {
    await client.query(LET_GO).catch(() => undefined);
    if (definitionMoved.has(sqlState(error))) return 'moved';
    throw error;
  }
}

/**
 * Which transactions made the rows in one range of pages, under the same conditions; nothing of their contents is read.
 * @returns 'moved' as {@link readBucket} says
 */
export async function readMakers(client: Client, table: Table, range: PageRange): Promise<Set<number> | 'moved'> {
  const query = `SELECT DISTINCT xmin::text AS xmin FROM ${table.from}${whereOf(table, range)}`;
  try {
    const results = await client.query(`SAVEPOINT bucket; ${table.lock}; ${onlyIf(isSameFile(table))}; ${query}; ${LET_GO}`) as unknown as QueryResult<{ xmin: string }>[];
    return new Set((results.at(-3)?.rows ?? []).map(({ xmin }) => Number(xmin)));
  } catch (error) {
    await client.query(LET_GO).catch(() => undefined);
    if (definitionMoved.has(sqlState(error))) return 'moved';
    throw error;
  }
}

/** Whether the table is still what the snapshot says, and how many pages it has now; nothing of its contents is read. */
export async function measureTable(client: Client, table: Table): Promise<TableSize | 'moved'> {
  try {
    const size = `pg_relation_size(${table.oid}) AS bytes, pg_table_size(${table.oid}) AS total, current_setting('block_size') AS block`;
    const results = await client.query(
      `SAVEPOINT bucket; ${table.lock}; SELECT ${isSameFile(table)} AS same, ${size}; ${LET_GO}`,
    ) as unknown as QueryResult<{ same: boolean; bytes: string; total: string; block: string }>[];
    const row = results.at(-3)?.rows[0];
    if (!row?.same) return 'moved';
    return { pages: Number(row.bytes) / Number(row.block), bytes: Number(row.total) };
  } catch (error) {
    await client.query(LET_GO).catch(() => undefined);
    if (definitionMoved.has(sqlState(error))) return 'moved';
    throw error;
  }
}

/** pg_class answers as of the snapshot, the functions as of now; by oid, so that a table of the same name is another one. */
function isSameFile(table: Table): string {
  return `coalesce(to_regclass(${quotedName(table)})::oid = ${table.oid} AND pg_relation_filenode(${table.oid}) = ${table.relfilenode}, false)`;
}

/** Reads no row: what is asked for is the description that comes with every answer, and says of which column each name is by now. */
function columnsQuery({ columns, from }: Table): string {
  return `SELECT ${columns.map(({ name }) => escapeIdentifier(name)).join(', ')} FROM ${from} LIMIT 0`;
}

function areSameColumns({ oid, columns }: Table, fields: readonly FieldDef[]): boolean {
  return fields.length === columns.length && columns.every(({ number }, index) => fields[index]?.tableID === oid && fields[index].columnID === number);
}

function bucketQuery(table: Table, range: PageRange, depth: ReadDepth, known?: Bucket): string {
  const columns = ['count(*) AS n'];
  if (depth !== 'count') columns.push(`sum(${table.expression})::text AS f`);
  if (depth === 'fingerprintAndBounds') {
    if (table.key !== null) {
      const key = escapeIdentifier(table.key.column);
      columns.push(`least(min(${key})${alsoKnown(table.key, known?.keyFrom)})::text AS key_from`, `greatest(max(${key})${alsoKnown(table.key, known?.keyTo)})::text AS key_to`);
    }
    table.owned.forEach((owned, index) => columns.push(`${owned.ascending ? 'max' : 'min'}(${escapeIdentifier(owned.column)})::text AS o${index}`));
  }
  return `SELECT ${columns.join(', ')} FROM ${table.from}${whereOf(table, range)}`;
}

function whereOf(table: Table, range: PageRange): string {
  const where = [
    ...(table.typeCondition === undefined ? [] : [table.typeCondition]),
    ...(range.fromPage > 0 ? [`ctid >= '(${range.fromPage},0)'::tid`] : []),
    ...(range.toPage !== null ? [`ctid < '(${range.toPage},0)'::tid`] : []),
  ];
  return where.length > 0 ? ` WHERE ${where.join(' AND ')}` : '';
}

/** A bound that is known already, in the order of its type. */
function alsoKnown({ type }: TableKey, bound: string | null | undefined): string {
  return typeof bound === 'string' ? `, '${bound.replaceAll("'", "''")}'::pg_catalog.${escapeIdentifier(type)}` : '';
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : typeof value === 'number' || typeof value === 'bigint' ? String(value) : null;
}
