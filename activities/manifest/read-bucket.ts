import { escapeIdentifier, type Client, type QueryResult } from 'pg';
import type { Bucket } from '../../contracts/manifest.ts';
import { definitionMoved, sqlState } from './errors.ts';
import type { Table } from './tables.ts';

export interface PageRange { fromPage: number; toPage: number | null }

export interface BucketReading {
  bucket: Bucket;
  /** Furthest value of each of `table.owned`, in that order. */
  furthest: (string | null)[];
  lockMs: number;
}

/** How much is read of each row. `count` proves no content. */
export type ReadDepth = 'count' | 'fingerprint' | 'fingerprintAndBounds';

/**
 * Reads one range of pages inside a transaction that has its snapshot.
 *
 * The lock lasts for this range only: rolling back to a savepoint releases it, while the snapshot stays. Under the
 * lock it is certain whether the file is still the one that the snapshot means: TRUNCATE, a rewriting ALTER and
 * REFRESH put another in its place, which the snapshot would read as it is now.
 * @returns 'moved' when the table was rewritten, dropped or renamed since the snapshot
 */
export async function readBucket(client: Client, table: Table, range: PageRange, depth: ReadDepth): Promise<BucketReading | 'moved'> {
  // One round trip. The values in it are numbers and quoted identifiers of ours: a simple query takes no parameters.
  const text = `SAVEPOINT bucket; ${table.lock}; ${sameFileQuery(table)}; ${bucketQuery(table, range, depth)}; ROLLBACK TO SAVEPOINT bucket; RELEASE SAVEPOINT bucket`;
  const started = performance.now();
  let results: QueryResult<Record<string, unknown>>[];
  try {
    results = await client.query(text) as unknown as QueryResult<Record<string, unknown>>[];
  } catch (error) {
    await client.query('ROLLBACK TO SAVEPOINT bucket; RELEASE SAVEPOINT bucket').catch(() => undefined);
    if (definitionMoved.has(sqlState(error))) return 'moved';
    throw error;
  }
  const lockMs = performance.now() - started;
  if (results[2]?.rows[0]?.['same'] !== true) return 'moved';
  const row = results[3]?.rows[0] ?? {};
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

/** Whether the table is still what the snapshot says, and how many pages it has now; nothing of its contents is read. */
export async function measureTable(client: Client, table: Table): Promise<{ pages: number; bytes: number } | 'moved'> {
  try {
    const results = await client.query(
      `SAVEPOINT bucket; ${table.lock}; ${sameFileQuery(table)}; ROLLBACK TO SAVEPOINT bucket; RELEASE SAVEPOINT bucket`,
    ) as unknown as QueryResult<{ same: boolean; bytes: string; total: string; block: string }>[];
    const row = results[2]?.rows[0];
    if (!row?.same) return 'moved';
    return { pages: Number(row.bytes) / Number(row.block), bytes: Number(row.total) };
  } catch (error) {
    await client.query('ROLLBACK TO SAVEPOINT bucket; RELEASE SAVEPOINT bucket').catch(() => undefined);
    if (definitionMoved.has(sqlState(error))) return 'moved';
    throw error;
  }
}

/** pg_class answers as of the snapshot, the functions as of now; by oid, so that a table of the same name is another one. */
function sameFileQuery(table: Table): string {
  const name = `'${`${escapeIdentifier(table.schema)}.${escapeIdentifier(table.name)}`.replaceAll("'", "''")}'`;
  return `SELECT coalesce(to_regclass(${name})::oid = ${table.oid} AND pg_relation_filenode(${table.oid}) = ${table.relfilenode}, false) AS same,
    pg_relation_size(${table.oid}) AS bytes, pg_table_size(${table.oid}) AS total, current_setting('block_size') AS block`;
}

function bucketQuery(table: Table, range: PageRange, depth: ReadDepth): string {
  const columns = ['count(*) AS n'];
  if (depth !== 'count') columns.push(`sum(${table.expression})::text AS f`);
  if (depth === 'fingerprintAndBounds') {
    if (table.keyColumn !== null) {
      const key = escapeIdentifier(table.keyColumn);
      columns.push(`min(${key})::text AS key_from`, `max(${key})::text AS key_to`);
    }
    table.owned.forEach((owned, index) => columns.push(`${owned.ascending ? 'max' : 'min'}(${escapeIdentifier(owned.column)})::text AS o${index}`));
  }
  const where = [
    ...(range.fromPage > 0 ? [`ctid >= '(${range.fromPage},0)'::tid`] : []),
    ...(range.toPage !== null ? [`ctid < '(${range.toPage},0)'::tid`] : []),
  ];
  return `SELECT ${columns.join(', ')} FROM ${table.from}${where.length > 0 ? ` WHERE ${where.join(' AND ')}` : ''}`;
}

/** Cuts a table into ranges of about `bucketBytes`; the last one is open, so that rows on later pages are not missed. */
export function planRanges(table: Pick<Table, 'isHeap'>, pages: number, bytes: number, bucketBytes: number): PageRange[] {
  if (!table.isHeap || pages === 0 || bytes <= bucketBytes * 1.5) return [{ fromPage: 0, toPage: null }];
  // Bytes include what is stored out of line, which is read along with its pages.
  const step = Math.max(1, Math.round(pages * bucketBytes / bytes));
  const ranges: PageRange[] = [];
  for (let fromPage = 0; fromPage < pages; fromPage += step) ranges.push({ fromPage, toPage: fromPage + step < pages ? fromPage + step : null });
  return ranges;
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : typeof value === 'number' || typeof value === 'bigint' ? String(value) : null;
}
