import { stringify } from 'yaml';
import { CommandError, EXIT } from './exit.ts';

/** What a connection string says, without its password. */
export interface ParsedConnection { host: string; port: number; database: string; user: string; sslmode: 'disable' | 'require' | 'verify-full'; hasPassword: boolean }

const EXAMPLE = 'postgresql://user@host:5432/database';

/** @throws CommandError that never repeats the string, since it may hold a password */
export function parseConnectionString(text: string): ParsedConnection {
  const refuse = (sentence: string, cause?: unknown) => new CommandError(EXIT.usage, `the connection string ${sentence}; write it as in ${EXAMPLE}`, { cause });
  let url: URL;
  try {
    url = new URL(text);
  } catch (cause) {
    throw refuse('is not a URL', cause);
  }
  if (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:') throw refuse('must start with postgresql://');
  // A password with one of these in it would be taken apart, and its rest written into the file as host, port or database.
  if (text.includes('#') || /@/.test(`${url.pathname}${url.search}`)) throw refuse('has a # or an @ where none can be: in a user or password, write # as %23, / as %2F, ? as %3F and @ as %40');
  const decode = (part: string) => {
    try {
      return decodeURIComponent(part);
    } catch (cause) {
      throw refuse('has a broken % escape', cause);
    }
  };
  const user = decode(url.username) || url.searchParams.get('user') || 'postgres';
  // A socket directory is given as `?host=/run/postgresql`. An IPv6 address stands in brackets only in a URL.
  const host = url.searchParams.get('host') ?? (decode(url.hostname).replace(/^\[(.*)\]$/, '$1') || 'localhost');
  if (host.includes(',')) throw refuse('names several hosts: name the one whose backups are tested');
  const port = url.port || url.searchParams.get('port') || '5432';
  if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535) throw refuse('has a port that is no number from 1 to 65535');
  return {
    host, user,
    port: Number(port),
    database: decode(url.pathname.slice(1)) || user,
    sslmode: sslmodeOf(url.searchParams.get('sslmode')),
    hasPassword: url.password !== '' || url.searchParams.has('password'),
  };
}

/** What each mode of PostgreSQL's own clients becomes: weaker ones would connect without what they promise, so they become the nearest one that holds. */
const SSLMODES: Record<string, ParsedConnection['sslmode']> = { disable: 'disable', allow: 'disable', prefer: 'disable', require: 'require', 'verify-ca': 'verify-full', 'verify-full': 'verify-full' };

function sslmodeOf(mode: string | null): ParsedConnection['sslmode'] {
  const known = Object.hasOwn(SSLMODES, mode ?? 'disable') ? SSLMODES[mode ?? 'disable'] : undefined;
  if (known === undefined) throw new CommandError(EXIT.usage, `the connection string has an sslmode that is not known; there are ${Object.keys(SSLMODES).join(', ')}`);
  return known;
}

/** The text of a first `runbooks.yaml` for one database. */
export function firstConfiguration(connection: ParsedConnection, chosenName?: string): { name: string; text: string; passwordFile: string } {
  const name = chosenName ?? targetName(connection.database);
  if (!/^[a-z0-9][a-z0-9_-]{0,40}$/.test(name)) throw new CommandError(EXIT.usage, `"${name}" cannot name a database here; use a-z, 0-9, _ and - with --name`);
  const passwordFile = `${name}.password`;
  const value = (text: string) => stringify(text).trim();
  const text = `# Made by \`runbook init\`. Every setting is explained in runbooks.example.yaml; relative paths count from this file.
version: 1
evidence:
  directory: ./evidence
databases:
  ${name}:
    connection:
      host: ${value(connection.host)}
      port: ${connection.port}
      database: ${value(connection.database)}
      user: ${value(connection.user)}
      # The password is never written here: put it into this file, readable by the worker's user only.
      passwordFile: ./${passwordFile}
      sslmode: ${connection.sslmode}
    provider:
      kind: archive
      # Where base backups of this database are, and where archive_command puts its WAL.
      repository: ./backups/${name}
      walDirectory: ./backups/${name}/wal
    # What the business was promised; the verdict compares with it.
    # objectives: { rto: 1h, rpo: 5m }
    # Who must say yes before a drill starts.
    # gates: { start: { approvers: [alice, bob] } }
`;
  return { name, text, passwordFile };
}

function targetName(database: string): string {
  return database.toLowerCase().replaceAll(/[^a-z0-9_-]+/g, '-').replace(/^[^a-z0-9]+/, '').slice(0, 41) || 'main';
}
