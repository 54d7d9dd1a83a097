import type { WriterContext, WriterKind } from './writer-kind.ts';

/** An order that exists for sure while no writer deletes it, found through its key. */
async function anyOrder({ client, below }: WriterContext): Promise<{ id: string; placed_at: string } | undefined> {
  const { rows } = await client.query<{ id: string; placed_at: string }>(
    `SELECT id, placed_at::text FROM sales."order"
     WHERE id >= (SELECT (1 + $1::float8 / 1000000 * last_value)::bigint FROM sales.order_id) ORDER BY id LIMIT 1`, [below(1_000_000)]);
  return rows[0];
}

/** Inserts one order with one to five lines inside the current transaction; returns its id. */
export async function insertOrder({ client, below }: WriterContext, note: string | null): Promise<string> {
  const { rows } = await client.query<{ id: string; placed_at: string }>(
    `INSERT INTO sales."order" (customer_id, channel, note, details)
     SELECT 1 + $1::bigint % greatest((SELECT count FROM (SELECT max(id) AS count FROM sales.customer) c), 1), 'web', $2::text, jsonb_build_object('n', $1::bigint)
     RETURNING id, placed_at::text`, [below(1_000_000), note]);
  const order = rows[0];
  if (!order) throw new Error('an inserted order did not come back');
  await client.query(
    `INSERT INTO sales.order_line (order_id, placed_at, line_no, product_id, quantity, unit_price)
     SELECT $1, $2, l, 1 + ($3::int + l) % (SELECT max(id) FROM sales.product), 1 + l, 10 + l / 4.0 FROM generate_series(1, $4::int) l`,
    [order.id, order.placed_at, below(1_000_000), 1 + below(5)]);
  return order.id;
}

const inTransaction = (act: (context: WriterContext) => Promise<void>) => async (context: WriterContext) => {
  await context.client.query('BEGIN');
  await act(context);
  await context.client.query('COMMIT');
};

/** The shop's ordinary day. */
export const orderKinds: Record<string, WriterKind> = {
  newOrder: { weight: 30, act: inTransaction(async (context) => void (await insertOrder(context, null))) },
  updateStatus: {
    weight: 20,
    act: async (context) => {
      const order = await anyOrder(context);
      if (!order) return;
      await context.client.query(
        `UPDATE sales."order" SET status = (enum_range(NULL::sales.order_status))[1 + $3::int] WHERE id = $1 AND placed_at = $2`,
        [order.id, order.placed_at, context.below(6)]);
    },
  },
  changeLine: {
    weight: 8,
    act: async (context) => {
      const order = await anyOrder(context);
      if (!order) return;
      await context.client.query('UPDATE sales.order_line SET quantity = 1 + quantity % 9 WHERE order_id = $1 AND placed_at = $2',
        [order.id, order.placed_at]);
    },
  },
  deleteOrder: {
    weight: 4,
    act: async (context) => {
      const order = await anyOrder(context);
      if (order) await context.client.query('DELETE FROM sales."order" WHERE id = $1 AND placed_at = $2', [order.id, order.placed_at]);
    },
  },
  updateJson: {
    weight: 8,
    act: async ({ client, below }) => {
      await client.query(
        `UPDATE sales.product SET attributes = jsonb_set(attributes, '{seen}', to_jsonb(coalesce((attributes->>'seen')::bigint, 0) + 1)), sizes = sizes[1:3] || $1::int
         WHERE id = 1 + $2::int % (SELECT max(id) FROM sales.product)`, [below(50), below(1_000_000)]);
    },
  },
  newCustomer: {
    weight: 4,
    act: async ({ client, random, below }) => {
      await client.query(
        `INSERT INTO sales.customer (ref, name, email, region, credit, score, address, tags, member_during)
         VALUES (gen_random_uuid(), 'New Customer', $1, 'west', $2::int, $3, '{"city": "Bergen"}', ARRAY['new'], tstzrange(now(), NULL))`,
        [`New${below(1_000_000_000)}@example.com`, below(100), random()]);
    },
  },
  scanEvents: {
    weight: 8,
    act: async ({ client, below }) => {
      await client.query(`INSERT INTO ops.scan_event SELECT date_trunc('second', now()), 'station 1', $1::int, 0.5 FROM generate_series(1, 2)`, [below(100)]);
    },
  },
  heartbeat: {
    weight: 10,
    act: async ({ client, writer }) => {
      await client.query(
        `INSERT INTO ops.heartbeat AS h VALUES ($1, clock_timestamp(), 1)
         ON CONFLICT (id) DO UPDATE SET at = clock_timestamp(), counter = h.counter + 1`, [writer + 1]);
    },
  },
  cachePage: {
    weight: 3,
    act: async ({ client, below }) => {
      await client.query(`INSERT INTO ops.page_cache (key, body) VALUES ($1, 'body') ON CONFLICT (key) DO UPDATE SET at = now()`, [`page ${below(2000)}`]);
    },
  },
};
