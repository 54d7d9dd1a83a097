import type { Client } from 'pg';
import type { HeartbeatSetting } from '../../contracts/configuration.ts';
import { heartbeatCheckName } from '../../contracts/asked-checks.ts';
import type { Check } from '../../contracts/evidence.ts';

/** What the heartbeat table said, in the source's clock. */
export interface HeartbeatReadings {
  /** Latest beat in the restored copy; null where it holds none. */
  copyMs: number | null;
  /** Latest beat that the source shows from before the declaration; null where it shows none (a table of one row that has beaten since). */
  sourceMs: number | null;
  /** The same from {@link BEFORE_END_MS} before the last recovered commit: what a copy that has all of it must hold; null where it keeps none from then. */
  sourceAtEndMs: number | null;
  sourceAnswered: boolean;
  /** Why its table could not be read, though it answered when its WAL was read; null where that went well, or was not tried. */
  sourceTrouble: string | null;
  /** The instant of declaration. */
  declaredMs: number;
  /** What the WAL says: RPA (null where it is not known exactly), and the last commit that was recovered. */
  rpaSeconds: number | null;
  lastRecoveredMs: number | null;
}

/** Beats are committed a moment after the time they carry. */
const COMMIT_DELAY_MS = 1000;
/** One that was committed after recovery ended may carry a time from before. */
export const BEFORE_END_MS = COMMIT_DELAY_MS;

/** There is no table of the configured name. */
export class NoHeartbeatTable extends Error {}

/** The column is of a type from which no instant can be read. */
export class NoInstants extends Error {}

/** Type OID of timestamptz. */
const TIMESTAMPTZ = 1184;

/**
 * Finds the table, and looks at its column; gives both as they are named in SQL.
 * @throws NoHeartbeatTable
 * @throws NoInstants where the column holds no timestamps with time zone: what others mean depends on the TimeZone of whoever reads
 */
export async function findBeats(client: Client, { table, column }: HeartbeatSetting): Promise<{ from: string; column: string }> {
  const { rows: [found] } = await client.query<{ name: string }>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)`, [table]);
  if (!found) throw new NoHeartbeatTable(`there is no heartbeat table ${table}`);
  const name = client.escapeIdentifier(column);
  // Reads nothing, and has the type underneath domains.
  const { fields: [field] } = await client.query(`SELECT max(${name}) FROM ${found.name} LIMIT 0`);
  if (field?.dataTypeID !== TIMESTAMPTZ) {
    const { rows: [type] } = await client.query<{ name: string }>('SELECT format_type($1, NULL) AS name', [field?.dataTypeID ?? null]);
    throw new NoInstants(`the column "${column}" of the heartbeat table ${table} is of type ${type?.name ?? 'unknown'}, whose instant depends on the time zone of whoever reads it; make it timestamptz, or name one that is`);
  }
  return { from: found.name, column: name };
}

/**
 * Reads the latest beat, at most `until` (in the clock of the server that wrote it).
 * @throws NoHeartbeatTable
 * @throws NoInstants
 */
export async function readBeat(client: Client, setting: HeartbeatSetting, until: Date | null): Promise<number | null> {
  const { from, column } = await findBeats(client, setting);
  const { rows: [beat] } = await client.query<{ ms: string | null }>(
    `SELECT (extract(epoch FROM max(${column})) * 1000)::text AS ms FROM ${from} WHERE $1::timestamptz IS NULL OR ${column} <= $1::timestamptz`, [until?.toISOString() ?? null]);
  const ms = beat?.ms ?? null;
  return ms === null ? null : Number(ms);
}

/**
 * Holds the loss that the heartbeat shows against the one that the WAL shows. They may differ by the time between two
 * beats; by more, and one of the two accounts is wrong. A heart that stood still before the declaration, or while recovery
 * ended, says nothing.
 */
export function crossCheckHeartbeat({ table, every }: HeartbeatSetting, readings: HeartbeatReadings): { check: Check; words: string } {
  const { copyMs, sourceMs, sourceAtEndMs, sourceAnswered, sourceTrouble, declaredMs, rpaSeconds, lastRecoveredMs } = readings;
  const tolerance = every + COMMIT_DELAY_MS;
  const result = (outcome: Check['outcome'], detail: string) => ({ check: { name: heartbeatCheckName(table), outcome, detail }, words: `; heartbeat table ${table}: ${detail}` });
  if (sourceTrouble !== null) return result('skipped', `nothing to hold it against: it could not be read at the source: ${sourceTrouble}`);
  if (copyMs === null) {
    if (!sourceAnswered) return result('skipped', 'the restored copy holds no beat, and the source does not answer');
    return sourceMs === null ? result('skipped', 'holds no beat from before the declaration, neither in the restored copy nor at the source') : result('failed', 'the restored copy holds no beat, and the source does');
  }
  if (!sourceAnswered) {
    if (lastRecoveredMs === null) return result('skipped', 'nothing to hold it against: the source does not answer');
    const apart = (lastRecoveredMs - copyMs) / 1000;
    if (Math.abs(apart) * 1000 <= tolerance) return result('passed', `agrees: its last beat in the copy is ${apart.toFixed(1)} s before the last recovered commit`);
    return result(apart < 0 ? 'failed' : 'skipped', `its last beat in the copy is ${Math.abs(apart).toFixed(1)} s ${apart < 0 ? 'after' : 'before'} the last recovered commit, and the source does not answer`);
  }
  if (sourceMs !== null && declaredMs - sourceMs > tolerance) return result('skipped', `it had not beaten for ${((declaredMs - sourceMs) / 1000).toFixed(1)} s at the instant of declaration, and says nothing`);
  const lost = Math.max(0, (sourceMs ?? declaredMs) - copyMs) / 1000;
  if (rpaSeconds === null) return result('skipped', `shows a loss of ${lost.toFixed(1)} s, with nothing to hold it against`);
  const agrees = Math.abs(lost - rpaSeconds) * 1000 <= tolerance;
  const stillMs = lastRecoveredMs === null ? 0 : lastRecoveredMs - copyMs;
  if (!agrees && stillMs > tolerance && (sourceAtEndMs === null || sourceAtEndMs <= copyMs)) {
    return result('skipped', `it had not beaten for ${(stillMs / 1000).toFixed(1)} s when recovery ended, and says nothing${sourceAtEndMs === null ? ': its table at the source keeps no beat from then' : ''}`);
  }
  return result(agrees ? 'passed' : 'failed', `${agrees ? 'agrees' : 'does not agree'}: it shows a loss of ${lost.toFixed(1)} s, and the WAL one of ${rpaSeconds.toFixed(1)} s (${(tolerance / 1000).toFixed(1)} s apart are allowed)`);
}
