import { escapeIdentifier, type Client } from 'pg';
import { OWN_SEARCH_PATH } from '../postgres/search-path.ts';
import { clientFor, connectGuarded, cut, disconnect, type GuardedConfig } from '../postgres/source.ts';
import { insufficientPrivilege, ManifestError, sqlState } from './errors.ts';

/** Opens connections, one `ClientConfig` per database; where they lead and how they authenticate is the caller's business. */
export type Connect = (database: string) => GuardedConfig;

export interface SessionLimits {
  statementTimeoutMs: number;
  lockTimeoutMs: number;
}

/**
 * Ends a session, with its locks, its snapshot and its slot, half a minute after its host vanished, as by a power failure, where
 * systems wait for two hours: nobody says goodbye then. Servers ignore it on sockets of their own host, and where the system cannot do it.
 */
const NOTICE_A_LOST_HOST: [string, string][] = [['tcp_keepalives_idle', '10'], ['tcp_keepalives_interval', '5'], ['tcp_keepalives_count', '3'], ['tcp_user_timeout', '25000']];

/**
 * What a database says of these by itself, its owner may have chosen: they decide whether a query runs what is theirs, means
 * what it says, sees what is there now, and reads all of it and nothing else.
 */
const AGAINST_OWNERS: [string, string][] = [
  ['search_path', OWN_SEARCH_PATH],
  // What has taken the place of a table would run functions of its owner with our rights. Servers of 2024 and later know this one.
  ['restrict_nonsystem_relation_kind', 'view, foreign-table'],
  ['standard_conforming_strings', 'on'],
  // With it, what CHECK constraints and partition keys call is run to find out whether a query can have any row.
  ['constraint_exclusion', 'off'],
  // Serializable and deferrable, each question would wait for others to end; before that, a look would see less than there is by then.
  ['default_transaction_isolation', 'read committed'],
  // A policy must fail the reading, not thin it out silently.
  ['row_security', 'off'],
  // What is run all the same is to write nothing.
  ['default_transaction_read_only', 'on'],
];

/** Everything that changes how a value is written or hashed, or that could end our session behind our back. */
function fixedSettings(limits: SessionLimits): [string, string][] {
  return [
    ...AGAINST_OWNERS,
    ['TimeZone', 'UTC'], ['DateStyle', 'ISO, YMD'], ['IntervalStyle', 'iso_8601'], ['bytea_output', 'hex'],
    ['extra_float_digits', '3'], ['xmloption', 'content'], ['lc_monetary', 'C'],
    ['quote_all_identifiers', 'off'],
    // One process per connection: the number of connections is the limit that the operator set.
    ['max_parallel_workers_per_gather', '0'], ['jit', 'off'],
    ['statement_timeout', String(limits.statementTimeoutMs)], ['lock_timeout', String(limits.lockTimeoutMs)],
    ['idle_in_transaction_session_timeout', '0'], ['idle_session_timeout', '0'], ['transaction_timeout', '0'],
    // If this process dies, the server notices within a second instead of reading on.
    ['client_connection_check_interval', '1000'],
    ...NOTICE_A_LOST_HOST,
  ];
}

/** Takes a connection that began with what its database says out of the hands of that database's owner. */
export async function fixAgainstOwners(client: Client): Promise<void> {
  // Before anything that calls a function: with another path that might be theirs.
  await client.query(`SET search_path = ${OWN_SEARCH_PATH}`);
  await fix(client, AGAINST_OWNERS);
}

/** All connections of one reading: opened with fixed settings, ended together, cut at once when the signal fires. */
export class Sessions {
  readonly #connect: Connect;
  readonly #applicationName: string;
  readonly #limits: SessionLimits;
  readonly #signal: AbortSignal;
  readonly #open = new Set<Client>();
  readonly #cut = (): void => { for (const client of this.#open) cut(client); };

