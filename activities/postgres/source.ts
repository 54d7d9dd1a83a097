import { Client, type ClientConfig } from 'pg';
import type { ConnectionSettings } from '../../contracts/configuration.ts';
import { withOwnSearchPath } from './search-path.ts';
import { Unreachable, unreachable } from './unreachable.ts';

/** Finds the password that a connection refers to; undefined when it refers to none. */
export type ResolvePassword = (connection: ConnectionSettings) => Promise<string | undefined>;

/** What holds a connection to the one server that it is meant for; both throw where it leads elsewhere, and then nothing else is done with it. */
export interface ConnectionGuard {
  beforeConnecting: () => Promise<void>;
  onceConnected: (client: Client) => Promise<void>;
  /** For a program that connects by itself, and asks nobody which server it has reached; throws where it would be another. */
  hold: (signal: AbortSignal) => Promise<HeldAddress>;
}

/** An address that stays one of the server that it is meant for. */
export interface HeldAddress {
  host: string;
  /** To be asked once the program is done: throws where it may have led elsewhere all the same. */
  confirm: () => Promise<void>;
}
/** A connection's settings, and what proves that it leads to the server that is meant; without a guard it is taken as it is. */
export type GuardedConfig = ClientConfig & {
  guard?: ConnectionGuard;
  /** What the database sets decides what names mean, and not our own search path: for what users wrote, which runs in no other way. */
  searchPath?: 'ofDatabase';
};

/** A client for one connection, which is not opened yet. Every connection to a database that people own is made by this. */
export function clientFor(config: GuardedConfig): Client {
  const client = new Client(config.searchPath === 'ofDatabase' ? config : withOwnSearchPath(config));
  // A connection that is cut while idle would otherwise end the process.
  client.on('error', () => undefined);
  return client;
}

/** Connects, and holds the connection to its guard, if it has one. Every connection that can have one is opened with this. */
export async function connectGuarded(client: Client, { guard }: GuardedConfig): Promise<void> {
  await guard?.beforeConnecting();
  await client.connect();
  await guard?.onceConnected(client);
}

/** How to connect to a source, with an application name by which leftovers are found. */
export async function sourceConfig(connection: ConnectionSettings, resolvePassword: ResolvePassword, applicationName: string): Promise<(database?: string) => ClientConfig> {
  const password = await resolvePassword(connection);
  return (database = connection.database) => ({
    host: connection.host,
    port: connection.port,
    user: connection.user,
    database,
    ...(password === undefined ? {} : { password }),
    ssl: connection.sslmode === 'disable' ? false : { rejectUnauthorized: connection.sslmode === 'verify-full' },
    application_name: applicationName.slice(0, 63),
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
  });
}

/**
 * Connects, works, and disconnects, with names looked up in pg_catalog alone; an abort cuts the connection, which fails the query that is under way. Throws
 * {@link Unreachable} where nobody answers.
 */
export async function withClient<T>(config: GuardedConfig, work: (client: Client) => Promise<T>, signal?: AbortSignal): Promise<T> {
  signal?.throwIfAborted();
  const client = clientFor(config);
  // The goodbye makes it one that we ended; who waits for it may wait for ever.
  const abort = () => {
    void client.end().catch(() => undefined);
    cut(client);
  };
  signal?.addEventListener('abort', abort, { once: true });
  const started = performance.now();
  try {
    await connectGuarded(client, config).catch((error: unknown) => {
      // The driver gives up a silent server with an error that has no code.
      const isSilent = performance.now() - started >= (config.connectionTimeoutMillis ?? Infinity);
      throw isSilent ? new Unreachable('ETIMEDOUT', config, error) : unreachable(error, config) ?? error;
    });
    return await work(client);
  } finally {
    signal?.removeEventListener('abort', abort);
    await disconnect(client);
  }
}

/** A server that says goodbye does so at once. One that vanished never does, and nothing else would end the wait. */
const GOODBYE_MS = 2_000;

/** Closes a connection, with the server's goodbye where there is one. */
export async function disconnect(client: Client): Promise<void> {
  const late = setTimeout(() => cut(client), GOODBYE_MS);
  await client.end().catch(() => undefined).finally(() => clearTimeout(late));
}

/** Which process of the server serves a connection. */
export function backendPid(client: Client): number {
  // pg has no public way to ask.
  return (client as unknown as { processID: number }).processID;
}

/** Closes a connection at once, whatever it is doing: `end` waits for the server. */
export function cut(client: Client): void {
  // pg has no public way to do it.
  const { connection } = client as unknown as { connection: { stream: { destroy(): void } } };
  connection.stream.destroy();
}
