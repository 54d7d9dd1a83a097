import type { Client } from 'pg';

/**
 * Databases that DROP DATABASE has begun to drop, names by oid. It marks them in place, which no snapshot hides, and
 * deletes them in its transaction, which a snapshot does hide: one that is seen and marked may lie unmarked in a copy at
 * the snapshot's position. Only one that was marked before the position was fixed, by a DROP that was interrupted, is so there too.
 */
export async function invalidDatabases(client: Client): Promise<Map<string, string>> {
  const { rows } = await client.query<{ oid: string; name: string }>('SELECT oid::text, datname AS name FROM pg_database WHERE datconnlimit = -2');
  return new Map(rows.map(({ oid, name }) => [oid, name]));
}
