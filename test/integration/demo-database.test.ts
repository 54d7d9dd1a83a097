import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findPostgres } from '../../activities/postgres/binaries.ts';
import { loadShop } from '../../scripts/demo/load.ts';
import { startProduction, type Production } from '../../scripts/demo/production.ts';
import { startWriters, writerKindNames } from '../../scripts/demo/writers.ts';
import { PATIENT } from '../support/patience.ts';

const anchor = new Date('2026-06-01T00:00:00Z');
let root: string;
let production: Production;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'demo-database-'));
  production = await startProduction({ root, binaries: await findPostgres({ major: 18 }), log: () => {} });
  await loadShop({ config: production.config, tablespaceDirectory: production.tablespaceDirectory, scale: 0.02, anchor });
});

afterAll(async () => {
  await production?.stop();
  await production?.stop(); // can be called twice
  await rm(root, { recursive: true, force: true });
});

/** One query on a connection of its own. */
async function ask<Row extends object>(sql: string, values: unknown[] = []): Promise<Row[]> {
  const client = new Client(production.config);
  await client.connect();
  return await client.query<Row>(sql, values).then((result) => result.rows).finally(() => client.end());
}

async function eventually<T>(look: () => Promise<T | undefined>): Promise<T> {
  const until = performance.now() + PATIENT.timeout;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > until) throw new Error('it did not happen');
    await new Promise((done) => setTimeout(done, 50));
  }
}

const rowHashes = async () => await ask(
  `SELECT 'line' AS t, sum(hashtextextended(t::text, 0))::text AS h FROM sales.order_line t
   UNION ALL SELECT 'order', sum(hashtextextended(t::text, 0))::text FROM sales."order" t
   UNION ALL SELECT 'customer', sum(hashtextextended(t::text, 0))::text FROM sales.customer t
   UNION ALL SELECT 'product', sum(hashtextextended(t::text, 0))::text FROM sales.product t
   UNION ALL SELECT 'shipment', sum(hashtextextended(t::text, 0))::text FROM history.shipment t ORDER BY 1`);

test('the shop has one of everything that a restore must bring back', async () => {
  const count = async (sql: string) => Number((await ask<{ n: string }>(`SELECT count(*) AS n FROM ${sql}`))[0]?.n);
  expect(await count(`pg_inherits WHERE inhparent = 'sales."order"'::regclass`)).toBe(16);
  expect(await count(`pg_class WHERE relkind = 'm'`)).toBeGreaterThanOrEqual(2);
  expect(await count(`pg_class WHERE relkind = 'v' AND relnamespace = 'sales'::regnamespace`)).toBeGreaterThanOrEqual(2);
  expect(await count(`pg_class WHERE relpersistence = 'u' AND relkind = 'r'`)).toBe(1);
  expect(await count(`pg_class WHERE relkind = 'r' AND reltablespace = (SELECT oid FROM pg_tablespace WHERE spcname = 'shop_archive')`)).toBe(1);
  expect(await count(`pg_policy`)).toBe(3);
  expect(await count(`pg_trigger WHERE NOT tgisinternal`)).toBeGreaterThanOrEqual(2);
  expect(await count(`pg_attribute WHERE attgenerated = 's' AND attrelid >= 16384`)).toBeGreaterThanOrEqual(3);
  expect(await count(`pg_collation WHERE NOT collisdeterministic`)).toBeGreaterThanOrEqual(1);
  expect(await count(`pg_extension`)).toBeGreaterThanOrEqual(5);
  expect(await count(`pg_largeobject_metadata`)).toBe(120);
  expect(await count(`"Back Office"."Größe & Farbe"`)).toBe(500);
  expect(await count(`sales."order" WHERE total <> sales.order_total(id, placed_at)`)).toBe(0);
});

test('the same seed makes the same rows', async () => {
  const before = await rowHashes();
  const second = await mkdtemp(join(tmpdir(), 'demo-database-'));
  const twin = await startProduction({ root: second, binaries: await findPostgres({ major: 18 }), log: () => {} });
  const first = production;
  try {
    await loadShop({ config: twin.config, tablespaceDirectory: twin.tablespaceDirectory, scale: 0.02, anchor });
    production = twin;
    expect(await rowHashes()).toEqual(before);
  } finally {
    production = first;
    await twin.stop();
    await rm(second, { recursive: true, force: true });
  }
});

test('TCP asks for the password, and the socket is private', async () => {
  const tcp = { host: '127.0.0.1', port: production.port, user: production.superuser.user, database: production.database };
  await expect(new Client({ ...tcp, password: 'wrong' }).connect()).rejects.toMatchObject({ code: '28P01' });
  const client = new Client({ ...tcp, password: production.superuser.password });
  await client.connect();
  await client.end();
  expect((await stat(production.socketDirectory)).mode & 0o777).toBe(0o700);
  const [settings] = await ask(`SELECT current_setting('data_checksums') c, current_setting('wal_level') w, current_setting('archive_mode') a,
    current_setting('max_prepared_transactions') p, current_setting('track_commit_timestamp') t`);
  expect(settings).toEqual({ c: 'on', w: 'logical', a: 'on', p: '20', t: 'off' });
});

