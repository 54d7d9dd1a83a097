import type { Client } from 'pg';
import type { CatalogObject, DatabaseManifest, ManifestCost, NotVerified } from '../../contracts/manifest.ts';
import { readDatabaseCatalog, readGlobals } from './catalog.ts';
import { databaseNumber } from './database-number.ts';
import { readLabels, relabelledSince } from './enum-labels.ts';
import { ManifestError, lockRefused, sqlState, undecodable } from './errors.ts';
import { lockedAcross } from './exclusive-locks.ts';
import { GiveWay, type Abandoned } from './give-way.ts';
import { watchCost, type CostWatch } from './guard.ts';
import { invalidDatabases } from './invalid-databases.ts';
import type { ManifestLimits } from './limits.ts';
import { readingCatalog, readingCatalogAsItIs } from './patient-catalog.ts';
import { lookerForTheirs, tablesRunningTheirs, WHY_NOT_PLANNED } from './planned-functions.ts';
import { readTables } from './read-tables.ts';
import { readRowTypes, reshapedSince } from './row-types.ts';
import { SequencePatience } from './sequence-patience.ts';
import { positionsBefore } from './sequence-watch.ts';
import { describeSequences, listSequences, readPositions, withoutBound, type SequencePosition } from './sequences.ts';
import { readableSecrets } from './secrets.ts';
import type { Sessions } from './session.ts';
import { exportSnapshot } from './snapshot.ts';
import { TableLocks, keyOf, type LockableTable } from './table-locks.ts';
import { listTables, ownedByFilled, type Table, type TableList } from './tables.ts';
import type { ManifestProgress } from './progress.ts';

/** `globals`: empty unless they were asked for, with the first database. */
export interface DatabaseReading {
  manifest: DatabaseManifest;
  globals: CatalogObject[];
  notVerified: NotVerified[];
}

/**
 * `cost` is added to while it reads, and holds what was spent also where it fails; whoever
 * aborts `stopping` names the limit that was reached.
 */
export interface TakeDatabaseOptions {
  sessions: Sessions;
  database: string;
  limits: ManifestLimits;
  salt: string;
  cost: ManifestCost;
  source: 'slot' | 'pausedStandby';
  stopping: AbortController;
  withGlobals: boolean;
  serverVersionNum: number;
  onProgress: (progress: ManifestProgress) => void;
}

/**
 * Tables that raced before are locked at once after the position is fixed and looked at before anything is read, so
 * most attempts that fail do so within a fraction of a second.
 */
const maxAttempts = 60;

/** Why an attempt counts for nothing: others were faster. */
interface Raced { tables: (LockableTable & { label: string })[]; sequences?: string[]; dropped?: string[]; retyped?: string[] }

/** Reads one database at one log position; starts again at a new one as often as tables are rewritten, sequences restarted or databases dropped meanwhile. */
export async function takeDatabase(options: TakeDatabaseOptions): Promise<DatabaseReading> {
  const raced = new Map<string, LockableTable>();
  // For all attempts: who has waited once is not made to wait again.
  const abandoned: Abandoned = new Map();
  const patience = new SequencePatience(options.limits.maxXminAgeMs / 2);
  for (let attempt = 1; attempt <= maxAttempts; attempt += 1) {
    options.cost.attempts += 1;
    const started = performance.now();
    const reading = await attemptDatabase(options, { attempt, raced: [...raced].flatMap(([key, table]) => (abandoned.has(key) ? [] : [table])), abandoned, sequencesMayRace: patience.isOver });
    if ('manifest' in reading) return reading;
    const { tables, sequences = [], dropped = [], retyped = [] } = reading;
    if (sequences.length > 0) patience.gaveUp(performance.now() - started);
    for (const table of tables) raced.set(keyOf(table), { schema: table.schema, name: table.name, lock: table.lock });
    options.cost.restarts.push(`${options.database}: ${tables.length > 0
      ? `${tables.map((table) => table.label).join(', ')} rewritten, dropped or locked exclusively meanwhile`
      : retyped.length > 0 ? `values of ${retyped.join(', ')} defined anew meanwhile`
      : dropped.length > 0 ? `database ${dropped.join(', ')} dropped around the position`
        : `sequence ${sequences.join(', ')} made, restarted, set back or locked just before the position`}`);
  }
  const names = [...raced.values()].map((table) => `${table.schema}.${table.name}`).join(', ');
  throw new ManifestError('neverQuiet', `tables of database ${options.database} were rewritten or dropped, or their types defined anew, in each of ${maxAttempts} attempts${names === '' ? '' : `: ${names}`}; the last: ${options.cost.restarts.at(-1)}`);
}

