import type { WriterContext, WriterKind } from './writer-kind.ts';
import { insertOrder } from './order-kinds.ts';

/** Begins, prepares, and ends a two-phase transaction of its own name after a short while. */
async function twoPhase(context: WriterContext, end: 'COMMIT' | 'ROLLBACK'): Promise<void> {
  const { client, below, wait } = context;
  const name = client.escapeLiteral(`shop ${context.session} ${context.writer} ${Date.now().toString(36)} ${below(1_000_000)}`);
  await client.query('BEGIN');
  await insertOrder(context, 'two-phase');
  await client.query(`PREPARE TRANSACTION ${name}`);
  try {
    await wait(10 + below(60));
  } finally {
    await client.query(`${end} PREPARED ${name}`);
  }
}

/** The kinds of transaction that are hard on snapshots, slots and recovery. */
export const transactionKinds: Record<string, WriterKind> = {
  savepointRollback: {
    weight: 8,
    act: async (context) => {
      const { client } = context;
      await client.query('BEGIN');
      await insertOrder(context, 'kept');
      for (let depth = 0; depth < 4; depth += 1) {
        await client.query(`SAVEPOINT attempt`);
        await insertOrder(context, 'savepoint');
        await client.query(depth % 2 === 0 ? 'ROLLBACK TO attempt' : 'RELEASE attempt');
      }
      await client.query('COMMIT');
    },
  },
  rollback: {
    weight: 3,
    act: async (context) => {
      await context.client.query('BEGIN');
      await insertOrder(context, 'never seen');
      await context.client.query('ROLLBACK');
    },
  },
  longTransaction: {
    weight: 1,
    act: async (context) => {
      await context.client.query('BEGIN');
      for (let part = 0; part < 4; part += 1) {
        await insertOrder(context, 'long');
        await context.wait(100 + context.below(150));
      }
      await context.client.query('COMMIT');
    },
  },
  twoPhaseCommit: { weight: 3, act: async (context) => await twoPhase(context, 'COMMIT') },
  twoPhaseRollback: { weight: 1, act: async (context) => await twoPhase(context, 'ROLLBACK') },
  largeObjectNew: {
    weight: 2,
    act: async ({ client, below }) => {
      await client.query(
        `INSERT INTO ops.document (title, content) VALUES ('Written', lo_from_bytea(0, convert_to(repeat('data ' || $1::int, 500), 'UTF8')))`, [below(1000)]);
    },
  },
  largeObjectWrite: {
    weight: 3,
    act: async ({ client, below }) => {
      await client.query(
        `SELECT lo_put(content, $1, decode('00112233', 'hex')) FROM ops.document
         WHERE id = 1 + $2::int % 100`, [below(2000), below(1000)]);
    },
  },
  largeObjectDelete: {
    weight: 1,
    act: async ({ client }) => {
      await client.query(
        `WITH gone AS (DELETE FROM ops.document WHERE id = (SELECT id FROM ops.document WHERE id > 120 ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
           RETURNING content) SELECT lo_unlink(content) FROM gone`);
    },
  },
};
