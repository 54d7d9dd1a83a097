import type { Client } from 'pg';

/**
 * The number of the database that a connection leads to. A database keeps it under each name and in each physical copy, and one that
 * was dropped and made anew has another. What a template gave to each of two databases is at the same places in both, and was written
 * by the same transactions: only this tells them apart. 0, which no database has, where the server has no row of it.
 */
export async function databaseNumber(client: Client): Promise<number> {
  const { rows: [row] } = await client.query<{ oid: number }>('SELECT oid::int8::float8 AS oid FROM pg_database WHERE datname = current_database()');
  return row?.oid ?? 0;
}
