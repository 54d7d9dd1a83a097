import { setTimeout } from 'node:timers/promises';
import type { Client, QueryResult } from 'pg';
import type { HeartbeatSetting } from '../../contracts/configuration.ts';
import { heartbeatCheckName } from '../../contracts/asked-checks.ts';
import type { Check } from '../../contracts/evidence.ts';
import { lockRefused, sqlState } from '../manifest/errors.ts';
import { LockPatience } from '../manifest/lock-patience.ts';
import { lockStatement } from '../manifest/lock-table.ts';
import { areOfTheirTypes, onlyIf, quotedName } from '../manifest/only-if.ts';
import { mayDoAnything, mayRunTheirs, waitForIndexes, WHY_NOT_PLANNED } from '../manifest/planned-functions.ts';
import { fixAgainstOwners } from '../manifest/session.ts';
import { WAIT_NO_MORE } from '../manifest/table-locks.ts';

/** What the heartbeat table said, in the source's clock. */
export interface HeartbeatReadings {
  /** Latest beat in the restored copy; null where it holds none. */
  copyMs: number | null;
  /** Latest beat that the source shows from before the declaration; null where it shows none (a table of one row that has beaten since). */
  sourceMs: number | null;
  /** The same from {@link BEFORE_END_MS} before the last recovered commit: what a copy that has all of it must hold; null where it keeps none from then. */
  sourceAtEndMs: number | null;
  /** How far the newest beat at the source is ahead of that server's clock, negative where it is behind; null where it holds none, or could not be read. */
  aheadMs: number | null;
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

/** From what has that name no instants can be read: the column is of another type, or it is no table. */
export class NoInstants extends Error {}

/** Type OID of timestamptz. */
const TIMESTAMPTZ = 1184;
/** Whose rights a reading has: at the source those of the role that is configured, of which others may make use; in a copy, which is cut off, nobody cares. */
export type BeatsOf = 'source' | 'copy';
/** Ordinary, partitioned, materialized. */
const TABLES: ReadonlySet<string> = new Set(['r', 'p', 'm']);

/** SQL: a table, its partitions and whatever inherits from it. */
const treeOf = (oid: string): string => `WITH RECURSIVE tree AS (SELECT ${oid}::oid AS oid UNION SELECT i.inhrelid FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid)`;
/** SQL: whether a query of these may run functions of others with rights that are worth having. */
const mayLendRights = (oid: string): string => `${mayDoAnything} AND EXISTS (${treeOf(oid)} SELECT FROM tree t WHERE ${mayRunTheirs('t.oid')})`;

/**
 * Finds the table as the database's own search path has it, and looks at its column; gives both as they are named in SQL, with what comes before a query of them in the same message.
 * Locks nothing: whoever has the table locked keeps nobody waiting here.
 * @param client a connection with that search path (`searchPath: 'ofDatabase'`), which has ours afterwards
 * @throws NoHeartbeatTable
 * @throws NoInstants where the column holds no timestamps with time zone: what others mean depends on the TimeZone of whoever reads; where it is a view; and at a source where reading it would lend others a superuser's rights
 */
export async function findBeats(client: Client, { table, column }: HeartbeatSetting, of: BeatsOf): Promise<{ from: string; column: string; guarded: string }> {
  await client.query('RESET search_path');
  // The one statement under a path that is not ours names the schema of all that it calls.
  const { rows: [named] } = await client.query<{ oid: string | null }>('SELECT pg_catalog.to_regclass($1)::pg_catalog.oid::pg_catalog.text AS oid', [table]);
  // Its owner may also put a view there at any time, which the look below has to find where the server cannot refuse one; and a policy, which would run as well, or hide beats.
  await fixAgainstOwners(client);
  const oid = named?.oid ?? null;
  const { rows: [found] } = await client.query<{ schema: string; name: string; kind: string }>(
    `SELECT n.nspname AS schema, c.relname AS name, c.relkind AS kind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1`, [oid]);
  if (!found || oid === null) throw new NoHeartbeatTable(`there is no heartbeat table ${table}`);
  if (!TABLES.has(found.kind)) throw new NoInstants(`the heartbeat table ${table} is none, but a view or the like, which runs functions of its owner with the rights of whoever reads it; name the table itself`);
  const type = await typeOf(client, { table: oid, column });
  if (type && type.oid !== TIMESTAMPTZ) {
    throw new NoInstants(`the column "${column}" of the heartbeat table ${table} is of type ${type.name}, whose instant depends on the time zone of whoever reads it; make it timestamptz, or name one that is`);
  }
  const from = `${client.escapeIdentifier(found.schema)}.${client.escapeIdentifier(found.name)}`;
  const names = { from, column: client.escapeIdentifier(column) };
  if (of === 'copy') return { ...names, guarded: '' };
  const { rows: [asked] } = await client.query<{ mighty: boolean; lends: boolean }>(`SELECT ${mayDoAnything} AS mighty, ${mayLendRights(oid)} AS lends`);
  if (asked?.mighty === false) return { ...names, guarded: '' };
  if (asked?.lends !== false) throw new NoInstants(`the heartbeat table ${table} is not read: ${WHY_NOT_PLANNED}; or name another`);
  // Locked first: somebody who has the table locked could let us look, and then give it what we looked for; and so could who has an index locked that the planner waits for.
  return { ...names, guarded: `${lockStatement(found, from)}; ${WAIT_NO_MORE}; ${waitForIndexes(`${treeOf(oid)} SELECT oid FROM tree`)}; ${onlyIf(`to_regclass(${quotedName(found)})::oid = ${oid} AND NOT (${mayLendRights(oid)})`)};` };
}

/** The type underneath all domains; undefined without such a column, which is told where it is read. */
async function typeOf(client: Client, { table, column }: { table: string | null; column: string }): Promise<{ oid: number; name: string } | undefined> {
  const { rows: [type] } = await client.query<{ oid: number; name: string }>(
    `WITH RECURSIVE type AS (
       SELECT t.oid, t.typtype, t.typbasetype FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = $1 AND a.attname = $2 AND NOT a.attisdropped
       UNION ALL SELECT t.oid, t.typtype, t.typbasetype FROM type JOIN pg_type t ON t.oid = type.typbasetype WHERE type.typtype = 'd')
     SELECT oid::int8::float8 AS oid, format_type(oid, NULL) AS name FROM type WHERE typtype <> 'd'`, [table, column]);
  return type;
}

/**
 * Reads the latest beat, at most `until` (in the clock of the server that wrote it).
 * @throws NoHeartbeatTable
 * @throws NoInstants
 */
export async function readBeat(client: Client, setting: HeartbeatSetting, { of, until }: { of: BeatsOf; until: Date | null }): Promise<number | null> {
  const { from, column, guarded } = await findBeats(client, setting, of);
  // In one message, so that next to nothing comes in between; such a query takes no parameters.
  const text = `${guarded}
    SELECT (extract(epoch FROM max(${column})) * 1000)::text AS ms FROM ${from}
    WHERE ${areOfTheirTypes([{ column, type: 'timestamptz' }])}${until === null ? '' : ` AND ${column} <= '${until.toISOString()}'::timestamptz`}`;
  const patience = new LockPatience();
  const ask = async (): Promise<unknown> => client.query(text).catch(async (error: unknown) => {
    if (!lockRefused.has(sqlState(error)) || !patience.goesOn()) throw error;
    await setTimeout(50);
    return ask();
  });
  const results = await ask() as QueryResult<{ ms: string | null }> | QueryResult<{ ms: string | null }>[];
  const ms = [results].flat().at(-1)?.rows[0]?.ms ?? null;
  return ms === null ? null : Number(ms);
}

/** How far the newest beat at the source is ahead of its clock, negative where it is behind; null without a beat. Throws as {@link readBeat}. */
export async function readAhead(client: Client, setting: HeartbeatSetting): Promise<number | null> {
  const newest = await readBeat(client, setting, { of: 'source', until: null });
  const { rows: [now] } = await client.query<{ ms: string }>('SELECT (extract(epoch FROM clock_timestamp()) * 1000)::text AS ms');
  return newest === null || now === undefined ? null : newest - Number(now.ms);
}

/**
 * Holds the loss that the heartbeat shows against the one that the WAL shows. They may differ by the time between two
 * beats; by more, and one of the two accounts is wrong. A heart that stood still before the declaration, or while recovery
 * ended, says nothing; nor does one that beats by a clock which is ahead of the source's by as much as the two accounts differ.
 */
export function crossCheckHeartbeat({ table, every }: HeartbeatSetting, readings: HeartbeatReadings): { check: Check; words: string } {
  const { copyMs, sourceMs, sourceAtEndMs, aheadMs, sourceAnswered, sourceTrouble, declaredMs, rpaSeconds, lastRecoveredMs } = readings;
  const tolerance = every + COMMIT_DELAY_MS;
  const result = (outcome: Check['outcome'], detail: string) => ({ check: { name: heartbeatCheckName(table), outcome, detail }, words: `; heartbeat table ${table}: ${detail}` });
  // By the server's own clock no beat is later than the commit that brought it.
  const farthestMs = Math.max(aheadMs ?? 0, copyMs === null || lastRecoveredMs === null ? 0 : copyMs - lastRecoveredMs);
  const isAhead = () => result('skipped', `its last beat is ${(farthestMs / 1000).toFixed(1)} s ahead of the source's clock, so it says nothing: whoever beats has to write the source's now()`);
  if (sourceTrouble !== null) return result('skipped', `nothing to hold it against: it could not be read at the source: ${sourceTrouble}`);
  if (copyMs === null) {
    if (!sourceAnswered) return result('skipped', 'the restored copy holds no beat, and the source does not answer');
    return sourceMs === null ? result('skipped', 'holds no beat from before the declaration, neither in the restored copy nor at the source') : result('failed', 'the restored copy holds no beat, and the source does');
  }
  if (!sourceAnswered) {
    if (lastRecoveredMs === null) return result('skipped', 'nothing to hold it against: the source does not answer');
    const apart = (lastRecoveredMs - copyMs) / 1000;
    if (Math.abs(apart) * 1000 <= tolerance) return result('passed', `agrees: its last beat in the copy is ${apart.toFixed(1)} s before the last recovered commit`);
    return apart < 0 ? isAhead() : result('skipped', `its last beat in the copy is ${apart.toFixed(1)} s before the last recovered commit, and the source does not answer`);
  }
  if (sourceMs !== null && declaredMs - sourceMs > tolerance) return result('skipped', `it had not beaten for ${((declaredMs - sourceMs) / 1000).toFixed(1)} s at the instant of declaration, and says nothing`);
  const lost = Math.max(0, (sourceMs ?? declaredMs) - copyMs) / 1000;
  if (rpaSeconds === null) return result('skipped', `shows a loss of ${lost.toFixed(1)} s, with nothing to hold it against`);
  const agrees = Math.abs(lost - rpaSeconds) * 1000 <= tolerance;
  // It may be ahead by a beat more than is seen. What it is does not explain a loss that looks greater, nor one that looks smaller by more.
  const lessMs = rpaSeconds * 1000 - lost * 1000;
  if (!agrees && farthestMs > COMMIT_DELAY_MS && lessMs > 0 && lessMs <= farthestMs + every + tolerance) return isAhead();
  const stillMs = lastRecoveredMs === null ? 0 : lastRecoveredMs - copyMs;
  if (!agrees && stillMs > tolerance && (sourceAtEndMs === null || sourceAtEndMs <= copyMs)) {
    return result('skipped', `it had not beaten for ${(stillMs / 1000).toFixed(1)} s when recovery ended, and says nothing${sourceAtEndMs === null ? ': its table at the source keeps no beat from then' : ''}`);
  }
  return result(agrees ? 'passed' : 'failed', `${agrees ? 'agrees' : 'does not agree'}: it shows a loss of ${lost.toFixed(1)} s, and the WAL one of ${rpaSeconds.toFixed(1)} s (${(tolerance / 1000).toFixed(1)} s apart are allowed)`);
}
