import { type Client, escapeIdentifier } from 'pg';
import type { ArchivedSoFar } from '../../activities/archive/archive-lag.ts';
import { layoutOf } from '../../activities/archive-provider/kept-in.ts';
import { askArchiver } from '../../activities/archive/archiver.ts';
import { bytesToCopy } from '../../activities/archive/backup-listing.ts';
import { RecoveryFailure } from '../../activities/archive/recovery-failure.ts';
import { SIZE_OF_ALL } from '../../activities/archive/source-facts.ts';
import { identifyServer, type RunningServer, whatElseLiesThere } from '../../activities/archive/source-host.ts';
import { insufficientPrivilege, sqlState } from '../../activities/manifest/errors.ts';
import { sourceConfig, withClient } from '../../activities/postgres/source.ts';
import type { DatabaseSettings } from '../../contracts/configuration.ts';
import { formatSeconds } from '../../contracts/quantities.ts';
import { resolvePassword } from '../../workers/config.ts';
import { hostName } from '../../workers/host.ts';
import { messageOf, type Findings } from './doctor-finding.ts';

/** Whether a database's files are another host's, by the configuration. */
export function isElsewhere(host: string | undefined): boolean {
  return host !== undefined && host !== hostName();
}

/** What the doctor learned of a source that other examinations need. */
export interface SourceFacts extends ArchivedSoFar {
  major: number;
  /** What a backup would copy at present, in bytes: the files, or, where they are not on this host, at most what the databases say of their sizes. */
  toCopy: { bytes: number; of: 'files' | 'databases' };
}

/** Connects to a source and looks at what backups and manifests need of it. Changes nothing. */
export function examineSource(settings: DatabaseSettings, findings: Findings): Promise<SourceFacts | undefined> {
  return withSource(settings, findings, async (client, major) => {
    await examineWal(client, findings);
    const archiver = await examineArchiver(client, layoutOf(settings.provider).wal, findings);
    await examineRole(client, findings);
    await examineDatabases(client, findings);
    const bytes = await examineFiles(client, settings.host, findings);
    return { major, ...archiver, toCopy: bytes === undefined ? { bytes: await askSize(client), of: 'databases' } : { bytes, of: 'files' } };
  });
}

/** Connects to a source as runs do, and looks at it; what keeps from it is a problem, and the answer undefined. */
export async function withSource<Facts>({ connection }: DatabaseSettings, findings: Findings, look: (client: Client, major: number) => Promise<Facts>): Promise<Facts | undefined> {
  const where = `${connection.host}:${connection.port}/${connection.database} as ${connection.user}`;
  let config: Awaited<ReturnType<typeof sourceConfig>>;
  try {
    config = await sourceConfig(connection, resolvePassword, 'runbook doctor');
  } catch (error) {
    findings.problem('password', messageOf(error), 'put the password where connection.passwordFile or passwordEnv says');
    return undefined;
  }
  try {
    return await withClient(config(), async (client) => {
      const { rows } = await client.query<{ version: string; number: string }>(`SELECT current_setting('server_version') AS version, current_setting('server_version_num') AS number`);
      const major = Math.floor(Number(rows[0]?.number) / 10_000);
      findings.ok('connection', `PostgreSQL ${rows[0]?.version} answers at ${where}`);
      if (major < 14) findings.problem('version', `PostgreSQL ${major} is too old`, 'use 14 or newer');
      return look(client, major);
    });
  } catch (error) {
    const { code } = error as { code?: string };
    findings.problem('connection', `${where}: ${messageOf(error)}`, adviceFor(code, messageOf(error)));
    return undefined;
  }
}

/** What the driver and TLS itself say has no code of its own kind. */
const TLS = /\b(SSL|TLS|certificate|CERT)\b/i;

