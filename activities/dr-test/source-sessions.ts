import type { ClientConfig } from 'pg';
import { endSessions, withClient } from '../postgres/source.ts';
import { unreachable } from '../postgres/unreachable.ts';

/** A source that is down answers nothing, and the drill of it has other things to prove: it is not waited for long. */
const PATIENCE_MS = 3_000;

/** Ends what a run still has open at its source; 0 where the source does not answer, which the proof then says. */
export async function endSourceSessions(source: ClientConfig, applicationName: string): Promise<number> {
  return endSessions({ ...source, connectionTimeoutMillis: PATIENCE_MS }, applicationName).catch(() => 0);
}

/** What was looked at, and the sessions of a run that are left at its source. */
export async function lookForSourceSessions(source: ClientConfig, applicationName: string): Promise<{ looked: string; found: string[] }> {
  try {
    return await withClient({ ...source, connectionTimeoutMillis: PATIENCE_MS, application_name: 'runbook proof' }, async (client) => {
      const { rows } = await client.query<{ pid: number }>('SELECT pid FROM pg_stat_activity WHERE starts_with(application_name, $1)', [applicationName.slice(0, 63)]);
      return { looked: 'sessions at the source', found: rows.map(({ pid }) => `session ${pid} at the source`) };
    });
  } catch (error) {
    // The sessions of a server that is down are gone with it; one that refuses us is not known.
    return { looked: `no sessions at the source: ${(unreachable(error) ?? (error as Error)).message}`, found: [] };
  }
}
