import { randomBytes } from 'node:crypto';
import { escapeIdentifier, type Client } from 'pg';
import { ManifestError, lockNotAvailable, serializationFailure, sqlState } from './errors.ts';
import { throwIfAborted, type Sessions } from './session.ts';

/** A consistent log position and the snapshot of exactly what was committed before it. */
export interface ExportedSnapshot { lsn: string; snapshot: string; exporter: Client }

/**
 * How often "initial slot snapshot too large" may come before it is given up. More transactions and savepoints are open then than
 * a snapshot has room for, which is one for each connection that the server allows; it passes when they get fewer.
 */
const maxAttempts = 20;

/**
 * Makes a temporary logical slot, which gives a log position and a snapshot that agree. The slot ends with the
 * exporting connection; the snapshot stays with whoever imported it before.
 * @throws {ManifestError} `slotBlocked` when a transaction outlives the wait
 */
export async function exportSnapshot(sessions: Sessions, options: {
  database: string; waitMs: number; signal: AbortSignal; onSlot: (name: string) => void;
}): Promise<ExportedSnapshot> {
  for (let attempt = 1; ; attempt += 1) {
    const exporter = await sessions.openReplication(options.database, options.waitMs);
    const slot = `runbook_manifest_${randomBytes(8).toString('hex')}`;
    options.onSlot(slot);
    try {
      // As version 14 wants it said, and all later ones understand it.
      const { rows } = await exporter.query<{ consistent_point: string; snapshot_name: string }>(
        `CREATE_REPLICATION_SLOT ${escapeIdentifier(slot)} TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT`);
      const row = rows[0];
      if (!row) throw new Error('CREATE_REPLICATION_SLOT answered nothing');
      return { lsn: row.consistent_point, snapshot: row.snapshot_name, exporter };
    } catch (error) {
      await sessions.close(exporter);
      throwIfAborted(options.signal);
      if (sqlState(error) === lockNotAvailable) {
        throw new ManifestError('slotBlocked',
          `no log position within ${options.waitMs} ms: a transaction stays open; look for old rows in pg_prepared_xacts and pg_stat_activity of the source`, { cause: error });
      }
      // Nothing else in the making of a slot has this SQLSTATE (`SnapBuildInitialSnapshot`); the message is in the language of the server.
      if (sqlState(error) !== serializationFailure || attempt >= maxAttempts) throw error;
      await pause(50 * attempt, options.signal);
    }
  }
}

/** Why no logical slot can be made here, or null when one can. */
export async function slotUnavailable(client: Client): Promise<string | null> {
  const { rows } = await client.query<{ level: string; free: boolean; senders: string; standby: boolean }>(
    `SELECT current_setting('wal_level') AS level, current_setting('max_wal_senders') AS senders, pg_is_in_recovery() AS standby,
       current_setting('max_replication_slots')::int > (SELECT count(*) FROM pg_replication_slots) AS free`);
  const row = rows[0];
  if (!row) return 'the server did not answer';
  if (row.standby) return 'the server is a standby: pause its replay and take the manifest of the paused standby';
  if (row.level !== 'logical') return `wal_level is ${row.level}: an exact manifest needs wal_level = logical`;
  if (!row.free) return 'all replication slots are taken: raise max_replication_slots';
  if (row.senders === '0') return 'max_wal_senders is 0';
  return null;
}

/** Waits; wakes at once when the signal fires. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms <= 0 || signal.aborted) return;
  await new Promise<void>((resolve) => {
    const done = (): void => { clearTimeout(timer); signal.removeEventListener('abort', done); resolve(); };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