/** A position that the workers' snapshots agree with, what was locked across it, and where sequences stood before it. */
interface Position { lsn: string; locks: TableLocks | undefined; locked: ReadonlySet<number>; before: ReadonlyMap<number, SequencePosition> }

async function attemptDatabase(
  options: TakeDatabaseOptions, { attempt, raced, abandoned, sequencesMayRace }: { attempt: number; raced: LockableTable[]; abandoned: Abandoned; sequencesMayRace: boolean },
): Promise<DatabaseReading | Raced> {
  const { sessions, database, limits, stopping, cost } = options;
  const { signal } = stopping;
  const clients: Client[] = [];
  const open = async (): Promise<Client> => { const client = await sessions.open(database); clients.push(client); return client; };
  const close = (client: Client): Promise<void> => sessions.close(client);
  const progress = { database, attempt, tablesDone: 0, tablesTotal: 0, bytesDone: 0, bytesTotal: 0, rows: 0 };
  const control = await open();
  const workers = await Promise.all(Array.from({ length: limits.connections }, open));
  let guard: CostWatch | undefined;
  let locks: TableLocks | undefined;
  const way = new GiveWay({ workers, limitMs: limits.maxBlockingMs, abandoned, stopping });
  try {
    options.onProgress({ phase: 'position', ...progress });
    guard = watchCost({ control, limits, cost, stopping });
    const invalidBefore = options.withGlobals ? await invalidDatabases(control) : new Map<string, string>();
    const position = await takePosition();
    locks = position.locks;

    /** Fixes the position, locks what raced before, and shares the snapshot. */
    async function takePosition(): Promise<Position> {
      if (options.source === 'pausedStandby') {
        const { rows } = await control.query<{ lsn: string; paused: boolean }>(
          `SELECT pg_last_wal_replay_lsn()::text AS lsn, pg_is_in_recovery() AND pg_get_wal_replay_pause_state() = 'paused' AS paused`);
        if (!rows[0]?.paused) throw new ManifestError('unavailable', 'this server is no standby whose replay is paused: call pg_wal_replay_pause() on it first');
        for (const worker of workers) await worker.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
        // Nothing moves here: what is read now is what was there before.
        return { lsn: rows[0].lsn, locks: undefined, locked: new Set(), before: await readPositions(control, await listSequences(control)) };
      }
      const watcher = await open();
      const lockers = await TableLocks.prepare({ open, close, tables: raced });
      const [idle = control] = workers;
      const { result: { result: exported, before }, locked } = await lockedAcross(idle, signal, () => positionsBefore(control, signal, () =>
        exportSnapshot(sessions, { database, signal, onSlot: (name) => guard?.watchSlot(name), waitMs: limits.maxXminAgeMs / 2 })));
      const importInto = async (client: Client): Promise<void> => { await client.query(`SET TRANSACTION SNAPSHOT '${exported.snapshot.replaceAll("'", "''")}'`); };
      // Where nothing is replayed, as on a paused standby, nobody can want more than to read.
      way.start({ client: watcher, open, close }, lockers);
      await lockers.lockAndImport(importInto);
      for (const worker of workers) {
        await worker.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
        await importInto(worker);
      }
      await guard?.measure();
      // The snapshot lives on in the workers; the slot would only hold back WAL.
      await sessions.close(exported.exporter);
      return { lsn: exported.lsn, locks: lockers, locked, before };
    }

    const reader = workers[0];
    if (!reader) throw new Error('no connection to read with');
    const takenAt = new Date().toISOString();
    const ofCatalog = <T>(work: () => Promise<T>): Promise<T> => readingCatalog(reader, { database, way, signal }, work);
    const asItIs = <T>(work: () => Promise<T>): Promise<T> => readingCatalogAsItIs({ database, signal }, work);
    const transactions = await transactionsOf(reader);
    const takenAtBySource = await clockOf(reader);
    const list = await ofCatalog(() => listTables(reader, options.serverVersionNum));
    way.reads(list.tables);
    const refuse = async (table: Table): Promise<void> => {
      abandoned.set(keyOf(table), WHY_NOT_PLANNED);
      await locks?.release(table);
    };
    const runningTheirs = await ofCatalog(() => tablesRunningTheirs(reader));
    for (const table of list.tables) if (runningTheirs.has(table.oid)) await refuse(table);
    const runsTheirs = options.source === 'slot' ? await asItIs(() => lookerForTheirs(control)) : undefined;
    const toRead = list.tables.filter((table) => !way.isAbandoned(table));
    // A copy that is paused at this position could not read them.
    const lockedAtPosition = toRead.filter((table) => position.locked.has(table.oid));
    if (lockedAtPosition.length > 0) return { tables: lockedAtPosition };
    const sequences = await ofCatalog(() => listSequences(reader));
    const after = await readPositions(control, sequences);
    const judged = ownedByFilled(toRead);
    const unbound = withoutBound(sequences, position.before, after).filter(({ oid }) => !judged.has(oid));
    const racing = new Set([...unbound, ...sequences.filter(({ oid }) => position.locked.has(oid))]);
    if (racing.size > 0 && options.source === 'slot' && !sequencesMayRace) return { tables: [], sequences: [...racing].map(({ schema, name }) => `${schema}.${name}`) };
    const secrets = await ofCatalog(() => readableSecrets(reader));
    const catalogOptions = { serverVersionNum: options.serverVersionNum, salt: options.salt, secrets: secrets.readable };
    // Before the tables: the sooner after the position, the fewer databases are dropped in between.
    const globals = options.withGlobals ? await ofCatalog(() => readGlobals(reader, catalogOptions)) : [];
    const dropped = options.withGlobals ? [...await ofCatalog(() => invalidDatabases(reader))].filter(([oid]) => !invalidBefore.has(oid)) : [];
    if (dropped.length > 0) return { tables: [], dropped: dropped.map(([, name]) => name) };
    const types = await ofCatalog(async () => ({ labels: await readLabels(reader), rows: await readRowTypes(reader, toRead) }));
    const retyped = new Set<string>();
    const reading = await readTables({
      database, isPaused: options.source === 'pausedStandby', workers, tables: toRead, way, lockerOf: (table) => locks?.lockerOf(table), bucketBytes: limits.bucketBytes, dutyCycle: limits.dutyCycle, finishWithinMs: limits.maxXminAgeMs / 2, signal,
      onTableDone: async (table) => {
        for (const type of await asItIs(() => reshapedSince(types.rows.get(table.oid), control))) retyped.add(type);
        await locks?.release(table);
      },
      look: runsTheirs && {
        withinMs: limits.maxBlockingMs,
        isRefused: async (table) => {
          const isRefused = await runsTheirs(table);
          if (isRefused) await refuse(table);
          return isRefused;
        },
      },
      onProgress: (tablesProgress) => options.onProgress({ phase: 'tables', database, attempt, ...tablesProgress }),
    });
    cost.bytesRead += reading.bytesRead;
    cost.longestLockMs = Math.max(cost.longestLockMs, reading.longestLockMs);
    if (reading.moved.length > 0) return { tables: reading.moved };
    for (const type of await asItIs(() => relabelledSince(types.labels, control))) retyped.add(type);
    if (retyped.size > 0) return { tables: [], retyped: [...retyped] };

    options.onProgress({ phase: 'catalog', ...progress });
    const catalog = await ofCatalog(() => readDatabaseCatalog(reader, catalogOptions));
    return {
      manifest: { database, oid: await ofCatalog(() => oidOf(reader)), lsn: position.lsn, transactions, takenAt, takenAtBySource, tables: reading.manifests, sequences: describeSequences(sequences, position.before, after, reading.owners), catalog, mayRead: secrets.readable },
      globals,
      notVerified: [...notVerified(database, list, sequences), ...leftOut(database, list.tables, abandoned), ...secrets.hidden.filter((entry) => options.withGlobals || entry.database !== null)],
    };
  } catch (error) {
    if (lockRefused.has(sqlState(error)) && !signal.aborted) {
      throw new ManifestError('locked', `a table of database ${database}, or its catalog, stayed locked by somebody else: ${(error as Error).message}`, { cause: error });
    }
    // What PostgreSQL says of it holds bytes of a row, and is not passed on.
    if (undecodable.has(sqlState(error))) {
      throw new ManifestError('undecodable', `database ${database} holds text that cannot be read as UTF-8 (SQLSTATE ${sqlState(error)}), as one with encoding SQL_ASCII may: it can be backed up, but not compared exactly`);
    }
    throw error;
  } finally {
    guard?.stop();
    way.stop();
    await locks?.releaseAll();
    if (locks) cost.longestLockMs = Math.max(cost.longestLockMs, locks.longestMs);
    await sessions.close(...clients);
  }
}

