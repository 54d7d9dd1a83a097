import { randomBytes } from 'node:crypto';
import type { Client } from 'pg';
import type { Manifest, ManifestCost, NotVerified } from '../../contracts/manifest.ts';
import { catalogMethod } from './catalog.ts';
import { ManifestError, insufficientPrivilege, sqlState } from './errors.ts';
import { defaultLimits, type ManifestLimits } from './limits.ts';
import type { ManifestProgress } from './progress.ts';
import { Sessions, throwIfAborted, type Connect } from './session.ts';
import { slotUnavailable } from './snapshot.ts';
import { takeDatabase, type DatabaseReading } from './take-database.ts';
import { timelineOf } from './timeline.ts';

/** What to read, and within what limits; those that are left out are {@link defaultLimits}. */
export interface TakeManifestOptions {
  connect: Connect;
  /** Asked about the whole cluster, where `databases` names none; it need not be called `postgres`. */
  database?: string | undefined;
  /** Read in this order; by default every database that accepts connections and is no template. */
  databases?: string[];
  /** Databases of the service that keeps the server, which lets nobody into them. */
  except?: readonly string[];
  limits?: Partial<ManifestLimits>;
  /** Shown in pg_stat_activity, so that what a dead process left can be found and ended. */
  applicationName: string;
  signal: AbortSignal;
  onProgress?: (progress: ManifestProgress) => void;
}

/**
 * Reads what every database of a cluster holds, each at one exact log position, while others go on writing.
 *
 * Nothing is written. Takes three connections more than `limits.connections`; a fourth, and a temporary replication slot, for
 * the moment in which the position is fixed; and up to eight after tables raced, until those are read.
 * @throws {ManifestError} `unavailable` when the server can give no exact position (the caller lists it as not verified),
 *   `snapshotTooOld`, `tooMuchWalRetained`, `slotBlocked`, `locked`, `inTheWay` when a limit ended it, `neverQuiet` when tables were rewritten
 *   in every attempt, `undecodable` when a database holds bytes that are no text, `unreadable` when a type of a table cannot be read, `permission`, `cancelled`
 */
export async function takeManifest(options: TakeManifestOptions): Promise<Manifest> {
  return readManifest(options, 'slot');
}

/**
 * The same on a standby whose replay is paused: no logical WAL level, no slot and no horizon held on production.
 * All databases share one position.
 */
export async function takeManifestOfPausedStandby(options: TakeManifestOptions): Promise<Manifest> {
  return readManifest(options, 'pausedStandby');
}

async function readManifest(options: TakeManifestOptions, source: 'slot' | 'pausedStandby'): Promise<Manifest> {
  const limits: ManifestLimits = { ...defaultLimits, ...options.limits };
  if (!(limits.dutyCycle > 0 && limits.dutyCycle <= 1)) throw new RangeError(`dutyCycle is ${limits.dutyCycle}: use a number above 0 and at most 1`);
  if (!Number.isInteger(limits.connections) || limits.connections < 1) throw new RangeError(`connections is ${limits.connections}: use 1 or more`);
  const started = performance.now();
  // Limits and the caller's signal end the reading the same way: every connection is cut.
  const stopping = new AbortController();
  const cancel = (): void => stopping.abort(options.signal.reason);
  if (options.signal.aborted) cancel();
  options.signal.addEventListener('abort', cancel);
  const sessions = new Sessions({ connect: options.connect, applicationName: options.applicationName, limits, signal: stopping.signal });
  const salt = randomBytes(16).toString('hex');
  const cost: ManifestCost = { durationMs: 0, attempts: 0, restarts: [], longestLockMs: 0, longestSnapshotMs: 0, bytesRead: 0, walRetainedBytes: 0 };
  try {
    const first = await sessions.open(options.databases?.[0] ?? options.database ?? 'postgres');
    if (source === 'slot') {
      const reason = await slotUnavailable(first);
      if (reason !== null) throw new ManifestError('unavailable', reason);
    }
    const identity = await identify(first);
    const listed = options.databases ? undefined : await listDatabases(first);
    const readings: DatabaseReading[] = [];
    const dropped: NotVerified[] = [];
    const { except = [] } = options;
    for (const database of options.databases ?? databasesToRead(listed ?? []).filter((name) => !except.includes(name))) {
      const reading = await takeDatabase({
        sessions, database, limits, salt, cost, source, stopping, withGlobals: readings.length === 0,
        serverVersionNum: identity.serverVersionNum, onProgress: options.onProgress ?? (() => undefined),
      }).catch(async (error: unknown) => {
        if (stopping.signal.aborted || listed === undefined || (await isThere(first, database).catch(() => true))) throw error;
        dropped.push({ database, what: 'contents', why: 'it was dropped or renamed while the manifest was taken', byDesign: true });
        return undefined;
      });
      if (reading) readings.push(reading);
    }
    const created = listed === undefined ? [] : createdSince(listed, await listDatabases(first));
    cost.durationMs = performance.now() - started;
    return {
      schemaVersion: 1, ...identity, salt,
      databases: readings.map((reading) => reading.manifest),
      catalogMethod,
      globals: readings.flatMap((reading) => reading.globals),
      preparedTransactions: await listPrepared(first),
      notVerified: [...(listed ?? []).filter(({ name }) => !except.includes(name)).flatMap(whyNotRead), ...except.map((database): NotVerified => ({ database, what: 'contents', why: 'it is of the service that keeps this server, which lets nobody in', byDesign: true })), ...dropped, ...created, ...readings.flatMap((reading): NotVerified[] => reading.notVerified)],
      cost,
    };
  } catch (error) {
    throwIfAborted(stopping.signal);
    if (sqlState(error) === insufficientPrivilege) {
      throw new ManifestError('permission', `${(error as Error).message}: give the role pg_read_all_data, REPLICATION, and where tables have policies BYPASSRLS`, { cause: error });
    }
    throw error;
  } finally {
    options.signal.removeEventListener('abort', cancel);
    await sessions.closeAll();
  }
}

