import type { Client } from 'pg';
import type { CatalogObject, ComparisonResult, Difference, Manifest, NotVerified, SequenceManifest } from '../../contracts/manifest.ts';
import { catalogMethod, readDatabaseCatalog, readGlobals } from './catalog.ts';
import { ManifestError } from './errors.ts';
import { readableSecrets, secretsCompared } from './secrets.ts';
import { compareTables } from './compare-tables.ts';
import { isBehind, isBeyond, listSequences, readPositions } from './sequences.ts';
import { Sessions, throwIfAborted, type Connect } from './session.ts';
import { listTables } from './tables.ts';
import type { ReadProgress } from './read-tables.ts';

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
 * Reads only. Damage that cannot be read is a difference, not an error.
 * @throws {ManifestError} `wrongDatabase` when the manifest has no such database, `cancelled`
 */
export async function compareWithManifest(options: CompareOptions): Promise<ComparisonResult> {
  const { manifest, signal } = options;
  const expected = manifest.databases.find((entry) => entry.database === options.database);
  if (!expected) throw new ManifestError('wrongDatabase', `the manifest has no database ${options.database}; it has ${manifest.databases.map((entry) => entry.database).join(', ')}`);
  const started = performance.now();
  // The copy is ours alone: nobody is hurt by a long statement, and a limit would only make a false alarm.
  const sessions = new Sessions({ connect: options.connect, applicationName: options.applicationName ?? 'manifest-comparison', signal, limits: { statementTimeoutMs: 0, lockTimeoutMs: 60_000 } });
  try {
    const workers = await Promise.all(Array.from({ length: options.connections }, () => sessions.open(options.database)));
    for (const worker of workers) await worker.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const reader = workers[0];
    if (!reader) throw new RangeError('connections must be 1 or more');
    const serverVersionNum = await readVersion(reader);
    const differences: Difference[] = [];
    const notVerified: NotVerified[] = manifest.notVerified.filter((entry) => entry.database === null || entry.database === options.database);
    const isFirst = manifest.databases[0] === expected;

    options.onProgress?.({ phase: 'catalog', tablesDone: 0, tablesTotal: expected.tables.length, bytesDone: 0, bytesTotal: 0, rows: 0 });
    const sameQueries = manifest.catalogMethod === catalogMethod;
    if (sameQueries) {
      const catalogOptions = { serverVersionNum, salt: manifest.salt, secrets: secretsCompared(expected, await readableSecrets(reader)) };
      differences.push(...compareObjects(expected.catalog, await readDatabaseCatalog(reader, catalogOptions)));
      // Globals were read at the position of the first database; at a later one they may have changed rightly.
      if (isFirst) differences.push(...compareObjects(manifest.globals, await readGlobals(reader, catalogOptions)));
    } else {
      notVerified.push({ database: options.database, what: 'definitions and privileges', why: "the manifest's catalog was read by another version of this program; take a new backup", byDesign: false });
    }
    const sequences = await compareSequences(reader, expected.sequences);
    differences.push(...sequences.differences);
    notVerified.push(...sequences.unknown.map((name) => ({ database: options.database, what: `position of sequence ${name}`, why: 'it was made, restarted or set back again and again while the manifest was taken', byDesign: false })));

    const list = await listTables(reader, serverVersionNum);
    const tables = await compareTables({
      workers, expected: expected.tables, found: list.tables, depth: options.depth, signal,
      onProgress: (progress) => options.onProgress?.({ phase: 'tables', ...progress }),
    });
    differences.push(...tables.differences);
    notVerified.push(...tables.locked.map((name) => ({ database: options.database, what: `contents of ${name}`, why: 'a transaction that was under way when the manifest was taken locks it there; take a new backup', byDesign: false })));
    notVerified.push(...tables.incomparable.map((name) => ({ database: options.database, what: `contents of ${name}`, why: 'its columns or their types differ, so that fingerprints do not compare', byDesign: false })));
    if (options.depth === 'quick') notVerified.push({ database: options.database, what: 'contents of tables', why: 'depth quick counts rows and compares the catalog only', byDesign: false });
    const prepared = await reader.query<{ gid: string }>('SELECT gid FROM pg_prepared_xacts WHERE database = current_database() ORDER BY gid');
    return {
      database: options.database, lsn: expected.lsn, depth: options.depth, equal: differences.length === 0, differences, notVerified,
      compared: { ...tables.compared, catalogObjects: sameQueries ? expected.catalog.length + (isFirst ? manifest.globals.length : 0) : 0, sequences: expected.sequences.length },
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

async function compareSequences(client: Client, expected: readonly SequenceManifest[]): Promise<{ differences: Difference[]; unknown: string[] }> {
  const existing = await listSequences(client);
  const positions = await readPositions(client, existing);
  const byName = new Map(existing.map((sequence) => [JSON.stringify([sequence.schema, sequence.name]), positions.get(sequence.oid)?.next]));
  const differences: Difference[] = [];
  const unknown: string[] = [];
  for (const sequence of expected) {
    const name = `${sequence.schema}.${sequence.name}`;
    const found = byName.get(JSON.stringify([sequence.schema, sequence.name]));
    const report = (problem: 'missing' | 'behindItself' | 'behindTable', expectedAtLeast: string | null): void => {
      differences.push({ kind: 'sequence', sequence: name, problem, expectedAtLeast, found: found === undefined ? null : String(found) });
    };
    if (found === undefined) report('missing', sequence.nextAtLeast);
    // A sequence that starts over has no order to compare; the manifest lists it as not verified.
    else if (sequence.cycles) continue;
    else if (sequence.nextAtLeast !== null && isBehind(found, BigInt(sequence.nextAtLeast), sequence.ascending)) report('behindItself', sequence.nextAtLeast);
    else if (sequence.ownerFurthest !== null && !sequence.sourceBehind && !isBeyond(found, BigInt(sequence.ownerFurthest), sequence.ascending)) report('behindTable', sequence.ownerFurthest);
    else if (sequence.nextAtLeast === null && sequence.ownerFurthest === null) unknown.push(name);
  }
  return { differences, unknown };
}

async function readVersion(client: Client): Promise<number> {
  const { rows } = await client.query<{ version: number }>(`SELECT current_setting('server_version_num')::int AS version`);
  return rows[0]?.version ?? 0;
}

