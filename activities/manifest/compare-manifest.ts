import type { Client } from 'pg';
import type { CatalogObject, ComparisonResult, DatabaseManifest, Difference, Manifest, NotVerified } from '../../contracts/manifest.ts';
import { catalogMethod, readDatabaseCatalog, readGlobals, whatIsUnloaded } from './catalog.ts';
import { ManifestError, sqlState } from './errors.ts';
import { readableSecrets, secretsCompared } from './secrets.ts';
import { exclusivelyLocked } from './exclusive-locks.ts';
import { compareTables } from './compare-tables.ts';
import { compareSequences, positionOf } from './compare-sequences.ts';
import { Sessions, throwIfAborted, type Connect } from './session.ts';
import { INSTALL_LIBRARY } from '../postgres/library-trouble.ts';
import { listTables } from './tables.ts';
import type { ReadProgress } from './read-tables.ts';

/** `connect` leads to the copy; `manifest` is trusted: whoever reads it has proven that it is what was taken. */
export interface CompareOptions {
  connect: Connect;
  manifest: Manifest;
  database: string;
  /** Connections that read at the same time; as many as the copy's host has processors. */
  connections: number;
  /** `quick` counts rows only and says so in `notVerified`. */
  depth: 'quick' | 'standard';
  applicationName?: string;
  signal: AbortSignal;
  onProgress?: (progress: ReadProgress & { phase: 'catalog' | 'tables' }) => void;
}

/**
 * Compares a restored copy, paused at the database's log position, with what its source held there.
 *
 * Reads only. Damage that cannot be read is a difference, not an error, and so is a database that is not there.
 * @throws {ManifestError} `wrongDatabase` when the manifest has no such database, `cancelled`
 */
export async function compareWithManifest(options: CompareOptions): Promise<ComparisonResult> {
  const { manifest, signal } = options;
  const expected = databaseIn(manifest, options.database);
  const started = performance.now();
  // The copy is ours alone: nobody is hurt by a long statement, and a limit would only make a false alarm.
  const sessions = new Sessions({ connect: options.connect, applicationName: options.applicationName ?? 'manifest-comparison', signal, limits: { statementTimeoutMs: 0, lockTimeoutMs: 60_000 } });
  try {
    const reader = await sessions.open(options.database).catch((error: unknown) => {
      // At this very position its source had it. 3D000, invalid_catalog_name: its row is gone, or only its files.
      if (sqlState(error) !== '3D000') throw error;
      return undefined;
    });
    if (!reader) return databaseLost(options, expected, performance.now() - started);
    const workers = [reader, ...await Promise.all(Array.from({ length: options.connections - 1 }, () => sessions.open(options.database)))];
    for (const worker of workers) await worker.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const serverVersionNum = await readVersion(reader);
    // Never spread as arguments: there may be more of them than a call takes.
    let differences: Difference[] = [];
    let notVerified: NotVerified[] = manifest.notVerified.filter((entry) => entry.database === null || entry.database === options.database);
    const isFirst = manifest.databases[0] === expected;

    options.onProgress?.({ phase: 'catalog', tablesDone: 0, tablesTotal: expected.tables.length, bytesDone: 0, bytesTotal: 0, rows: 0 });
    // Without a transaction: one sequence, or one kind of definition, that cannot be read would end it for all others.
    const asker = await sessions.open(options.database);
    const unloadedKinds = new Map<string, string>();
    let catalogObjects = 0;
    const sameQueries = manifest.catalogMethod === catalogMethod;
    if (sameQueries) {
      const catalogOptions = { serverVersionNum, salt: manifest.salt, secrets: secretsCompared(expected, await readableSecrets(asker)), onUnloaded: (kind: string, said: string) => void unloadedKinds.set(kind, said) };
      const found = await readDatabaseCatalog(asker, catalogOptions);
      const own = expected.catalog.filter(([kind]) => !unloadedKinds.has(kind));
      differences = compareObjects(own, found);
      catalogObjects = own.length + (isFirst ? manifest.globals.length : 0);
      // Globals were read at the position of the first database; at a later one they may have changed rightly.
      if (isFirst) differences = [...differences, ...compareObjects(manifest.globals, await readGlobals(asker, catalogOptions))];
    } else {
      notVerified = [...notVerified, { database: options.database, what: 'definitions and privileges', why: "the manifest's catalog was read by another version of this program; take a new backup", byDesign: false }];
    }
    // Once for all that is compared: nothing is locked or let go while the copy is paused.
    const locked = await exclusivelyLocked(asker);
    const sequences = await compareSequences(asker, expected.sequences, locked);
    await sessions.close(asker);

    const list = await listTables(reader, serverVersionNum);
    const tables = await compareTables({
      workers, expected: expected.tables, found: list.tables, locked, depth: options.depth, signal,
      onProgress: (progress) => options.onProgress?.({ phase: 'tables', ...progress }),
    });
    differences = [...differences, ...sequences.differing.map(({ difference }) => difference), ...tables.differences];
    const open = (why: string) => (what: string): NotVerified => ({ database: options.database, what, why, byDesign: false });
    const unloaded = (what: string, said: string): NotVerified => open(`this host's PostgreSQL cannot load a library that reading it needs (${said}): ${INSTALL_LIBRARY}, and drill again`)(what);
    notVerified = [
      ...notVerified,
      ...sequences.unknown.map(positionOf).map(open('it was made, restarted, set or locked while the manifest was taken')),
      ...[...sequences.locked.map(positionOf), ...tables.locked.map((name) => `contents of ${name}`)].map(open('a transaction that was under way when the manifest was taken locks it there; take a new backup')),
      ...tables.incomparable.map((name) => `contents of ${name}`).map(open('its columns or their types differ, so that fingerprints do not compare')),
      ...[...unloadedKinds].map(([kind, said]) => unloaded(whatIsUnloaded(kind), said)),
      ...tables.unloaded.map(({ table, said }) => unloaded(`contents of ${table}`, said)),
      ...(options.depth === 'quick' ? ['contents of tables'].map(open('depth quick counts rows and compares the catalog only')) : []),
    ];
    const prepared = await reader.query<{ gid: string }>('SELECT gid FROM pg_prepared_xacts WHERE database = current_database() ORDER BY gid');
    return {
      database: options.database, lsn: expected.lsn, depth: options.depth, equal: differences.length === 0, differences, notVerified,
      compared: { ...tables.compared, catalogObjects, sequences: sequences.compared },
      counted: tables.counted,
      preparedTransactions: prepared.rows.map((row) => row.gid),
      durationMs: performance.now() - started,
    };
  } catch (error) {
    throwIfAborted(signal);
    throw error;
  } finally {
    await sessions.closeAll();
  }
}