/** What the snapshot, with which the position agrees, says of transactions. */
async function transactionsOf(client: Client): Promise<NonNullable<DatabaseManifest['transactions']>> {
  const { rows: [row] } = await client.query<{ finished: string; begun: string }>('SELECT pg_snapshot_xmin(s)::text AS finished, pg_snapshot_xmax(s)::text AS begun FROM pg_current_snapshot() AS s');
  if (row === undefined) throw new Error('the server did not say what its snapshot sees');
  return { finishedBelow: row.finished, begunBelow: row.begun };
}

/** What the clock of a server says now; not earlier, though a time here has no more than milliseconds. */
async function clockOf(client: Client): Promise<string> {
  const { rows: [row] } = await client.query<{ now: string }>(`SELECT ceil(extract(epoch FROM clock_timestamp()) * 1000)::text AS now`);
  if (row === undefined) throw new Error('the server did not say what time it is');
  return new Date(Number(row.now)).toISOString();
}

async function oidOf(client: Client): Promise<number> {
  const oid = await databaseNumber(client);
  if (oid === 0) throw new Error('the server did not say which database this is');
  return oid;
}

function notVerified(database: string, list: TableList, sequences: readonly { schema: string; name: string; cycles: boolean; persistence: string }[]): NotVerified[] {
  const unlogged = sequences.filter(({ persistence }) => persistence === 'u');
  const cycling = sequences.filter(({ persistence, cycles }) => cycles && persistence !== 'u');
  return [
    ...list.unlogged.map((table) => ({ database, what: `unlogged table ${table}`, why: 'not recoverable by design: it is empty after a restore', byDesign: true })),
    ...list.foreign.map((table) => ({ database, what: `foreign table ${table}`, why: 'its rows live on another server', byDesign: true })),
    ...unlogged.map(({ schema, name }) => ({ database, what: `unlogged sequence ${schema}.${name}`, why: 'not recoverable by design: it starts anew after a restore', byDesign: true })),
    ...cycling.map(({ schema, name }) => ({ database, what: `position of sequence ${schema}.${name}`, why: 'it cycles, so no position of it lies behind another', byDesign: true })),
  ];
}

/** Tables that others waited for, or that were not to be read. What a sequence must be beyond is read with its table. */
function leftOut(database: string, tables: readonly Table[], abandoned: Abandoned): NotVerified[] {
  return tables.flatMap((table) => {
    const why = abandoned.get(keyOf(table));
    return why === undefined ? [] : [{ database, what: `contents of ${table.label}${table.owned.length > 0 ? ', and whether its sequences lie beyond them' : ''}`, why, byDesign: false }];
  });
}
