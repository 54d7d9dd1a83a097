import type { ClientConfig } from 'pg';
import { endSessions, withClient } from '../postgres/source.ts';
import { unreachable } from '../postgres/unreachable.ts';

/** A source that is down answers nothing, and the drill of it has other things to prove: it is not waited for long. */
const PATIENCE_MS = 3_000;

/** A server that accepts a connection and then hangs must not hold up a teardown either. */
const impatient = (source: ClientConfig): ClientConfig => ({ ...source, connectionTimeoutMillis: PATIENCE_MS, query_timeout: 3 * PATIENCE_MS });

/** Ends what a run still has open at its source; 0 where the source does not answer, which the proof then says. */
export async function endSourceSessions(source: ClientConfig, applicationName: string): Promise<number> {
  return endSessions(impatient(source), applicationName).catch(() => 0);
}

/** What was looked at, and the sessions of a run that are left at its source. Throws where it answers and does not let us look. */
export async function lookForSourceSessions(source: ClientConfig, applicationName: string): Promise<{ looked: string; found: string[] }> {
  try {
    return await withClient({ ...impatient(source), application_name: 'runbook proof' }, async (client) => {
      const { rows } = await client.query<{ pid: number }>('SELECT pid FROM pg_stat_activity WHERE starts_with(application_name, $1)', [applicationName.slice(0, 63)]);
      return { looked: 'sessions at the source', found: rows.map(({ pid }) => `session ${pid} at the source`) };
    });
  } catch (error) {
    // The sessions of a server that is down are gone with it. Of one that only refuses us nothing is known.
    const silent = unreachable(error);
    if (!silent) throw error;
    return { looked: `no sessions at the source: ${silent.message}`, found: [] };
  }
}
