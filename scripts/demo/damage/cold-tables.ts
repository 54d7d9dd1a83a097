import { Client } from 'pg';
import type { ConnectionConfig } from '../production.ts';

/** A table that nothing writes to after the backup's start, so that no full-page image in the WAL heals what is broken in it. */
export interface ColdTable {
  /** As `pg_relation_filepath` says it. */
  path: string;
  pages: number;
  /** `schema.table`, for what a drill is expected to name. */
  name: string;
  /** Byte offset of a four-byte integer column in each row's data. */
  integerAt: number;
  /** Byte offset of a short numeric column in each row's data. */
  numericAt: number;
  /** Every row stands there twice, and neighbours: rows n and n+1 of a page. */
  duplicated: boolean;
}

/** Asks the production for its cold tables: all of schema `history`, which are laid out alike (int8, int4, int4, numeric, …). */
export async function readColdTables(config: ConnectionConfig): Promise<ColdTable[]> {
  const client = new Client(config);
  await client.connect();
  try {
    const { rows } = await client.query<{ path: string; pages: number; name: string; duplicated: boolean }>(
      `SELECT pg_relation_filepath(c.oid) AS path, (pg_relation_size(c.oid) / current_setting('block_size')::int)::int AS pages,
              format('%I.%I', n.nspname, c.relname) AS name, NOT EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid) AS duplicated
       FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE n.nspname = 'history' AND relkind = 'r' ORDER BY 3`);
    return rows.map((row) => ({ ...row, integerAt: 8, numericAt: 16 }));
  } finally {
    await client.end();
  }
}
