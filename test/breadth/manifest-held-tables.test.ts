import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { TableLocks } from '../../activities/manifest/table-locks.ts';
import { clientFor } from '../../activities/postgres/source.ts';
import { CREATE_BACKUP_ROLE, SOON_MS, tablesOf, takeIntercepted, timed as timedOn } from '../support/intercepted-manifest.ts';
import { startCluster, type Server } from '../support/postgres.ts';

/** More than lockers, so that some hold one table while they lock another. */
const PARTS = 12;
const names = Array.from({ length: PARTS }, (_, index) => `part_${String(index).padStart(2, '0')}`);

let server: Server;
const run = (sql: string): Promise<unknown> => server.withClient('postgres', (client) => client.query(sql));
const timed = (sql: string): Promise<number> => timedOn(server, sql);
const REWRITE = 'ALTER TABLE whole ALTER v TYPE bigint';

beforeAll(async () => {
  server = await startCluster({ logical: true });
  await run(CREATE_BACKUP_ROLE);
});
afterAll(() => server.stop());
beforeEach(() => run(`
  DROP TABLE IF EXISTS whole, small;
  CREATE TABLE small AS SELECT g AS id FROM generate_series(1, 100) g;
  CREATE TABLE whole (id int, v int, filler text) PARTITION BY LIST (id);
  ${names.map((name, index) => `CREATE TABLE ${name} PARTITION OF whole FOR VALUES IN (${index})`).join('; ')};
  INSERT INTO whole SELECT g % ${PARTS}, g, repeat('x', 800) FROM generate_series(1, 3000) g`));

/** All parts race once; from then on they are held. */
function racingOnce(): (text: string) => Promise<boolean> {
  let raced: Promise<unknown> | undefined;
  return async (text) => {
    if (raced || !text.includes('"part_')) return raced !== undefined;
    raced = run(REWRITE);
    await raced;
    return false;
  };
}
const lockedPart = (text: string): string | undefined => /^SAVEPOINT held; LOCK TABLE ONLY "public"\."(part_\d+)"/.exec(text)?.[1];

test('who wants many tables that are held waits once, and not for each of them', async () => {
  const haveRaced = racingOnce();
  let meanwhile: Promise<number[]> | undefined;
  const manifest = await takeIntercepted(server, async ({ text }) => {
    if (await haveRaced(text) && text.includes('"part_') && text.includes('count(*)')) {
      meanwhile ??= Promise.all([timed('TRUNCATE whole'), sleep(300).then(() => timed('SELECT count(*) FROM part_11'))]);
      await sleep(400);
    }
    return text;
  });
  // One by one, twelve of them would take more than twelve seconds.
  for (const ms of await meanwhile ?? [Infinity]) expect(ms).toBeLessThan(SOON_MS + 3_000);
  expect(tablesOf(manifest)).toContain('small');
  const leftOut = manifest.notVerified.filter(({ byDesign }) => !byDesign);
  expect(leftOut.length).toBeGreaterThan(2);
  for (const { why } of leftOut) expect(why).toMatch(/^role \w+ \(process \d+\) waited for [12]\.\d s for public\.part_\d+, which the reading had locked; .*\(manifest\.maxBlocking\)|, having waited before, waited for \d\.\d s for public\.part_/);
  // Not by a socket that is gone, which the server notices later.
  expect(server.log()).toContain('terminating connection due to administrator command');
});

test('one that is let go while it locks more costs its tables, and not the manifest', async () => {
  const haveRaced = racingOnce();
  let meanwhile: Promise<number> | undefined;
  const locked = new Map<Client, string>();
  const manifest = await takeIntercepted(server, async ({ text, client, run: query }) => {
    const part = lockedPart(text);
    if (!await haveRaced(text) || part === undefined) return text;
    const first = locked.get(client);
    locked.set(client, first ?? part);
    if (first !== undefined && !meanwhile) {
      meanwhile = timed(`TRUNCATE ${first}`);
      await query('SELECT pg_sleep(6)');
    }
    return text;
  });
  expect(await meanwhile).toBeLessThan(SOON_MS);
  expect(manifest.cost.restarts).toHaveLength(1);
  expect(manifest.notVerified.filter(({ byDesign }) => !byDesign)).toHaveLength(2);
  expect(tablesOf(manifest).filter((name) => name.startsWith('part_'))).toHaveLength(PARTS - 2);
});

