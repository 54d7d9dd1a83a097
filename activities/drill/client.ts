import { join, resolve } from 'node:path';
import type { Client } from 'pg';
import { lookAt } from '../archive/look-at.ts';
import { RecoveryFailure } from '../archive/recovery-failure.ts';
import { type ConnectionGuard, type GuardedConfig, withClient } from '../postgres/source.ts';
import { DRILL_PORT, type Drill, drillPaths, socketFile } from './drill.ts';
import { holdSocket } from './held-socket.ts';

type Reached = Pick<Drill, 'directory' | 'owner' | 'serverMajor' | 'superuser' | 'maintenanceDatabase'>;

/** Where the copy's socket has a second name, beside its own directory `s`: a socket's path must not get longer. */
const HELD = 'h';

/**
 * Keeps a connection from leading to another server, production's above all: the directory of the copy's socket belongs
 * to the copy's user, and a function that was restored can put a link to another socket there. Looking before leaves a
 * moment in which it can still be exchanged, so that the server is asked, too, by what no function of it can redefine.
 */
function guardOf(drill: Reached): ConnectionGuard {
  const { directory, owner } = drill;
  const { socket, data } = drillPaths(directory);
  const file = socketFile(socket);
  const refuse = (why: string) => { throw new RecoveryFailure('NOT_OUR_DRILL', `What answers in the place of the restored copy is not the copy: ${why}. Something in it may have put that there; nothing was asked of it.`); };
  const guard: ConnectionGuard = {
    async beforeConnecting() {
      const user = owner?.uid ?? process.getuid?.();
      const [place, entry] = [await lookAt(socket), await lookAt(file)];
      // Where nothing is, connecting says so.
      if (place && (!place.isDirectory() || place.uid !== user)) refuse(`${socket} is no directory of the copy's user`);
      if (entry && (!entry.isSocket() || entry.uid !== user)) refuse(`${file} is no socket of the copy's user`);
    },
    async onceConnected(client) {
      const { rows } = await client.query<{ data_directory: string }>('SHOW data_directory');
      const found = rows[0]?.data_directory;
      if (found !== resolve(data)) refuse(`its data directory is ${found}, and the copy's is ${resolve(data)}`);
    },
    async hold(signal) {
      await guard.beforeConnecting();
      const held = await holdSocket(file, join(directory, HELD));
      const isOther = (await lookAt(socketFile(held.host)))?.isSocket() === false;
      if (isOther) refuse(`${file} was no socket when it was to be held`);
      // What is held is one server's for good: whose it is needs to be asked once.
      await withClient({ ...drillClientConfig(drill, { database: drill.maintenanceDatabase }), host: held.host }, () => Promise.resolve(), signal);
      return {
        host: held.host,
        async confirm() {
          const moved = await held.moved();
          if (moved !== undefined) throw new RecoveryFailure('NOT_OUR_DRILL', `What was to use the restored copy may have used another server: ${moved}. Something in the copy may have done that; what was found counts for nothing.`);
        },
      };
    },
  };
  return guard;
}

/**
 * How to connect to a drill; whoever does opens it with `withClient` or `connectGuarded`, which hold it to its guard.
 * Options of the connection outrank what ALTER ROLE and ALTER DATABASE left in the restored
 * catalog, so no setting of production comes back through them.
 */
export function drillClientConfig(
  drill: Reached,
  args: { database: string; user?: string; applicationName?: string },
): GuardedConfig {
  const options: Record<string, string> = {
    session_preload_libraries: '',
    local_preload_libraries: '',
    ...(drill.serverMajor >= 17 ? { event_triggers: 'off', transaction_timeout: '0' } : {}),
    statement_timeout: '0',
    lock_timeout: '0',
    standard_conforming_strings: 'on',
    quote_all_identifiers: 'off',
    role: 'none',
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
    guard: guardOf(drill),
  };
}

/**
 * Opens a connection to a drill, runs `work` and closes it whatever happens.
 * @throws RecoveryFailure `NOT_OUR_DRILL` where another server answers
 */
export function withDrillClient<T>(
  drill: Reached,
  database: string,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  return withClient(drillClientConfig(drill, { database }), work);
}
