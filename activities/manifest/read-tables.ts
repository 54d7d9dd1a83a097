import type { Client } from 'pg';
import type { Bucket, TableManifest } from '../../contracts/manifest.ts';
import { cutRange, joinBuckets, planRanges, type PageRange, type TableSize } from './buckets.ts';
import { ManifestError, cannotBeRead, lockRefused, queryCanceled, sqlState } from './errors.ts';
import type { GiveWay } from './give-way.ts';
import { libraryTrouble } from '../postgres/library-trouble.ts';
import { LockPatience } from './lock-patience.ts';
import { Pace } from './pace.ts';
import { measureTable, readBucket, type Look } from './read-bucket.ts';
import { pause } from './snapshot.ts';
import { throwIfAborted } from './session.ts';
import type { OwnerValues } from './sequences.ts';
import { WAIT_NO_MORE } from './table-locks.ts';
import type { Table } from './tables.ts';
import { WorkQueue, type Task } from './work-queue.ts';

/** Of one database. `bytesTotal`: as far as it is known beforehand; it moves while tables are measured. */
export interface ReadProgress { tablesDone: number; tablesTotal: number; bytesDone: number; bytesTotal: number; rows: number }

/** What all tables of a database held under one snapshot. Times are in milliseconds. */
export interface TablesReading {
  manifests: TableManifest[];
  owners: OwnerValues;
  /** Tables that were rewritten, dropped or renamed since the snapshot; with any of these nothing else counts. */
  moved: Table[];
  longestLockMs: number;
  bytesRead: number;
}

/**
 * How much is read before a rest. While it is read, one of the server's processors is busy with it, and whoever writes
 * may wait for that long. In bursts of 8 MB a manifest raised the p95 of writes by a quarter, in bursts of 1 or 2 MB
 * hardly measurably (`npm run bench -- dr-test --only manifestImpact`); smaller ones cost more than they spare.
 */
const BURST_BYTES = 2 ** 20;

/**
 * Reads all tables over several connections that share one snapshot.
 * @param onTableDone called as soon as a table was read, so that a lock on it can be let go
 */
