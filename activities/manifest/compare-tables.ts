import type { Client } from 'pg';
import type { Bucket, Difference, TableManifest } from '../../contracts/manifest.ts';
import { joinBuckets } from './buckets.ts';
import { saysNothingOfTheData, sessionIsOver, sqlState } from './errors.ts';
import { libraryTrouble } from '../postgres/library-trouble.ts';
import { ConnectionLost } from '../postgres/unreachable.ts';
import { readBucket } from './read-bucket.ts';
import type { ReadProgress } from './read-tables.ts';
import { throwIfAborted } from './session.ts';
import { keyOf } from './table-locks.ts';
import type { Table } from './tables.ts';
import { WorkQueue } from './work-queue.ts';

type RowsDifference = Extract<Difference, { kind: 'rows' }>;

/** What was compared of all tables of a database, and what could not be. Names are `schema.table`. */
export interface TablesComparison {
  differences: Difference[];
  /** Tables whose fingerprints were made in another way: their counts were compared, not their contents. */
  incomparable: string[];
  /** Tables that a transaction under way at the position locks: nothing of them can be read there. */
  locked: string[];
  /** Tables that need a library which this host's PostgreSQL cannot load, and what that says of it; their rows are counted all the same. */
  unloaded: { table: string; said: string }[];
  /** Of contents. */
  compared: { tables: number; rows: number; bytes: number; buckets: number };
  /** Of which no more than the number of rows was compared. */
  counted: { tables: number; rows: number };
}

