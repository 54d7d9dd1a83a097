import { ApplicationFailure } from '@temporalio/common';
import type { DatabaseSettings } from '../../contracts/configuration.ts';
import type { DrillPlan } from '../../contracts/dr-test.ts';
import { sqlState } from '../manifest/errors.ts';
import { withClient } from '../postgres/source.ts';
import { hasBrokenOff, UNREACHABLE_CODES } from '../postgres/unreachable.ts';
import { drillSource, type DrillSource } from './drill-source.ts';
import type { PlanDrillInput } from './drill-activities.ts';
import { findBeats, NoInstants } from './heartbeat.ts';

interface AskedSource extends DrillSource { settings: Pick<DatabaseSettings, 'connection' | 'heartbeat'>; signal: AbortSignal }

/**
 * What the source says of itself, or why it is silent. A source that does not answer is no reason not to drill: the
 * disaster may be real. One that answers and refuses is a mistake in the configuration, and would make every loss look
 * like one that cannot be known.
 * @throws ApplicationFailure `CONFIGURATION`, naming the setting
 */
export async function describeSource(
  input: Pick<PlanDrillInput, 'database' | 'owner'>, { settings, signal, ...how }: AskedSource,
): Promise<Pick<DrillPlan, 'source' | 'sourceSilence'>> {
  const config = await drillSource({ settings, ...how }, input.owner);
  try {
    const described = await withClient(config(), async (client) => {
      const before = Date.now();
      const { rows: [row] } = await client.query<{ lsn: string; id: string; now: string }>(
        `SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END)::text AS lsn,
                (SELECT system_identifier::text FROM pg_control_system()) AS id, (extract(epoch FROM clock_timestamp()) * 1000)::text AS now`);
      const middle = (before + Date.now()) / 2;
      if (!row) throw new Error('the source said nothing of itself');
      return { source: { lsn: row.lsn, systemIdentifier: row.id, clockSkewSeconds: Math.round(Number(row.now) - middle) / 1000 }, sourceSilence: null };
    }, signal);
    const { heartbeat } = settings;
    if (heartbeat) await withClient({ ...config(heartbeat.database), searchPath: 'ofDatabase' }, (client) => findBeats(client, heartbeat, 'source'), signal).catch(onlyMistake(`databases.${input.database}.heartbeat`, signal));
    return described;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ApplicationFailure) throw error;
    if (isSilence(error)) return { source: null, sourceSilence: reasonOf(error) };
    const { user, database } = settings.connection;
    const setting = settingOf(error, `databases.${input.database}.connection`);
    if (setting === undefined) throw error;
    throw ApplicationFailure.nonRetryable(`The source of ${input.database} refuses user "${user}" on database "${database}" (${reasonOf(error)}); correct ${setting}.`, 'CONFIGURATION');
  }
}

/** What else is wrong with a heartbeat is told where it is read: it is no reason not to drill. */
function onlyMistake(setting: string, signal: AbortSignal): (error: unknown) => void {
  return (error) => {
    signal.throwIfAborted();
    if (error instanceof NoInstants) throw ApplicationFailure.nonRetryable(`At the source ${error.message} in ${setting}.`, 'CONFIGURATION');
  };
}

/** Cut off (08), out of resources such as connections (53), shutting down or starting (57P), ill (58, XX). */
const SILENT_STATES = /^(08|53|57P|58|XX)/;
/** Nobody is there, or nobody any more: a connection that broke off and a socket that is gone included. */
const NETWORK = new Set([...UNREACHABLE_CODES, 'ECONNABORTED', 'EPIPE', 'EHOSTDOWN', 'ENETDOWN', 'ENOENT']);
/** The driver has no code for a connection or an answer that took too long, nor for what it refuses itself. */
const TIMED_OUT = /^(timeout expired|Query read timeout)/;
const NO_PASSWORD = /^SASL|password/;
const TLS = /\b(SSL|TLS|certificate)\b/i;

/** Whether an error means that the source does not answer, rather than that it refuses. */
export function isSilence(error: unknown): boolean {
  const code = codeOf(error);
  return SILENT_STATES.test(sqlState(error)) || NETWORK.has(code) || hasBrokenOff(error) || (code === '' && TIMED_OUT.test(reasonOf(error)));
}

/** Whether an error is the source's, silent or refusing; else it says nothing of it. */
export function isOfSource(error: unknown): boolean {
  return isSilence(error) || sqlState(error) !== '' || settingOf(error, '') !== undefined;
}

/** What went wrong, in one line; of several addresses tried, the first. */
export function reasonOf(error: unknown): string {
  const first: unknown = error instanceof AggregateError && error.message === '' ? error.errors[0] : error;
  return first instanceof Error ? first.message : String(first);
}

/** The setting that a refusal points to; undefined for what is no refusal. */
function settingOf(error: unknown, prefix: string): string | undefined {
  const state = sqlState(error);
  if (state.startsWith('3D')) return `${prefix}.database`;
  if (state === '42501') return `${prefix}.user, or grant it what it lacks`;
  if (state.startsWith('28')) return `${prefix}.user and its password (passwordFile or passwordEnv), or the source's pg_hba.conf`;
  if (TLS.test(`${codeOf(error).replaceAll('_', ' ')} ${reasonOf(error)}`)) return `${prefix}.sslmode`;
  if (NO_PASSWORD.test(reasonOf(error))) return `${prefix}.passwordFile or ${prefix}.passwordEnv`;
  return undefined;
}

function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : '';
}