/** What a person can do about a refusal, by its SQLSTATE or system error, or by what TLS says. */
export function adviceFor(code: string | undefined, message: string): string {
  if (/does not support SSL/i.test(message)) return 'turn TLS on at the source, or set connection.sslmode to disable';
  if (/no encryption|SSL off/.test(message)) return "set connection.sslmode to require, or add a line for this user and host to the source's pg_hba.conf";
  if (TLS.test(`${code?.replaceAll('_', ' ')} ${message}`)) return 'correct the certificate of the source, or connection.sslmode: verify-full demands one that this host trusts and that names connection.host; require takes any';
  switch (code) {
    case 'ECONNREFUSED': return 'start PostgreSQL, or correct connection.host and connection.port';
    case 'ENOTFOUND': case 'EAI_AGAIN': return 'correct connection.host';
    case '28P01': return 'correct the password in connection.passwordFile or passwordEnv';
    case '28000': return "add a line for this user and host to the source's pg_hba.conf, or correct connection.user";
    case '3D000': return 'correct connection.database';
    case '42501': return 'GRANT CONNECT ON DATABASE connection.database TO connection.user, or correct them';
    default: return 'correct connection.host, port, user, database or sslmode';
  }
}

/** `toLogical`: how the source is made to write what logical slots need. */
export async function examineWal(client: Client, findings: Findings, toLogical = 'ALTER SYSTEM SET wal_level = logical, then restart the source'): Promise<void> {
  const { rows } = await client.query<{ wal_level: string; slots: number; used: number; senders: number; sending: number }>(`
    SELECT current_setting('wal_level') AS wal_level,
      current_setting('max_replication_slots')::int AS slots, (SELECT count(*)::int FROM pg_replication_slots) AS used,
      current_setting('max_wal_senders')::int AS senders, (SELECT count(*)::int FROM pg_stat_replication) AS sending`);
  const [row] = rows;
  if (!row) return;
  if (row.wal_level === 'logical') findings.ok('wal_level', 'is logical: rows can be compared exactly');
  else findings.warning('wal_level', `is ${row.wal_level}: rows cannot be compared exactly, and drills end as not proven`, toLogical);
  if (row.used < row.slots) findings.ok('replication slots', `${row.slots - row.used} of ${row.slots} are free`);
  else findings.problem('replication slots', `all ${row.slots} are in use`, 'raise max_replication_slots, or drop a slot that nobody uses');
  if (row.sending < row.senders) findings.ok('WAL senders', `${row.senders - row.sending} of ${row.senders} are free`);
  else findings.problem('WAL senders', `all ${row.senders} are in use`, 'raise max_wal_senders');
}

async function examineArchiver(client: Client, walDirectory: string, findings: Findings): Promise<ArchivedSoFar> {
  const { trouble, lag, lastArchived, secondsAgo, segmentSize, systemIdentifier, isReceived } = await askArchiver(client, walDirectory);
  if (lag) findings.warning('archiver', lag.problem, lag.remedy);
  else if (trouble) findings.problem('archiver', trouble.problem, trouble.remedy);
  else if (isReceived) findings.ok('archiver', `is not used, and WAL comes to ${walDirectory} by something else`);
  else if (lastArchived === null) findings.warning('archiver', 'has not archived anything yet', 'SELECT pg_switch_wal() and look again');
  else findings.ok('archiver', `archived ${lastArchived} ${formatSeconds(Math.max(secondsAgo ?? 0, 0))} ago`);
  // What it brought until it was switched off may lie elsewhere, and says nothing of this archive.
  return { lastArchived: isReceived ? null : lastArchived, segmentSize, systemIdentifier };
}

async function examineRole(client: Client, findings: Findings): Promise<void> {
  const { rows } = await client.query<{ name: string; super: boolean; replication: boolean; reads: boolean; settings: boolean; bypass: boolean }>(`
    SELECT rolname AS name, rolsuper AS super, rolreplication AS replication, rolbypassrls AS bypass,
      pg_has_role(current_user, 'pg_read_all_data', 'USAGE') AS reads, pg_has_role(current_user, 'pg_read_all_settings', 'USAGE') AS settings
    FROM pg_roles WHERE rolname = current_user`);
  const [row] = rows;
  if (!row) return;
  if (row.super) return findings.ok('role', `${row.name} is a superuser: tables whose indexes or extended statistics call functions of others are not read with its rights; where owners of tables are not trusted, read with a role that is none`);
  const quoted = `"${row.name.replaceAll('"', '""')}"`;
  if (!row.replication) findings.problem('role', `${row.name} may not make base backups`, `ALTER ROLE ${quoted} REPLICATION`);
  if (!row.reads) findings.problem('role', `${row.name} may not read every table`, `GRANT pg_read_all_data TO ${quoted}`);
  if (!row.settings) findings.problem('role', `${row.name} may not ask where the data directory is, which a backup copies`, `GRANT pg_read_all_settings TO ${quoted}`);
  if (!row.bypass) findings.warning('role', `${row.name} is subject to row-level policies: tables with one cannot be compared`, `ALTER ROLE ${quoted} BYPASSRLS`);
  if (row.replication && row.reads && row.settings) findings.ok('role', `${row.name} has REPLICATION, pg_read_all_data and pg_read_all_settings`);
  await examineFunctions(client, quoted, findings);
}