export async function readTables(options: {
  database: string; workers: readonly Client[]; tables: readonly Table[]; bucketBytes: number; dutyCycle: number; signal: AbortSignal;
  /** Nothing can change meanwhile. */
  isPaused?: boolean;
  /** Reading all should not take longer: it rests less rather than pass this. */
  finishWithinMs: number;
  /** The connection that already holds a table locked, and so must read it. */
  lockerOf: (table: Table) => Client | undefined;
  /** Which tables are left out since others wait for them, and whether a statement was cancelled for others. */
  way: Pick<GiveWay, 'isAbandoned' | 'wasCancelled'>;
  /** Asked right before each bucket, once its table is locked; a table that is refused is abandoned by then. */
  look: Look | undefined;
  onProgress: (progress: ReadProgress) => void; onTableDone: (table: Table) => Promise<void>;
}): Promise<TablesReading> {
  const { signal, way, look } = options;
  const queue = new WorkQueue<Client>();
  const readings = new Map<Table, { bytes: number; expected: number; buckets: Bucket[]; furthest: (bigint | null)[] }>();
  const moved = new Set<Table>();
  const progress: ReadProgress = { tablesDone: 0, tablesTotal: options.tables.length, bytesDone: 0, bytesTotal: options.tables.reduce((sum, table) => sum + table.estimatedPages * 8192, 0), rows: 0 };
  let longestLockMs = 0;

  /** Runs work that needs a lock; when somebody holds the table it is tried again 'later', with patience from the first refusal on. */
  const locking = (table: Table, work: Task<Client>, patience = new LockPatience()) => async (client: Client): Promise<'later' | 'over'> => {
    throwIfAborted(signal);
    if (way.isAbandoned(table)) return 'over';
    try {
      await work(client);
      return 'over';
    } catch (error) {
      throwIfAborted(signal);
      // Its connection may have been ended for that.
      if (way.isAbandoned(table)) return 'over';
      if (sqlState(error) === queryCanceled && await way.wasCancelled(client)) {
        queue.add([locking(table, work)]);
        return 'later';
      }
      if (!lockRefused.has(sqlState(error)) || !patience.goesOn()) throw error;
      await pause(50, signal);
      queue.add([locking(table, work, patience)]);
      return 'later';
    }
  };
  const pace = new Pace({ dutyCycle: options.dutyCycle, connections: options.workers.length, finishWithinMs: options.finishWithinMs });

  /**
   * Reads one bucket, with a rest after each burst. A bucket whose table is locked by somebody meanwhile goes on where it was.
   * @param onRead told over which connection it came to its end
   */
  const readRange = (table: Table, range: PageRange, size: TableSize, isHeld = false, onRead: (client: Client) => void = () => undefined) => {
    // Whoever rests on a lock spares nobody.
    const mayRest = !isHeld && options.dutyCycle < 1;
    let unread: PageRange[] | undefined;
    let bytesEach = 0;
    let bucket: Bucket | undefined;
    return locking(table, async (client) => {
      const reading = readings.get(table);
      if (!reading) return;
      if (unread === undefined) {
        // Where there is no time to rest, bursts would only cost.
        unread = mayRest && pace.leavesRest ? cutRange(table, range, size, BURST_BYTES) : [range];
        bytesEach = reading.bytes / reading.expected / unread.length;
      }
      for (let burst = unread[0]; burst !== undefined; burst = unread[0]) {
        throwIfAborted(signal);
        // After the first race the numbers are worthless; only more races are looked for, so that the next attempt knows all.
        if (moved.size > 0) return;
        const result = await readBucket(client, table, burst, 'fingerprintAndBounds', { known: bucket, look }).catch((error: unknown) => {
          if (!cannotBeRead(error)) throw error;
          // A column that got another type since the snapshot: at a new position it is read as what it is then, and held.
          if (!isHeld && options.isPaused !== true) return 'moved' as const;
          // What PostgreSQL says of it may hold values of a row, and is not passed on; what it says of its libraries does not.
          throw new ManifestError('unreadable', `PostgreSQL cannot read table ${table.label} of database ${options.database} (${libraryTrouble(error) ?? `SQLSTATE ${sqlState(error)}`}): it can be backed up, but not compared exactly`);
        });
        if (result === 'refused') return;
        if (result === 'moved') { moved.add(table); return; }
        unread.shift();
        const { keyFrom, keyTo } = result.bucket;
        bucket = bucket === undefined ? result.bucket : { ...joinBuckets([bucket, result.bucket]), keyFrom, keyTo };
        longestLockMs = Math.max(longestLockMs, result.lockMs);
        result.furthest.forEach((value, index) => { reading.furthest[index] = further(reading.furthest[index] ?? null, value, table.owned[index]?.ascending ?? true); });
        progress.rows += result.bucket.rows;
        progress.bytesDone += bytesEach;
        if (unread.length === 0) {
          reading.buckets.push(bucket);
          onRead(client);
          if (reading.buckets.length === reading.expected) { progress.tablesDone += 1; await options.onTableDone(table); }
        }
        options.onProgress({ ...progress });
        const restMs = pace.restMs({ busyMs: result.lockMs, bytesDone: progress.bytesDone, bytesTotal: progress.bytesTotal });
        if (mayRest && restMs > 0) await pause(restMs, signal);
      }
    });
  };

  const plan = (table: Table): Task<Client> => locking(table, async (client) => {
    const size = await measureTable(client, table);
    if (size === 'moved') { moved.add(table); return; }
    const ranges = planRanges(table, size, options.bucketBytes);
    readings.set(table, { bytes: size.bytes, expected: ranges.length, buckets: [], furthest: table.owned.map(() => null) });
    progress.bytesTotal += size.bytes - table.estimatedPages * 8192;
    queue.addSeriesFirst(inTurn(ranges, (range) => readRange(table, range, size)));
  });

  /**
   * Reads a table over the connection that holds it, from one end to the other, so that its lock can go. Whoever is refused something
   * while it holds that waits for nothing any more: somebody who wants the table may have what it waits for, and would be the one
   * whom PostgreSQL ends for it. The rest is for connections that hold nothing, once they get what was refused.
   */
  const readHeld = async (table: Table, locker: Client, size: TableSize): Promise<void> => {
    const ranges = planRanges(table, size, options.bucketBytes);
    readings.set(table, { bytes: size.bytes, expected: ranges.length, buckets: [], furthest: table.owned.map(() => null) });
    progress.bytesTotal += size.bytes - table.estimatedPages * 8192;
    for (const [index, range] of ranges.entries()) {
      const readRest = (client: Client): void => { if (client !== locker) queue.addSeriesFirst(inTurn(ranges.slice(index + 1), (later) => readRange(table, later, size, true))); };
      if (await readRange(table, range, size, true, readRest)(locker) === 'over') continue;
      // Where it was let go meanwhile, that is known.
      await locker.query(WAIT_NO_MORE).catch(() => undefined);
      return;
    }
  };

  /** Whether a table is still what it was, asked over the connection that holds it. */
  const measureHeld = async (table: Table, locker: Client): Promise<TableSize | 'moved' | 'refused' | 'abandoned'> => {
    try {
      return await measureTable(locker, table);
    } catch (error) {
      if (way.isAbandoned(table)) return 'abandoned';
      if (!lockRefused.has(sqlState(error))) throw error;
      await locker.query(WAIT_NO_MORE).catch(() => undefined);
      // An index or so of it: it stays held, and is read with patience like any other.
      return 'refused';
    }
  };

  // What is held locked comes first; then the largest. One connection may hold several, and does one thing after the other: what is sent
  // before another statement's failure was rolled back would fail with it.
  const heldBy = new Map<Client, Table[]>();
  for (const table of options.tables) {
    const locker = options.lockerOf(table);
    if (locker) heldBy.set(locker, [...heldBy.get(locker) ?? [], table]);
  }
  const heldTables = new Set([...heldBy.values()].flat());
  const toHold = await Promise.all([...heldBy].map(async ([locker, tables]) => {
    const sized: { table: Table; size: TableSize }[] = [];
    for (const table of tables) {
      const size = await measureHeld(table, locker);
      if (size === 'moved') moved.add(table);
      else if (size === 'refused') queue.add([plan(table)]);
      else if (size !== 'abandoned') sized.push({ table, size });
    }
    return { locker, sized };
  }));
  queue.add(toHold.map(({ locker, sized }) => async () => { for (const { table, size } of sized) await readHeld(table, locker, size); }));
  // Rewritten between the position and the lock: better try again at once than read for nothing.
  if (moved.size > 0) return { manifests: [], owners: new Map(), moved: [...moved], longestLockMs, bytesRead: 0 };
  queue.add(options.tables.filter((table) => !heldTables.has(table)).map(plan));
  await queue.run(options.workers);

  const owners = new Map<number, { owner: string; furthest: bigint | null }>();
  const manifests = moved.size > 0 ? [] : [...readings].filter(([table]) => !way.isAbandoned(table)).map(([table, reading]) => {
    table.owned.forEach(({ sequenceOid, column }, index) => owners.set(sequenceOid, { owner: `${table.label}.${column}`, furthest: reading.furthest[index] ?? null }));
    return toManifest(table, reading);
  });
  return { manifests, owners, moved: [...moved], longestLockMs, bytesRead: progress.bytesDone };
}

/** The work for each of many, made when it is its turn. */
function* inTurn<T>(items: readonly T[], work: (item: T) => Task<Client>): Generator<Task<Client>> {
  for (const item of items) yield work(item);
}

function toManifest(table: Table, reading: { bytes: number; buckets: Bucket[] }): TableManifest {
  const buckets = reading.buckets.sort((a, b) => a.fromPage - b.fromPage);
  return {
    schema: table.schema, name: table.name, method: table.method, portable: table.portable, bytes: reading.bytes, keyColumn: table.key?.column ?? null, buckets,
    oid: table.oid, filenode: table.relfilenode,
    rows: buckets.reduce((sum, bucket) => sum + bucket.rows, 0),
    fingerprint: String(buckets.reduce((sum, bucket) => sum + BigInt(bucket.fingerprint), 0n)),
  };
}

function further(known: bigint | null, value: string | null, ascending: boolean): bigint | null {
  if (value === null) return known;
  const found = BigInt(value);
  if (known === null) return found;
  return (found > known) === ascending ? found : known;
}
