import { Client } from 'pg';
import type { ConnectionConfig } from './production.ts';
import { rowJobs } from './load-rows.ts';
import { schemaKeys, schemaRules } from './schema-rules.ts';
import { createSchema, monthStart } from './schema.ts';

/** Where the shop goes, and how large it gets. */
export interface LoadShopInput {
  config: ConnectionConfig;
  tablespaceDirectory: string;
  /** 1 is about 300 MB; sizes grow in proportion. Default 1. */
  scale?: number;
  /** Same seed, scale and anchor: same rows. Default 1. */
  seed?: number;
  /** Default: now. Only its month (UTC) counts. */
  anchor?: Date;
  /** Connections at a time. Default 3. */
  connections?: number;
  log?: (line: string) => void;
}

/** `seconds` that it took, `databaseBytes` that it came to, by PostgreSQL's own account. */
export interface LoadShopResult {
  seconds: number;
  databaseBytes: number;
  orders: number;
}

/** Fills an empty database with the shop: schema, rows made in the server, then keys, rules and statistics. */
export async function loadShop(input: LoadShopInput): Promise<LoadShopResult> {
  const { config, scale = 1, seed = 1, connections = 3, log = () => {} } = input;
  const begun = performance.now();
  const seconds = () => (performance.now() - begun) / 1000;
  const anchor = input.anchor ?? new Date();
  await createSchema({ config, tablespaceDirectory: input.tablespaceDirectory, anchor });
  log(`schema after ${seconds().toFixed(1)} s`);
  const orders = Math.max(2000, Math.round(220_000 * scale));
  const jobs = rowJobs({ orders, seed, from: monthStart(anchor, -12), until: monthStart(anchor, 0) });
  await inParallel(config, connections, jobs);
  log(`rows after ${seconds().toFixed(1)} s`);
  await inParallel(config, connections, schemaKeys);
  log(`keys after ${seconds().toFixed(1)} s`);
  const client = await connect(config);
  try {
    await client.query(`SELECT setval('sales.order_id', ${orders + 1})`);
    await client.query(schemaRules);
    // Frozen at once: later reading sets no hint bits, so that no full-page image of a cold page gets into the WAL.
    await client.query('VACUUM (FREEZE, ANALYZE) history.shipment, history.price, history.scan');
    await client.query('ANALYZE sales.customer, sales.product, sales.order_line');
    const { rows } = await client.query<{ size: string }>('SELECT pg_database_size(current_database()) AS size');
    log(`ready after ${seconds().toFixed(1)} s`);
    return { seconds: seconds(), databaseBytes: Number(rows[0]?.size), orders };
  } finally {
    await client.end();
  }
}

async function connect(config: ConnectionConfig): Promise<Client> {
  const client = new Client(config);
  await client.connect();
  await client.query("SET timezone = 'UTC'; SET maintenance_work_mem = '256MB'; SET max_parallel_maintenance_workers = 0");
  return client;
}

/** Runs the jobs in order of the list, that many at a time, each on its own connection; the first error ends all. */
async function inParallel(config: ConnectionConfig, connections: number, jobs: readonly string[]): Promise<void> {
  const waiting = [...jobs];
  const work = async () => {
    const client = await connect(config);
    try {
      for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) await client.query(job);
    } catch (error) {
      waiting.length = 0;
      throw error;
    } finally {
      await client.end();
    }
  };
  await Promise.all(Array.from({ length: Math.min(connections, jobs.length) }, work));
}