/** A manifest is taken of every database that takes connections and is no template; where one is closed to the role there is none. */
export async function examineDatabases(client: Client, findings: Findings): Promise<void> {
  const { rows } = await client.query<{ name: string; role: string }>(`
    SELECT datname AS name, current_user::text AS role FROM pg_database
    WHERE datallowconn AND NOT datistemplate AND datconnlimit <> -2 AND NOT has_database_privilege(oid, 'CONNECT') ORDER BY datname`);
  for (const { name, role } of rows) findings.problem('role', `may not connect to database "${name}", so that no manifest can be taken`, `GRANT CONNECT ON DATABASE ${escapeIdentifier(name)} TO ${escapeIdentifier(role)}`);
}

const COPY_THERE = "take backups by a worker on the source's host, as a user who can read that directory; where several hosts run workers, name it in host";

/** A base backup copies the source's files from the host of the worker that takes it: how many bytes that would be; undefined where it cannot be known. */
async function examineFiles(client: Client, host: string | undefined, findings: Findings): Promise<number | undefined> {
  if (isElsewhere(host)) {
    findings.skipped('data directory', `backups are taken on ${host}: run this there`);
    return undefined;
  }
  let server: RunningServer;
  try {
    server = await identifyServer(client);
  } catch (error) {
    if (sqlState(error) !== insufficientPrivilege) throw error;
    // Then the role's finding says what it lacks.
    findings.skipped('data directory', messageOf(error));
    return undefined;
  }
  const found = await whatElseLiesThere(server);
  if (found !== null) {
    findings.problem('data directory', found, COPY_THERE);
    return undefined;
  }
  try {
    const bytes = await bytesToCopy(client);
    findings.ok('data directory', `${server.dataDirectory} is on this host, and the source runs on it`);
    return bytes;
  } catch (error) {
    // Something lies in it that cannot be copied, or not all of it can be read: a backup would end of the same.
    findings.problem('data directory', messageOf(error), error instanceof RecoveryFailure ? 'move out of it what is not of PostgreSQL' : COPY_THERE);
    return undefined;
  }
}

async function askSize(client: Client): Promise<number> {
  const { rows: [row] } = await client.query<{ bytes: number }>(`SELECT ${SIZE_OF_ALL} AS bytes`);
  return row?.bytes ?? 0;
}

/** Functions that only superusers may call unless it is granted: what a backup cannot do without, and what counts lost transactions. */
async function examineFunctions(client: Client, quoted: string, findings: Findings): Promise<void> {
  const { rows } = await client.query<{ name: string }>(`
    SELECT p.oid::regprocedure::text AS name FROM pg_proc p
    WHERE pronamespace = 'pg_catalog'::regnamespace AND NOT has_function_privilege(p.oid, 'EXECUTE')
      AND (proname IN ('pg_backup_start', 'pg_backup_stop', 'pg_start_backup', 'pg_switch_wal', 'pg_create_restore_point')
        -- Of version 14; its other one, without arguments, ends backups that are taken another way.
        OR proname = 'pg_stop_backup' AND pronargs > 0
        OR p.oid = 'pg_read_binary_file(text, bigint, bigint, boolean)'::regprocedure)
    ORDER BY 1`);
  for (const { name } of rows) {
    const advice = `GRANT EXECUTE ON FUNCTION ${name} TO ${quoted}`;
    if (name.startsWith('pg_read_binary_file')) findings.warning('role', 'may not read WAL that is not archived yet: lost transactions cannot always be counted', advice);
    else findings.problem('role', `may not call ${name}, which a backup needs`, advice);
  }
}
