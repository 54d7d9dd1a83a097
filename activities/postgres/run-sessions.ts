import type { ClientConfig } from 'pg';
import { withClient } from './source.ts';
import { isRefused, unreachable } from './unreachable.ts';

/** Ends every session of a server whose application name begins so, and waits until they are gone; returns how many there were. */
export async function endSessions(config: ClientConfig, applicationName: string): Promise<number> {
  return withClient({ ...config, application_name: 'runbook teardown' }, async (client) => {
    const { rowCount } = await client.query(
      'SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE starts_with(application_name, $1) AND pid <> pg_backend_pid()',
      [applicationName.slice(0, 63)],
    );
    return rowCount ?? 0;
  });
}

/** The sessions of a server whose application name begins so, and the replication slots that they hold. */
async function findSessions(config: ClientConfig, applicationName: string): Promise<string[]> {
  return withClient({ ...config, application_name: 'runbook proof' }, async (client) => {
    const { rows } = await client.query<{ found: string }>(
      `SELECT 'session ' || pid AS found FROM pg_stat_activity WHERE starts_with(application_name, $1)
       UNION ALL SELECT 'slot ' || slot_name FROM pg_replication_slots s JOIN pg_stat_activity a ON a.pid = s.active_pid WHERE starts_with(a.application_name, $1)`,
      [applicationName.slice(0, 63)],
    );
    return rows.map(({ found }) => `${found} at the source`);
  });
}

/** A source that answers nothing is not waited for long: what ends a run has other things to end. */
const PATIENCE_MS = 3_000;
/** For those who tear down: a server that accepts a connection and then hangs must not hold them up either. */
const impatient = (source: ClientConfig, patienceMs: number): ClientConfig => ({ ...source, connectionTimeoutMillis: patienceMs, query_timeout: 3 * patienceMs });

/** Ends what a run still has open at its source; 0 where the source does not answer, which the proof then says. */
export async function endSourceSessions(source: ClientConfig, applicationName: string, patienceMs = PATIENCE_MS): Promise<number> {
  return endSessions(impatient(source, patienceMs), applicationName).catch(() => 0);
}

/** How often a source that answers but does not let us look is asked, by the attempts of one activity. */
const ATTEMPTS_TO_LOOK = 5;

/**
 * What was looked at, and the sessions of a run that are left at its source. A source that cannot be asked is said to be
 * so, and no obstacle: one that is down is what drills are for, its sessions are gone with it, and what was proven of this
 * host is worth no less for it.
 * @throws what may pass, while `attempt`, which counts from 1, is one of the first
 */
export async function lookForSourceSessions(source: ClientConfig, applicationName: string, attempt: number, patienceMs = PATIENCE_MS): Promise<{ looked: string; found: string[] }> {
  try {
    return { looked: 'sessions and slots at the source', found: await findSessions(impatient(source, patienceMs), applicationName) };
  } catch (error) {
    const silent = unreachable(error);
    if (!silent && !isRefused(error) && attempt < ATTEMPTS_TO_LOOK) throw error;
    const why = silent ?? error;
    return { looked: `no sessions at the source, which could not be asked: ${why instanceof Error ? why.message : String(why)}`, found: [] };
  }
}