test('the archive gets whole segments only, and never overwrites one with other bytes', async () => {
  const archive = production.archiveDirectory;
  // Where nothing was written since the last switch, there is none.
  await ask(`SELECT pg_logical_emit_message(true, 'test', 'something to archive')`);
  const [switched] = await ask<{ name: string }>(`SELECT pg_walfile_name(pg_switch_wal()) AS name`);
  const name = switched?.name ?? '';
  await eventually(async () => (existsSync(join(archive, name)) ? true : undefined));
  expect((await stat(join(archive, name))).size).toBe(16 * 1024 * 1024);
  const script = join(production.dataDirectory, '../archive-wal');
  const source = join(root, "a segment's source");
  await writeFile(source, await readFile(join(archive, name)));
  execFileSync('/bin/sh', [script, source, name]); // the same again counts as archived
  await writeFile(source, 'other bytes');
  expect(() => execFileSync('/bin/sh', [script, source, name], { stdio: 'pipe' })).toThrow(/exists with other bytes/);
  expect((await stat(join(archive, name))).size).toBe(16 * 1024 * 1024);
  await eventually(async () => ((await readdir(archive)).some((file) => file.includes('.partial.')) ? undefined : true));
});

test('writers do at least five of every kind, keep the totals right, and leave nothing prepared', async () => {
  let error: Error | undefined;
  const writers = await startWriters({ config: production.config, count: 6, seed: 7, inProcess: true, onError: (failed) => void (error = failed) });
  await eventually(async () => (error || writerKindNames.every((name) => (writers.counts().done[name] ?? 0) >= 5) ? true : undefined));
  const counts = await writers.stop();
  expect(error).toBeUndefined();
  expect(Object.keys(counts.done).sort()).toEqual([...writerKindNames].sort());
  expect(await ask(`SELECT FROM pg_prepared_xacts`)).toEqual([]);
  expect(await ask(`SELECT id FROM sales."order" WHERE total <> sales.order_total(id, placed_at)`)).toEqual([]);
  expect(await ask(`SELECT relname FROM pg_class WHERE relname LIKE 'Scratch%'`)).toEqual([]);
  expect(await ask(`SELECT FROM pg_stat_activity WHERE application_name = 'shop-writer'`)).toEqual([]);
});

test('writers keep to the kinds and the rate they were given', async () => {
  const writers = await startWriters({
    config: production.config, count: 3, seed: 1, kinds: ['heartbeat', 'stage'], opsPerSecond: 60, inProcess: true, onError: () => {},
  });
  await new Promise((done) => setTimeout(done, 2000));
  const counts = await writers.stop();
  expect(Object.keys(counts.done)).toEqual(['heartbeat', 'stage']);
  expect(counts.total).toBeGreaterThan(90);
  expect(counts.total).toBeLessThanOrEqual(126);
});

test('writers die loudly when the database says what nobody expected', async () => {
  let error: Error | undefined;
  const writers = await startWriters({
    config: production.config, count: 2, seed: 1, kinds: ['heartbeat'], inProcess: true, onError: (failed) => void (error = failed),
  });
  await ask(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'shop-writer' LIMIT 1`);
  expect((await eventually(async () => error)).message).toBe("the writer's heartbeat failed");
  await expect(writers.stop()).rejects.toThrow("the writer's heartbeat failed");
  await expect(startWriters({ config: production.config, count: 1, seed: 1, kinds: ['nonsense'], inProcess: true, onError: () => {} }))
    .rejects.toThrow(/no kind of writing "nonsense"/);
});

const built = resolve('dist/scripts/demo/writers.js');

test.skipIf(!existsSync(built))('the process of the writers ends in order when its parent is killed', async () => {
  const program = `const { startWriters } = await import(${JSON.stringify(built)});
    const writers = await startWriters({ config: ${JSON.stringify(production.config)}, count: 3, seed: 1, onError: () => {} });
    console.log(writers.pid); setInterval(() => {}, 1000)`;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const pid = await new Promise<number>((told) => parent.stdout.once('data', (line: Buffer) => told(Number(line))));
  await new Promise((done) => setTimeout(done, 500));
  parent.kill('SIGKILL');
  await eventually(async () => (existsSync(`/proc/${pid}`) ? undefined : true));
  expect(await ask(`SELECT FROM pg_prepared_xacts`)).toEqual([]);
  await eventually(async () => (await ask(`SELECT FROM pg_stat_activity WHERE application_name = 'shop-writer'`)).length === 0 || undefined);
});
