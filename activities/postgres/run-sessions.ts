import type { ClientConfig } from 'pg';
import { withClient } from './source.ts';

/** A server that answers nothing is not waited for long: what ends a run has other things to end. */
const PATIENCE_MS = 3_000;

/** The same server, for those who tear down: one that accepts a connection and then hangs must not hold them up either. */
export const impatient = (config: ClientConfig): ClientConfig => ({ ...config, connectionTimeoutMillis: PATIENCE_MS, query_timeout: 3 * PATIENCE_MS });

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
export async function findSessions(config: ClientConfig, applicationName: string): Promise<string[]> {
  return withClient({ ...config, application_name: 'runbook proof' }, async (client) => {
    const { rows } = await client.query<{ found: string }>(
      `SELECT 'session ' || pid AS found FROM pg_stat_activity WHERE starts_with(application_name, $1)
       UNION ALL SELECT 'slot ' || slot_name FROM pg_replication_slots s JOIN pg_stat_activity a ON a.pid = s.active_pid WHERE starts_with(a.application_name, $1)`,
      [applicationName.slice(0, 63)],
    );
    return rows.map(({ found }) => `${found} at the source`);
  });
}
