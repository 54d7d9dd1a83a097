import { createHash } from 'node:crypto';
import type { Client } from 'pg';
import type { CatalogObject } from '../../contracts/manifest.ts';
import { databaseQueries, globalGrantQueries, globalQueries, grantQueries, type CatalogQuery } from './catalog-queries.ts';
import { isHostTrouble } from './errors.ts';
import { libraryTrouble } from '../postgres/library-trouble.ts';
import { SALT, quickDigest, type ReadableSecrets } from './secrets.ts';

/** What a reading of the catalog depends on besides the server. */
export interface CatalogOptions {
  serverVersionNum: number;
  /** Hexadecimal; makes digests of secrets useless for tables made beforehand. */
  salt: string;
  /** What is left out where it says false. */
  secrets: ReadableSecrets;
  /**
   * Takes note of a kind that cannot be read without a library which the server cannot load, and of what that says; without this it is an error.
   * Such a query ends a transaction, so that there must be none.
   */
  onUnloaded?: (kind: string, said: string) => void;
}

/** What is not verified where definitions of a kind that {@link CatalogOptions.onUnloaded} noted are left out. */
export function whatIsUnloaded(kind: string): string {
  return `every ${kind} of a column, which ALTER TABLE … ADD COLUMN with a default leaves in the catalog`;
}

/**
 * Definitions and privileges in one database, one short hash per object; run it under the snapshot.
 *
 * Options of foreign servers and user mappings, and the connections of subscriptions, may hold passwords in clear: they
 * go into the hash of their object as a salted digest that is slow to guess.
 */
export async function readDatabaseCatalog(client: Client, options: CatalogOptions): Promise<CatalogObject[]> {
  return readObjects(client, [...databaseQueries, ...grantQueries], options);
}

const rolesWithPasswords: CatalogQuery = {
  kind: 'role', sql: `SELECT format('%I', x.rolname) AS identity, (to_jsonb(x) - 'rolpassword')::text || CASE
    WHEN x.rolpassword IS NULL THEN 'none' WHEN x.rolpassword LIKE 'SCRAM-SHA-256$%' THEN ${quickDigest('x.rolpassword')} ELSE 'some' END AS definition FROM pg_authid x`,
};
const rolesWithout: CatalogQuery = { kind: 'role', sql: `SELECT format('%I', x.rolname) AS identity, (to_jsonb(x) - ARRAY['rolpassword', 'rolconfig'])::text AS definition FROM pg_roles x` };

/**
 * Roles, memberships, settings, databases and tablespaces with their privileges.
 *
 * A password is never kept: a SCRAM verifier, itself salted, goes into the hash of its role together with the salt;
 * of an older verifier only whether there is one.
 */
export async function readGlobals(client: Client, options: CatalogOptions): Promise<CatalogObject[]> {
  return readObjects(client, [options.secrets.passwords ? rolesWithPasswords : rolesWithout, ...globalQueries, ...globalGrantQueries], options);
}

/** Hashed in the server: definitions are large, and the text of a function is nobody's business here. */
function hashing({ kind, sql }: CatalogQuery): string {
  return `SELECT ${kind === '' ? 'kind,' : ''} identity, left(encode(sha256(convert_to(coalesce(definition, ''), 'UTF8')), 'hex'), 16) AS hash FROM (${sql}) AS objects`;
}

/** A short hash of all that is asked of a catalog: a definition that was read by other queries has another hash, without any change of it. */
export const catalogMethod = createHash('sha256')
  .update(JSON.stringify([...databaseQueries, ...grantQueries, rolesWithPasswords, rolesWithout, ...globalQueries, ...globalGrantQueries].map((query) => ({ ...query, sql: hashing(query) })))).digest('hex').slice(0, 16);

/** Catalogs in which definitions of one kind stand, and the names by which they are known. */
export function catalogsOf(kind: string): string[] {
  const queries = [...databaseQueries, ...grantQueries, rolesWithPasswords, ...globalQueries, ...globalGrantQueries].filter((query) => query.kind === kind || (query.kind === '' && OF_PG_CLASS.has(kind)));
  return [...new Set(queries.flatMap(({ sql }) => sql.match(/\bpg_\w+/g) ?? []).map((name) => (name === 'pg_roles' ? 'pg_authid' : name)))];
}

/** What a row of `pg_class` may define. */
const OF_PG_CLASS: ReadonlySet<string> = new Set(['table', 'view', 'materialized view', 'sequence', 'index', 'foreign table', 'composite type']);

async function readObjects(client: Client, queries: readonly CatalogQuery[], { serverVersionNum, salt, secrets, onUnloaded }: CatalogOptions): Promise<CatalogObject[]> {
  const definitions = new Map<string, { kind: string; identity: string; hashes: string[] }>();
  const digits = salt.replaceAll(/[^0-9a-f]/g, '');
  for (const query of queries) {
    if (serverVersionNum < (query.minimumVersion ?? 0) || (query.secret !== undefined && !secrets[query.secret])) continue;
    const { rows } = await client.query<{ kind?: string; identity: string; hash: string }>(hashing(query).replaceAll(SALT, digits)).catch((error: unknown) => {
      const said = libraryTrouble(error);
      if (!onUnloaded || !query.callsTypes || said === undefined || isHostTrouble(error)) throw error;
      onUnloaded(query.kind, said);
      return { rows: [] };
    });
    for (const row of rows) {
      const kind = row.kind ?? query.kind;
      const key = `${kind} ${row.identity}`;
      const known = definitions.get(key);
      if (known) known.hashes.push(row.hash);
      else definitions.set(key, { kind, identity: row.identity, hashes: [row.hash] });
    }
  }
  // An index is described by two catalogs, for example: one object, one hash.
  return [...definitions.values()].map(({ kind, identity, hashes }) =>
    [kind, identity, hashes.length === 1 ? hashes[0] ?? '' : createHash('sha256').update(hashes.sort().join()).digest('hex').slice(0, 16)]);
}