test('one that holds tables waits for no other long enough for a deadlock', async () => {
  const haveRaced = racingOnce();
  let meanwhile: Promise<unknown> | undefined;
  const locked = new Map<Client, string>();
  const manifest = await takeIntercepted(server, async ({ text, client }) => {
    const part = lockedPart(text);
    if (!await haveRaced(text) || part === undefined) return text;
    const first = locked.get(client);
    locked.set(client, first ?? part);
    if (first !== undefined && !meanwhile) {
      meanwhile = timed(`BEGIN; LOCK TABLE ${part} IN ACCESS EXCLUSIVE MODE; LOCK TABLE ${first} IN ACCESS EXCLUSIVE MODE; COMMIT`).catch((error: unknown) => error);
      await sleep(300);
    }
    return text;
  }, { lockTimeoutMs: 3_000, maxBlockingMs: 3_000 });
  expect(await meanwhile).toBeLessThan(SOON_MS + 2_000);
  expect(server.log()).not.toContain('deadlock detected');
  expect(tablesOf(manifest)).toContain('small');
});

test.each([['measured', 'pg_table_size'], ['read', 'count(*)']])('a lock that is refused while a table is %s costs nothing of another one that the same connection holds', async (_, sign) => {
  const haveRaced = racingOnce();
  let isRefused = false;
  const manifest = await takeIntercepted(server, async ({ text }) => {
    if (!await haveRaced(text) || isRefused || !text.includes('"part_00"') || !text.includes(sign)) return text;
    isRefused = true;
    return text.replace('; SELECT', () => `; DO $$ BEGIN PERFORM pg_sleep(0.1); RAISE EXCEPTION USING ERRCODE = 'lock_not_available', MESSAGE = 'an index of it is locked'; END $$; SELECT`);
  }, { connections: 2 });
  expect(isRefused).toBe(true);
  expect(manifest.cost.restarts).toHaveLength(1);
  expect(tablesOf(manifest)).toEqual(expect.arrayContaining([...names, 'small']));
});

/** Takes a manifest in which somebody works on an index of a held table of several buckets from right before it is read; `took`: how long that took them, or why it failed. */
async function takeWhileReindexing(then: string, limits: Parameters<typeof takeIntercepted>[2] = {}) {
  await run('CREATE INDEX part_03_v ON part_03 (v); INSERT INTO whole SELECT 3, g, repeat($$x$$, 800) FROM generate_series(1, 1000) g');
  const haveRaced = racingOnce();
  let meanwhile: Promise<unknown> | undefined;
  const manifest = await takeIntercepted(server, async ({ text }) => {
    if (await haveRaced(text) && !meanwhile && text.includes('"part_03"') && text.includes('count(*)')) {
      meanwhile = timed(`BEGIN; REINDEX INDEX part_03_v; ${then}; COMMIT`).catch((error: unknown) => error);
      await sleep(300);
    }
    return text;
  }, limits);
  return { manifest, took: await meanwhile };
}

test('one that holds a table and is refused a part of it waits for no other part, so that who wants the table is in no deadlock', async () => {
  const { manifest, took } = await takeWhileReindexing('LOCK TABLE part_03 IN ACCESS EXCLUSIVE MODE', { maxBlockingMs: 3_000 });
  expect(took).toBeLessThan(SOON_MS + 2_000);
  expect(server.log()).not.toContain('deadlock detected');
  expect(tablesOf(manifest)).toContain('small');
});

