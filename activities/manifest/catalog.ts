import { createHash } from 'node:crypto';
import type { Client } from 'pg';
import type { CatalogObject } from '../../contracts/manifest.ts';
import { databaseQueries, globalGrantQueries, globalQueries, grantQueries, type CatalogQuery } from './catalog-queries.ts';

/** Definitions and privileges in one database, one short hash per object; run it under the snapshot. */
export async function readDatabaseCatalog(client: Client, serverVersionNum: number): Promise<CatalogObject[]> {
  return readObjects(client, [...databaseQueries, ...grantQueries], serverVersionNum);
}

/**
 * Roles, memberships, settings, databases and tablespaces with their privileges.
 *
 * A password is never kept: a SCRAM verifier, itself salted, goes into the hash of its role together with `salt`;
 * of an older verifier only whether there is one. Without the right to read pg_authid passwords are left out.
 */
export async function readGlobals(client: Client, serverVersionNum: number, salt: string): Promise<{ objects: CatalogObject[]; passwords: boolean }> {
  const { rows } = await client.query<{ may: boolean }>(`SELECT has_table_privilege('pg_authid', 'SELECT') AS may`);
  const passwords = rows[0]?.may === true;
  const roles: CatalogQuery = passwords
    ? { kind: 'role', sql: `SELECT format('%I', x.rolname) AS identity, (to_jsonb(x) - 'rolpassword')::text || CASE
          WHEN x.rolpassword IS NULL THEN 'none' WHEN x.rolpassword LIKE 'SCRAM-SHA-256$%'
          THEN encode(sha256(convert_to('${salt.replaceAll(/[^0-9a-f]/g, '')}' || x.rolpassword, 'UTF8')), 'hex') ELSE 'some' END AS definition FROM pg_authid x` }
    : { kind: 'role', sql: `SELECT format('%I', x.rolname) AS identity, (to_jsonb(x) - ARRAY['rolpassword', 'rolconfig'])::text AS definition FROM pg_roles x` };
  return { objects: await readObjects(client, [roles, ...globalQueries, ...globalGrantQueries], serverVersionNum), passwords };
}

async function readObjects(client: Client, queries: readonly CatalogQuery[], serverVersionNum: number): Promise<CatalogObject[]> {
  const definitions = new Map<string, { kind: string; identity: string; hashes: string[] }>();
  for (const query of queries) {
    if (serverVersionNum < (query.minimumVersion ?? 0)) continue;
    // Hashed in the server: definitions are large, and the text of a function is nobody's business here.
    const { rows } = await client.query<{ kind?: string; identity: string; hash: string }>(
      `SELECT ${query.kind === '' ? 'kind,' : ''} identity, left(encode(sha256(convert_to(coalesce(definition, ''), 'UTF8')), 'hex'), 16) AS hash FROM (${query.sql}) AS objects`,
    );
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