  constructor(options: { connect: Connect; applicationName: string; limits: SessionLimits; signal: AbortSignal }) {
    this.#connect = options.connect;
    this.#applicationName = options.applicationName;
    this.#limits = options.limits;
    this.#signal = options.signal;
    this.#signal.addEventListener('abort', this.#cut);
  }

  /** A connection for SQL, its settings fixed. */
  async open(database: string): Promise<Client> {
    const config = this.#connect(database);
    const client = await this.#start({ ...config, application_name: this.#applicationName }).catch((error: unknown) => {
      if (sqlState(error) !== insufficientPrivilege) throw error;
      // Of all privileges a database alone is asked for before there is a session.
      throw new ManifestError('permission', `${(error as Error).message}: GRANT CONNECT ON DATABASE ${escapeIdentifier(database)} TO ${escapeIdentifier(config.user ?? 'its role')}`, { cause: error });
    });
    await fix(client, fixedSettings(this.#limits));
    return client;
  }

  /** A connection that speaks the replication protocol, on which slots are made. */
  async openReplication(database: string, lockTimeoutMs: number): Promise<Client> {
    const given = this.#connect(database);
    const config = { ...given, application_name: this.#applicationName, replication: 'database',
      options: `${given.options ?? ''} -c lock_timeout=${Math.trunc(lockTimeoutMs)} -c client_connection_check_interval=1000 -c idle_in_transaction_session_timeout=0` };
    const client = await this.#start(config);
    // Its transaction is open until all have its snapshot. Servers before 17 do not know this setting, and would refuse it as an option.
    // A statement right before the slot is made, within a second, also has the server look whether we are there while it makes it:
    // commands of the replication protocol do not begin to look, but go on with it.
    await fix(client, [['transaction_timeout', '0'], ...NOTICE_A_LOST_HOST]);
    return client;
  }

  async close(...clients: Client[]): Promise<void> {
    for (const client of clients) {
      if (!this.#open.delete(client)) continue;
      await disconnect(client);
    }
  }

  /** Ends whatever is still open. */
  async closeAll(): Promise<void> {
    this.#signal.removeEventListener('abort', this.#cut);
    await this.close(...this.#open);
  }

  async #start(config: GuardedConfig): Promise<Client> {
    throwIfAborted(this.#signal);
    const client = clientFor(config);
    this.#open.add(client);
    try {
      await connectGuarded(client, config);
    } catch (error) {
      await this.close(client);
      throwIfAborted(this.#signal);
      throw error;
    }
    return client;
  }
}

/** Sets them for the session: joined with pg_settings, so that a server that does not know one yet is not asked for it. */
async function fix(client: Client, settings: readonly [name: string, value: string][]): Promise<void> {
  const quoted = settings.map(([name, value]) => `('${name}', '${value.replaceAll("'", "''")}')`);
  // No parameters: the replication protocol has none.
  await client.query(`SELECT set_config(s.name, v.value, false) FROM (VALUES ${quoted.join(', ')}) AS v(name, value) JOIN pg_catalog.pg_settings s ON lower(s.name) = lower(v.name)`);
}

/**
 * Reads in a transaction that goes on, and lets go of the locks that this takes on the catalog: whoever rewrites that meanwhile
 * would wait for them until all tables are read, and everybody else behind.
 */
export async function releasingLocks<T>(client: Client, work: () => Promise<T>): Promise<T> {
  const release = (): Promise<unknown> => client.query('ROLLBACK TO SAVEPOINT catalog; RELEASE SAVEPOINT catalog');
  await client.query('SAVEPOINT catalog');
  const result = await work().catch(async (error: unknown) => {
    await release().catch(() => undefined);
    throw error;
  });
  await release();
  return result;
}

/** Throws the reason of the abort when it is one of ours, `cancelled` otherwise. */
export function throwIfAborted(signal: AbortSignal): void {
  if (!signal.aborted) return;
  if (signal.reason instanceof ManifestError) throw signal.reason;
  throw new ManifestError('cancelled', 'the reading was cancelled', { cause: signal.reason });
}