test('a part that is read later is followed by the rest of its table', async () => {
  const { manifest, took } = await takeWhileReindexing('SELECT pg_sleep(1.5)');
  expect(took).toBeGreaterThan(1_500);
  expect(manifest.notVerified.filter(({ byDesign }) => !byDesign)).toEqual([]);
  expect(manifest.databases[0]?.tables.find(({ name }) => name === 'part_03')?.rows).toBe(1_250);
});

test('one that was refused a table waits for none of the others that it is to hold', async () => {
  const tables = Array.from({ length: 328 }, (_, index) => ({ schema: 'public', name: `many_${index}`, lock: `LOCK TABLE ONLY public.many_${index} IN ACCESS SHARE MODE` }));
  await run(tables.map(({ name }) => `CREATE TABLE ${name} ()`).join(';'));
  const open = async (): Promise<Client> => { const client = clientFor(server.config()); await client.connect(); return client; };
  // Each of the eight has one that is free, and forty that are not, with a wait of 100 ms for each.
  const locks = await TableLocks.prepare({ open, close: (client) => client.end(), tables });
  try {
    await server.withClient('postgres', async (client) => {
      await client.query(`BEGIN; ${tables.slice(8).map(({ name }) => `LOCK TABLE ${name} IN ACCESS EXCLUSIVE MODE`).join(';')}`);
      const started = performance.now();
      await locks.lockAndImport(async () => undefined);
      expect(performance.now() - started).toBeLessThan(2_000);
    });
    expect(tables.filter((table) => locks.lockerOf(table)).map(({ name }) => name)).toEqual(tables.slice(0, 8).map(({ name }) => name));
  } finally { await locks.releaseAll(); }
  await run(tables.map(({ name }) => `DROP TABLE ${name}`).join(';'));
});

test('nothing else that the reading waits for keeps it from looking who waits', async () => {
  await run('CREATE SEQUENCE IF NOT EXISTS numbers');
  const haveRaced = racingOnce();
  let areHeld = false;
  let isThrough = false;
  let meanwhile: Promise<number> | undefined;
  const manifest = await takeIntercepted(server, async ({ text, run: query }) => {
    const raced = await haveRaced(text);
    if (raced && lockedPart(text) !== undefined) areHeld = true;
    // As where somebody has locked a sequence whose position is read.
    if (areHeld && !meanwhile && text.includes('last_value')) {
      await query('SELECT pg_sleep(3)');
      meanwhile = timed('TRUNCATE part_03').finally(() => { isThrough = true; });
    }
    if (meanwhile && !isThrough && text.includes('"part_') && text.includes('count(*)')) await sleep(100);
    return text;
  });
  expect(await meanwhile).toBeLessThan(SOON_MS);
  expect(tablesOf(manifest)).toContain('small');
});

test('who waits behind a command CONCURRENTLY that waits for what holds a table costs what that holds, and not the manifest', async () => {
  await run('CREATE INDEX part_03_v ON part_03 (v)');
  const haveRaced = racingOnce();
  let meanwhile: Promise<number[]> | undefined;
  let isThrough = false;
  const manifest = await takeIntercepted(server, async ({ text }) => {
    if (await haveRaced(text) && !isThrough && text.includes('"part_') && text.includes('count(*)')) {
      // Neither of them wants to keep anybody from reading: it is not the lock itself that is in their way.
      meanwhile ??= Promise.all([timed('DROP INDEX CONCURRENTLY part_03_v'), sleep(300).then(() => timed('CREATE INDEX ON part_03 (id)'))]).finally(() => { isThrough = true; });
      await sleep(100);
    }
    return text;
  });
  for (const ms of await meanwhile ?? [Infinity]) expect(ms).toBeLessThan(SOON_MS);
  // The session holds what it has read until it has read all that it holds.
  const leftOut = manifest.notVerified.filter(({ byDesign }) => !byDesign);
  expect(leftOut.length).toBeGreaterThan(0);
  for (const { why } of leftOut) expect(why).toMatch(/for public\.part_03 behind process \d+, whose command CONCURRENTLY waited/);
  expect(tablesOf(manifest)).toContain('small');
});
