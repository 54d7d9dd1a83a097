import type { Client, ClientConfig } from 'pg';
import { withClient } from '../postgres/source.ts';
import { DRILL_PORT, type Drill, drillPaths } from './drill.ts';

/**
 * How to connect to a drill. Options of the connection outrank what ALTER ROLE and ALTER DATABASE left in the restored
 * catalog, so no setting of production comes back through them.
 */
export function drillClientConfig(
  drill: Pick<Drill, 'directory' | 'serverMajor' | 'superuser'>,
  args: { database: string; user?: string; applicationName?: string },
): ClientConfig {
  const options: Record<string, string> = {
    session_preload_libraries: '',
    local_preload_libraries: '',
    ...(drill.serverMajor >= 17 ? { event_triggers: 'off' } : {}),
    default_transaction_isolation: 'read\\ committed',
    default_transaction_read_only: 'off',
    idle_session_timeout: '0',
    idle_in_transaction_session_timeout: '0',
  };
  return {
    host: drillPaths(drill.directory).socket,
    port: DRILL_PORT,
    database: args.database,
    user: args.user ?? drill.superuser,
    // Peer authentication: were a password of production in our environment, it would never be sent.
    password: () => '',
    application_name: args.applicationName ?? 'runbook drill',
    options: Object.entries(options).map(([name, value]) => `-c ${name}=${value}`).join(' '),
    connectionTimeoutMillis: 10_000,
  };
}

/** Opens a connection to a drill, runs `work` and closes it whatever happens. */
export function withDrillClient<T>(
  drill: Pick<Drill, 'directory' | 'serverMajor' | 'superuser'>,
  database: string,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  return withClient(drillClientConfig(drill, { database }), work);
}
