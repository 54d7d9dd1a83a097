import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { takeManifest } from '../../activities/manifest/take-manifest.ts';
import { classify } from '../../activities/temporal/classify.ts';
import type { Manifest } from '../../contracts/manifest.ts';
import { backUpByCopy, manifestsOf, recoverTo } from '../support/manifest-scenario.ts';
import { startCluster, type Server } from '../support/postgres.ts';

/** Who waits for a table because of a manifest, waits this long, until the next look, and a little. */
const LIMIT_MS = 1_000;
const SOON_MS = LIMIT_MS + 1_000 + 2_000;

let server: Server;
const run = (sql: string): Promise<unknown> => server.withClient('postgres', (client) => client.query(sql));
const { compare } = manifestsOf(() => server);

beforeAll(async () => {
  server = await startCluster({ logical: true, settings: { wal_keep_size: '1GB' } });
  // As the documentation makes it: it may look at locks, and end what it does itself.
  await run(`CREATE ROLE backup LOGIN REPLICATION PASSWORD 'backup' IN ROLE pg_read_all_data, pg_read_all_settings`);
}, 60_000);
afterAll(() => server.stop());
beforeEach(() => run(`
  DROP TABLE IF EXISTS large, small;
  CREATE TABLE small AS SELECT g AS id FROM generate_series(1, 100) g;
  CREATE TABLE large (id bigserial, v int, filler text); INSERT INTO large (v, filler) SELECT g, repeat('x', 800) FROM generate_series(1, 2000) g`));

/** Takes a manifest; each statement of its connections goes through this first. */
function take(before: (query: { text: string; client: Client; run: (text: string) => Promise<unknown> }) => Promise<string>): Promise<Manifest> {
  const onceConnected = async (client: Client): Promise<void> => {
    const query = client.query.bind(client) as (...args: unknown[]) => Promise<unknown>;
    const changed = async (text: unknown, ...more: unknown[]): Promise<unknown> => query(typeof text === 'string' ? await before({ text, client, run: query }) : text, ...more);
    client.query = changed as never;
  };
  return takeManifest({
    connect: (database) => ({ ...server.config(database), user: 'backup', password: 'backup', guard: { beforeConnecting: async () => undefined, onceConnected, hold: () => Promise.reject(new Error('no program')) } }),
    databases: ['postgres'], applicationName: 'manifest-test', signal: new AbortController().signal, limits: { connections: 1, bucketBytes: 16 * 1024, maxBlockingMs: LIMIT_MS },
  });
}
const isBucketOf = (table: string, text: string): boolean => text.includes(`"${table}"`) && text.includes('count(*)');
/** What somebody does meanwhile, and how long that took. */
const timed = async (sql: string): Promise<number> => {
  const started = performance.now();
  await run(sql);
  return performance.now() - started;
};
const tablesOf = ({ databases: [database] }: Manifest): string[] => database?.tables.map(({ name }) => name).sort() ?? [];