async function identify(client: Client): Promise<{ systemIdentifier: string; serverVersionNum: number; timeline: number }> {
  const { rows } = await client.query<{ id: string; version: number }>(`SELECT system_identifier::text AS id, current_setting('server_version_num')::int AS version FROM pg_control_system()`);
  const row = rows[0];
  if (!row) throw new Error('the server did not say who it is');
  return { systemIdentifier: row.id, serverVersionNum: row.version, timeline: await timelineOf(client) };
}

interface ListedDatabase { oid: string; name: string; template: boolean; closed: boolean; invalid: boolean }

async function listDatabases(client: Client): Promise<ListedDatabase[]> {
  const { rows } = await client.query<ListedDatabase>(
    'SELECT oid::text, datname AS name, datistemplate AS template, NOT datallowconn AS closed, datconnlimit = -2 AS invalid FROM pg_database ORDER BY datname');
  return rows;
}

function databasesToRead(listed: readonly ListedDatabase[]): string[] {
  return listed.filter(({ template, closed, invalid }) => !template && !closed && !invalid).map(({ name }) => name);
}

function whyNotRead({ name, template, closed, invalid }: ListedDatabase): NotVerified[] {
  if (name === 'template0' || name === 'template1') return [{ database: name, what: 'contents', why: 'what initdb made; reading it would stop CREATE DATABASE, which needs it for itself', byDesign: true }];
  const why = invalid ? 'DROP DATABASE was interrupted and left it invalid; drop it'
    : closed ? 'it takes no connections; to have it compared, allow them (ALLOW_CONNECTIONS) and take a new backup'
      : template ? 'it is a template, and reading it would stop CREATE DATABASE from it; to have it compared, make it none (IS_TEMPLATE) and take a new backup' : '';
  return why === '' ? [] : [{ database: name, what: 'contents', why, byDesign: false }];
}

/** Nobody read these, and a restore to the end of the archive has them. */
function createdSince(before: readonly ListedDatabase[], now: readonly ListedDatabase[]): NotVerified[] {
  return now.filter(({ oid, name }) => !before.some((known) => known.oid === oid && known.name === name)).map(({ name }) => (
    { database: name, what: 'contents', why: 'it was created or renamed while the manifest was taken; take a new backup', byDesign: false }));
}

async function isThere(client: Client, database: string): Promise<boolean> {
  return (await client.query('SELECT FROM pg_database WHERE datname = $1', [database])).rowCount === 1;
}

async function listPrepared(client: Client): Promise<Manifest['preparedTransactions']> {
  const { rows } = await client.query<{ gid: string; database: string; prepared: Date }>('SELECT gid, database, prepared FROM pg_prepared_xacts ORDER BY prepared');
  return rows.map((row) => ({ gid: row.gid, database: row.database, preparedAt: row.prepared.toISOString() }));
}
