import type { Client, ClientConfig } from 'pg';
import type { DatabaseDescription, RecoveryPoint } from '../../contracts/recovery-point.ts';
import { withClient } from '../postgres/source.ts';
import { readLibraries } from './used-libraries.ts';

/** What the source says of itself: all of a recovery point that does not come from the backup. */
export type SourceFacts = Pick<
  RecoveryPoint,
  | 'systemIdentifier' | 'serverVersion' | 'serverMajor' | 'walSegmentSize' | 'blockSize' | 'dataChecksums' | 'settings' | 'databases'
  | 'bootstrapSuperuser' | 'roleNames' | 'sourceDataDirectory' | 'sourceSocketDirectories' | 'sourcePort'
> & { inRecovery: boolean; logDirectory: string };

const FACTS = `
SELECT (SELECT system_identifier::text FROM pg_control_system()) AS "systemIdentifier",
       current_setting('server_version') AS "serverVersion",
       current_setting('server_version_num')::int / 10000 AS "serverMajor",
       pg_size_bytes(current_setting('wal_segment_size'))::int AS "walSegmentSize",
       current_setting('block_size')::int AS "blockSize",
       current_setting('data_checksums') = 'on' AS "dataChecksums",
       current_setting('data_directory') AS "sourceDataDirectory",
       current_setting('log_directory') AS "logDirectory",
       current_setting('unix_socket_directories') AS "socketDirectories",
       current_setting('port')::int AS "sourcePort",
       pg_is_in_recovery() AS "inRecovery",
       (SELECT rolname FROM pg_roles ORDER BY rolsuper DESC, rolcanlogin DESC, oid LIMIT 1) AS "bootstrapSuperuser",
       ARRAY(SELECT rolname::text FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1) AS "roleNames",
       (SELECT json_object_agg(name, setting::int) FROM pg_settings WHERE name IN
         ('max_connections','max_worker_processes','max_wal_senders','max_prepared_transactions','max_locks_per_transaction')) AS settings`;

/** Reads the facts of a source. The role must be superuser or a member of pg_read_all_settings and pg_monitor. */
export async function readSourceFacts(args: { client: Client; connection: ClientConfig }): Promise<SourceFacts> {
  const { client } = args;
  const { rows } = await client.query(FACTS);
  const { socketDirectories, ...facts } = rows[0] as SourceFacts & { socketDirectories: string };
  return {
    ...facts,
    sourceSocketDirectories: socketDirectories.split(',').map((path) => path.trim().replace(/^"|"$/g, '')).filter((path) => path !== ''),
    databases: await readDatabases({ ...args, major: facts.serverMajor }),
  };
}

/**
 * The size of a row of pg_database; null where the role may not know it, as of a template that is closed to it. PostgreSQL
 * tells it to who may connect, and to pg_read_all_stats.
 */
const READABLE_SIZE = `CASE WHEN has_database_privilege(oid, 'CONNECT') OR pg_has_role('pg_read_all_stats', 'USAGE') THEN pg_database_size(oid) END`;

/** How large all databases are together, in bytes, as far as the role may know it: with what is unlogged, which no backup copies. */
export const SIZE_OF_ALL = `(SELECT coalesce(sum(${READABLE_SIZE}), 0)::float8 FROM pg_database WHERE datallowconn)`;

async function readDatabases(args: { client: Client; connection: ClientConfig; major: number }): Promise<DatabaseDescription[]> {
  const provider = args.major >= 15 ? `CASE datlocprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END` : `'libc'`;
  const { rows } = await args.client.query(
    `SELECT datname AS name, oid::text, pg_encoding_to_char(encoding) AS encoding, ${provider} AS "localeProvider",
            ${args.major >= 15 ? 'datcollversion' : 'NULL::text'} AS "collationVersion", coalesce(${READABLE_SIZE}, 0)::float8 AS "sizeBytes", datallowconn AS connectable
       FROM pg_database ORDER BY oid`,
  );
  const databases: DatabaseDescription[] = [];
  for (const { connectable, ...database } of rows as (DatabaseDescription & { connectable: boolean })[]) {
    databases.push({ ...database, ...(connectable ? await readNeeds({ ...args.connection, database: database.name }) : { extensions: null }) });
  }
  return databases;
}

async function readNeeds(connection: ClientConfig): Promise<Pick<DatabaseDescription, 'extensions' | 'libraries'>> {
  const read = withClient(connection, async (client) => {
    const { rows: extensions } = await client.query<{ name: string; version: string }>('SELECT extname AS name, extversion AS version FROM pg_extension ORDER BY 1');
    const libraries = await readLibraries(client).catch(() => undefined);
    return { extensions, ...(libraries && { libraries }) };
  });
  // Dropped meanwhile, or the role may not connect: unknown, and the description says so.
  return read.catch(() => ({ extensions: null }));
}