test('a table that is kept locked until it is read is let go when somebody waits for it, and not verified', async () => {
  const copy = await backUpByCopy(server);
  let raced = false;
  let meanwhile: Promise<number[]> | undefined;
  const manifest = await take(async ({ text }) => {
    if (!text.includes('"large"')) return text;
    // Rewritten once, it is kept locked in the next attempt, which takes its time.
    if (!raced) {
      raced = true;
      await run('ALTER TABLE large ALTER v TYPE bigint');
    } else if (isBucketOf('large', text)) {
      meanwhile ??= Promise.all([timed('ALTER TABLE large ADD COLUMN more int'), sleep(300).then(() => timed('SELECT count(*) FROM large'))]);
      await sleep(150);
    }
    return text;
  });
  for (const ms of await meanwhile ?? [Infinity]) expect(ms).toBeLessThan(SOON_MS);
  expect(manifest.cost.restarts).toHaveLength(1);
  expect(manifest.cost.longestLockMs).toBeLessThan(SOON_MS);
  expect(tablesOf(manifest)).not.toContain('large');
  expect(tablesOf(manifest)).toContain('small');
  const leftOut = expect.objectContaining({
    database: 'postgres', what: 'contents of public.large, and whether its sequences lie beyond them', byDesign: false,
    why: expect.stringMatching(/^role \w+ \(process \d+\) waited for [12]\.\d s for public\.large, which the reading had locked; the limit is 1 s \(manifest\.maxBlocking\)$/) as string,
  }) as unknown;
  expect(manifest.notVerified.filter(({ byDesign }) => !byDesign)).toEqual([leftOut]);
  // All else is compared as ever.
  const restored = await recoverTo(server, copy, manifest.databases[0]?.lsn ?? '');
  try {
    const result = await compare(restored, manifest, 'postgres');
    expect(result.differences).toEqual([]);
    expect(result.notVerified).toContainEqual(leftOut);
  } finally { await restored.stop(); }
}, 120_000);

test('a bucket whose reading keeps somebody waiting is cancelled and read again', async () => {
  let meanwhile: Promise<number> | undefined;
  const manifest = await take(async ({ text }) => {
    if (meanwhile || !isBucketOf('large', text)) return text;
    meanwhile = sleep(300).then(() => timed('ALTER TABLE large ADD COLUMN more int'));
    return text.replace('; ROLLBACK TO', '; SELECT pg_sleep(8); ROLLBACK TO');
  });
  expect(await meanwhile).toBeLessThan(SOON_MS);
  expect(manifest.databases[0]?.tables.find(({ name }) => name === 'large')?.rows).toBe(2000);
  expect(manifest.notVerified.filter(({ byDesign }) => !byDesign)).toEqual([]);
});

test('a table on which that happens again and again is left out', async () => {
  let reads = 0;
  const waits: Promise<number>[] = [];
  const manifest = await take(async ({ text }) => {
    if (!isBucketOf('large', text) || reads === 4) return text;
    reads += 1;
    waits.push(sleep(300).then(() => timed(`ALTER TABLE large ADD COLUMN more_${reads} int`)));
    return text.replace('; ROLLBACK TO', '; SELECT pg_sleep(8); ROLLBACK TO');
  });
  for (const ms of await Promise.all(waits)) expect(ms).toBeLessThan(SOON_MS);
  expect(reads).toBe(3);
  expect(tablesOf(manifest)).toContain('small');
  expect(manifest.notVerified.filter(({ byDesign }) => !byDesign)).toMatchObject([{ what: expect.stringContaining('public.large') as string }]);
});

test('the catalog is locked while it is read, and not until all tables are', async () => {
  let meanwhile: Promise<number> | undefined;
  await take(async ({ text }) => {
    if (!isBucketOf('large', text)) return text;
    meanwhile ??= timed('VACUUM FULL pg_namespace');
    await sleep(20);
    return text;
  });
  expect(await meanwhile).toBeLessThan(LIMIT_MS);
});

test('a reading of the catalog that keeps somebody waiting ends the manifest, and says who waited for what', async () => {
  let meanwhile: Promise<number> | undefined;
  const error: unknown = await take(async ({ text, run: query }) => {
    if (!meanwhile && text.includes('WITH RECURSIVE relation')) {
      meanwhile = sleep(300).then(() => timed('VACUUM FULL pg_namespace'));
      await query('SELECT pg_sleep(8) FROM pg_namespace LIMIT 1');
    }
    return text;
  }).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ type: 'inTheWay', message: expect.stringMatching(/^the reading was in the way: role \w+ \(process \d+\) waited for [12]\.\d s for pg_catalog\.pg_namespace, .*manifest\.maxBlocking/) as string });
  expect(classify(error)).toMatchObject({ type: 'MANIFEST_GAVE_UP', nonRetryable: true });
  expect(await meanwhile).toBeLessThan(SOON_MS);
});
