import type { Client } from 'pg';
import type { WriterContext, WriterKind } from './writer-kind.ts';

/**
 * Runs a statement that needs a strong lock in a transaction with a short lock time-out, so that it never stands in
 * front of all other work behind somebody's long transaction. A time-out is counted as a retry.
 */
async function withShortLock(client: Client, ...statements: string[]): Promise<void> {
  await client.query('BEGIN');
  await client.query(`SET LOCAL lock_timeout = '500ms'`);
  for (const statement of statements) await client.query(statement);
  await client.query('COMMIT');
}

const scratchName = ({ client, writer, session }: WriterContext) => `ops.${client.escapeIdentifier(`Scratch ${session} ${writer}`)}`;

/** Changes of definitions, of files, and of what transactions do not cover. Seldom drawn. */
export const ddlKinds: Record<string, WriterKind> = {
  stage: {
    weight: 4,
    act: async ({ client, below }) => {
      await client.query(`INSERT INTO ops.staging (payload) SELECT jsonb_build_object('row', i, 'of', $1::int) FROM generate_series(1, 20) i`, [below(1000)]);
    },
  },
  truncate: { weight: 1, act: async ({ client }) => await withShortLock(client, 'TRUNCATE ops.staging') },
  rewritingAlter: {
    weight: 1,
    act: async ({ client, below }) => {
      const type = ['integer', 'bigint', 'numeric(20,4)'][below(3)] ?? 'bigint';
      await withShortLock(client, `ALTER TABLE ops.reshaped ALTER amount TYPE ${type} USING (amount + 1)::${type}`);
    },
  },
  addDropColumn: {
    weight: 1,
    act: async ({ client }) => {
      await withShortLock(client, `ALTER TABLE ops.reshaped ADD IF NOT EXISTS extra text DEFAULT 'extra'`);
      await withShortLock(client, 'ALTER TABLE ops.reshaped DROP COLUMN IF EXISTS extra');
    },
  },
  refresh: { weight: 1, act: async ({ client }) => await withShortLock(client, 'REFRESH MATERIALIZED VIEW ops.tier_count') },
  createTable: {
    weight: 1,
    act: async (context) => {
      const name = scratchName(context);
      await withShortLock(context.client, `CREATE TABLE IF NOT EXISTS ${name} (id integer PRIMARY KEY, body text)`,
        `INSERT INTO ${name} SELECT i, 'body ' || i FROM generate_series(1, 200) i ON CONFLICT DO NOTHING`);
    },
  },
  dropTable: { weight: 1, act: async (context) => await withShortLock(context.client, `DROP TABLE IF EXISTS ${scratchName(context)}`) },
  createDropIndex: {
    weight: 1,
    act: async ({ client }) => {
      await withShortLock(client, 'DROP INDEX IF EXISTS ops.reshaped_label', 'CREATE INDEX reshaped_label ON ops.reshaped (label)');
    },
  },
  replaceFunction: {
    weight: 1,
    act: async ({ client, below }) => {
      await withShortLock(client, `CREATE OR REPLACE FUNCTION ops.moving() RETURNS integer LANGUAGE sql IMMUTABLE RETURN ${below(1000)}`);
    },
  },
  advanceSequence: {
    weight: 3,
    act: async ({ client, below }) => {
      await client.query(`SELECT count(nextval('sales.order_id')) FROM generate_series(1, $1::int)`, [1 + below(80)]);
    },
  },
};
