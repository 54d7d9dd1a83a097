import { stringify } from 'yaml';
import { CommandError, EXIT } from './exit.ts';

/** What a connection string says, without its password. */
export interface ParsedConnection { host: string; port: number; database: string; user: string; sslmode: 'disable' | 'require' | 'verify-full'; hasPassword: boolean }

const EXAMPLE = 'postgresql://user@host:5432/database';

/** @throws CommandError that never repeats the string, since it may hold a password */
export function parseConnectionString(text: string): ParsedConnection {
  let url: URL;
  try {
    url = new URL(text);
  } catch (cause) {
    throw new CommandError(EXIT.usage, `the connection string is not a URL; write it as in ${EXAMPLE}`, { cause });
  }
  if (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:') throw new CommandError(EXIT.usage, `the connection string must start with postgresql://, as in ${EXAMPLE}`);
  const decode = (part: string) => {
    try {
      return decodeURIComponent(part);
    } catch (cause) {
      throw new CommandError(EXIT.usage, `the connection string has a broken % escape; write it as in ${EXAMPLE}`, { cause });
    }
  };
  const user = decode(url.username) || url.searchParams.get('user') || 'postgres';
  return {
    // A socket directory is given as `?host=/run/postgresql`.
    host: url.searchParams.get('host') ?? (decode(url.hostname) || 'localhost'),
    port: Number(url.port || url.searchParams.get('port') || 5432),
    database: decode(url.pathname.slice(1)) || user,
    user,
    sslmode: sslmodeOf(url.searchParams.get('sslmode')),
    hasPassword: url.password !== '' || url.searchParams.has('password'),
  };
}

/** Weaker modes would connect without what they promise: they become the nearest one that holds. */
function sslmodeOf(mode: string | null): ParsedConnection['sslmode'] {
  if (mode === 'verify-full' || mode === 'verify-ca') return 'verify-full';
  return mode === 'require' ? 'require' : 'disable';
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