/** Reads the same ranges of pages that the manifest has, and names every one that differs. */
export async function compareTables(options: {
  workers: readonly Client[]; expected: readonly TableManifest[]; found: readonly Table[]; depth: 'quick' | 'standard'; signal: AbortSignal;
  /** What a transaction under way at the position locks, by oid. */
  locked: ReadonlySet<number>;
  onProgress: (progress: ReadProgress) => void;
}): Promise<TablesComparison> {
  const { signal } = options;
  const found = new Map(options.found.map((table) => [keyOf(table), table]));
  const rowsDifferences = new Map<TableManifest, RowsDifference>();
  const result: TablesComparison = { differences: [], incomparable: [], locked: [], unloaded: [], compared: { tables: 0, rows: 0, bytes: 0, buckets: 0 }, counted: { tables: 0, rows: 0 } };
  const progress: ReadProgress = { tablesDone: 0, tablesTotal: options.expected.length, bytesDone: 0, bytesTotal: options.expected.reduce((sum, table) => sum + table.bytes, 0), rows: 0 };
  const queue = new WorkQueue<Client>();

  const differ = (manifest: TableManifest): RowsDifference => {
    let difference = rowsDifferences.get(manifest);
    if (!difference) {
      difference = { kind: 'rows', table: labelOf(manifest), rowsExpected: manifest.rows, rowsFound: manifest.rows, buckets: [] };
      rowsDifferences.set(manifest, difference);
    }
    return difference;
  };
  const [onlyCounted, leftOut] = [new Set<TableManifest>(), new Set<TableManifest>()];
  const leaveOut = (manifest: TableManifest, said: string, comparable: boolean): void => {
    const left = comparable ? onlyCounted : leftOut;
    if (left.has(manifest)) return;
    left.add(manifest);
    if (comparable || !onlyCounted.has(manifest)) result.unloaded.push({ table: labelOf(manifest), said });
    if (!comparable) {
      result.counted.tables -= 1;
      return;
    }
    result.compared.tables -= 1;
    result.compared.bytes -= manifest.bytes;
    result.counted.tables += 1;
  };
  /** Reads neighbouring buckets at once, and each by itself where something is wrong: their fingerprints add up. */
  const compareBuckets = (manifest: TableManifest, table: Table, buckets: readonly Bucket[], comparable: boolean) => async (client: Client): Promise<void> => {
    throwIfAborted(signal);
    const expected = joinBuckets(buckets);
    const range = { fromPage: expected.fromPage, toPage: expected.toPage };
    const read = async (depth: 'count' | 'fingerprint' | 'fingerprintAndBounds'): Promise<Bucket> => {
      const reading = await readBucket(client, table, range, depth);
      // Nothing can move on a paused copy.
      if (typeof reading === 'string') throw new Error(`table ${table.label} changed while the paused copy was read`);
      return reading.bucket;
    };
    const oneByOne = async (): Promise<void> => {
      for (const bucket of buckets) await compareBuckets(manifest, table, [bucket], comparable)(client);
    };
    try {
      const actual = await read(comparable ? 'fingerprint' : 'count');
      const equal = actual.rows === expected.rows && (!comparable || actual.fingerprint === expected.fingerprint);
      if (!equal && buckets.length > 1) return await oneByOne();
      progress.rows += actual.rows;
      (comparable ? result.compared : result.counted).rows += actual.rows;
      if (comparable) result.compared.buckets += buckets.length;
      if (!equal) {
        const difference = differ(manifest);
        difference.rowsFound += actual.rows - expected.rows;
        // Bounds cost time, so they are read only where they are needed.
        const bounds = expected.keyFrom !== null ? expected : await read('fingerprintAndBounds').catch(unknownIfUnloaded);
        difference.buckets.push({ ...range, keyColumn: manifest.keyColumn, keyFrom: bounds.keyFrom, keyTo: bounds.keyTo, rowsExpected: expected.rows, rowsFound: actual.rows });
      }
    } catch (error) {
      throwIfAborted(signal);
      const code = sqlState(error);
      if (sessionIsOver(error)) throw new ConnectionLost(`the restored server ended the connection over which table ${table.label} was read (${(error as Error).message})`, error);
      if (saysNothingOfTheData(error)) throw error;
      const said = libraryTrouble(error);
      if (said === undefined && buckets.length > 1) return oneByOne();
      // Only what the storage says may be quoted: other messages can hold values of rows.
      const message = code.startsWith('XX') || code.startsWith('58') ? (error as Error).message : 'the server could not read it';
      // What cannot be loaded is of this host, and says nothing of the backup.
      if (said !== undefined) {
        leaveOut(manifest, said, comparable);
        // To count rows no library is needed.
        if (comparable) return compareBuckets(manifest, table, buckets, false)(client);
      } else result.differences.push({ kind: 'unreadable', table: labelOf(manifest), code, message, ...range });
    }
    progress.bytesDone += (manifest.bytes / manifest.buckets.length) * buckets.length;
    options.onProgress({ ...progress });
  };

  for (const manifest of [...options.expected].sort((a, b) => b.bytes - a.bytes)) {
    const table = found.get(keyOf(manifest));
    if (!table) {
      const difference = differ(manifest);
      difference.rowsFound = 0;
      continue;
    }
    if (options.locked.has(table.oid)) {
      result.locked.push(labelOf(manifest));
      continue;
    }
    const comparable = options.depth === 'standard' && table.method === manifest.method;
    if (options.depth === 'standard' && !comparable) result.incomparable.push(labelOf(manifest));
    (comparable ? result.compared : result.counted).tables += 1;
    if (comparable) result.compared.bytes += manifest.bytes;
    const groups = neighbours(manifest);
    let left = groups.length;
    queue.add(groups.map((buckets) => async (client: Client) => {
      await compareBuckets(manifest, table, buckets, comparable)(client);
      left -= 1;
      if (left === 0) progress.tablesDone += 1;
    }));
  }
  await queue.run(options.workers);
  for (const difference of rowsDifferences.values()) difference.buckets.sort((a, b) => a.fromPage - b.fromPage);
  return { ...result, differences: [...result.differences, ...rowsDifferences.values()] };
}

function unknownIfUnloaded(error: unknown): Pick<Bucket, 'keyFrom' | 'keyTo'> {
  if (libraryTrouble(error) === undefined) throw error;
  return { keyFrom: null, keyTo: null };
}

/** How much is read by one query. More is hardly faster, and a table is shared out among fewer connections. */
const READ_AT_ONCE_BYTES = 32 * 2 ** 20;

/** A table's buckets in groups that lie side by side. */
function neighbours({ buckets, bytes }: TableManifest): Bucket[][] {
  const most = Math.max(1, Math.floor(READ_AT_ONCE_BYTES / (bytes / buckets.length)));
  const groups: Bucket[][] = [];
  for (const bucket of buckets) {
    const group = groups.at(-1);
    if (group && group.length < most && group.at(-1)?.toPage === bucket.fromPage) group.push(bucket);
    else groups.push([bucket]);
  }
  return groups;
}

function labelOf(table: { schema: string; name: string }): string {
  return `${table.schema}.${table.name}`;
}