function databaseLost({ manifest, database, depth }: CompareOptions, expected: DatabaseManifest, durationMs: number): ComparisonResult {
  const globals: NotVerified = { database, what: 'definitions and privileges that all databases share', why: 'they are compared over a connection to this one, which was lost', byDesign: false };
  return {
    database, lsn: expected.lsn, depth, equal: false, differences: [{ kind: 'catalog', object: 'database', identity: database, change: 'missing' }], notVerified: manifest.databases[0] === expected ? [globals] : [],
    compared: { tables: 0, rows: 0, bytes: 0, buckets: 0, catalogObjects: 0, sequences: 0 }, counted: { tables: 0, rows: 0 }, preparedTransactions: [], durationMs,
  };
}

/** @throws {ManifestError} `wrongDatabase` */
export function databaseIn({ databases }: Manifest, database: string): DatabaseManifest {
  const found = databases.find((entry) => entry.database === database);
  if (!found) throw new ManifestError('wrongDatabase', `the manifest has no database ${database}; it has ${databases.map((entry) => entry.database).join(', ')}`);
  return found;
}

function compareObjects(expected: readonly CatalogObject[], found: readonly CatalogObject[]): Difference[] {
  const key = ([kind, identity]: CatalogObject): string => JSON.stringify([kind, identity]);
  const foundHashes = new Map(found.map((object) => [key(object), object[2]]));
  const differences: Difference[] = [];
  for (const object of expected) {
    const hash = foundHashes.get(key(object));
    foundHashes.delete(key(object));
    if (hash !== object[2]) differences.push({ kind: 'catalog', object: object[0], identity: object[1], change: hash === undefined ? 'missing' : 'changed' });
  }
  const left = found.filter((object) => foundHashes.has(key(object)));
  return [...differences, ...left.map(([object, identity]): Difference => ({ kind: 'catalog', object, identity, change: 'unexpected' }))];
}

async function readVersion(client: Client): Promise<number> {
  const { rows } = await client.query<{ version: number }>(`SELECT current_setting('server_version_num')::int AS version`);
  return rows[0]?.version ?? 0;
}

