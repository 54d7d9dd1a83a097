import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { ManifestLimits } from '../../activities/manifest/limits.ts';
import { classify } from '../../activities/temporal/classify.ts';
import { wantedBy } from '../../activities/manifest/waiters.ts';
import type { Manifest } from '../../contracts/manifest.ts';
import { CREATE_BACKUP_ROLE, LIMIT_MS, SOON_MS, isBucketOf, tablesOf, takeIntercepted, timed as timedOn, type Before } from '../support/intercepted-manifest.ts';
import { backUpByCopy, manifestsOf, recoverTo } from '../support/manifest-scenario.ts';
import { startCluster, type Server } from '../support/postgres.ts';

let server: Server;
const run = (sql: string): Promise<unknown> => server.withClient('postgres', (client) => client.query(sql));
const { compare } = manifestsOf(() => server);

beforeAll(async () => {
  server = await startCluster({ logical: true, settings: { wal_keep_size: '1GB' } });
  await run(CREATE_BACKUP_ROLE);
});
afterAll(() => server.stop());
beforeEach(() => run(`
  DROP TABLE IF EXISTS large, small;
  CREATE TABLE small AS SELECT g AS id FROM generate_series(1, 100) g;
  CREATE TABLE large (id bigserial, v int, filler text); INSERT INTO large (v, filler) SELECT g, repeat('x', 800) FROM generate_series(1, 2000) g`));

const take = (before: Before, limits?: Partial<ManifestLimits>): Promise<Manifest> => takeIntercepted(server, before, limits);
const timed = (sql: string): Promise<number> => timedOn(server, sql);

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
});

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

test('where a look takes long, the next one comes in time all the same', async () => {
  let meanwhile: Promise<number> | undefined;
  await take(async ({ text, run: query }) => {
    if (text.includes('pg_lock_status')) await query('SELECT pg_sleep(0.3)');
    if (meanwhile || !isBucketOf('large', text)) return text;
    meanwhile = sleep(300).then(() => timed('ALTER TABLE large ADD COLUMN more int'));
    return text.replace('; ROLLBACK TO', '; SELECT pg_sleep(8); ROLLBACK TO');
  });
  expect(await meanwhile).toBeLessThan(SOON_MS);
});

/** Ends the connection over which is looked who waits, as an administrator may, and waits until it is gone; whether there was one. */
async function endWatcher(): Promise<boolean> {
  return server.withClient('postgres', async (client) => {
    const { rows: [row] } = await client.query<{ ended: boolean }>(`SELECT pg_terminate_backend(pid, 30000) AS ended FROM pg_stat_activity WHERE application_name = 'manifest-test' AND query LIKE '%pg_lock_status%'`);
    return row?.ended ?? false;
  });
}

test('who looks who waits, and is ended, goes on over another connection', async () => {
  let meanwhile: Promise<number> | undefined;
  let wasEnded = false;
  const manifest = await take(async ({ text }) => {
    if (meanwhile || !isBucketOf('large', text)) return text;
    wasEnded = await endWatcher();
    meanwhile = sleep(300).then(() => timed('ALTER TABLE large ADD COLUMN more int'));
    return text.replace('; ROLLBACK TO', '; SELECT pg_sleep(8); ROLLBACK TO');
  });
  expect(wasEnded).toBe(true);
  expect(await meanwhile).toBeLessThan(SOON_MS);
  expect(manifest.databases[0]?.tables.find(({ name }) => name === 'large')?.rows).toBe(2000);
});

test('where that is ended again, the manifest ends rather than go on without seeing whom it keeps waiting', async () => {
  let ended = 0;
  let meanwhile: Promise<number> | undefined;
  const error: unknown = await take(async ({ text }) => {
    if (!isBucketOf('large', text)) return text;
    if (ended < 2 && await endWatcher()) ended += 1;
    if (ended === 2) meanwhile ??= timed('ALTER TABLE large ADD COLUMN more int');
    // Before what is asked of the table: what follows in one message is known by its place there.
    return text.replace(/; (?=SELECT [^;]*; SELECT count)/, `; SELECT pg_sleep(${ended < 2 ? 1 : 8}); `);
  }).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ type: 'inTheWay', message: expect.stringMatching(/ended twice \(.*onnection/) as string });
  expect(classify(error)).toMatchObject({ type: 'MANIFEST_GAVE_UP', nonRetryable: true });
  expect(await meanwhile).toBeLessThan(SOON_MS);
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

test('where a superuser reads and the look at a locked table takes long, the server lets go of it, and the manifest is taken again', async () => {
  await run(`DROP ROLE IF EXISTS chief; CREATE ROLE chief SUPERUSER LOGIN PASSWORD 'chief'`);
  let waiting: Promise<number> | undefined;
  let locked = '';
  const error: unknown = await takeIntercepted(server, async ({ text }) => {
    if (!text.includes('pg_relation_size(indexrelid)')) locked = text;
    // The connection that looks is slow, or this process stands still: what it would cancel is no statement by then.
    else if (!waiting && locked.startsWith('SAVEPOINT bucket; LOCK TABLE ONLY "public"."large"')) {
      waiting = timed('ALTER TABLE large ADD COLUMN more int');
      await sleep(2 * SOON_MS);
    }
    return text;
  }, {}, 'chief').then(() => undefined, (reason: unknown) => reason);
  expect(await waiting).toBeLessThan(SOON_MS);
  expect(classify(error)).toMatchObject({ type: 'UNAVAILABLE', nonRetryable: false });
});

test('several who wait for one bucket are one time that it happened, whoever of several connections reads it', async () => {
  let reads = 0;
  const waits: Promise<number>[] = [];
  const manifest = await take(async ({ text }) => {
    if (!isBucketOf('large', text) || reads === 2) return text;
    reads += 1;
    if (reads === 1) for (const name of ['a', 'b', 'c', 'd']) waits.push(sleep(300).then(() => timed(`ALTER TABLE large ADD COLUMN ${name} int`)));
    return text.replace('; ROLLBACK TO', '; SELECT pg_sleep(8); ROLLBACK TO');
  }, { connections: 2 });
  for (const ms of await Promise.all(waits)) expect(ms).toBeLessThan(SOON_MS);
  expect(reads).toBe(2);
  expect(manifest.databases[0]?.tables.find(({ name }) => name === 'large')?.rows).toBe(2000);
  expect(manifest.notVerified.filter(({ byDesign }) => !byDesign)).toEqual([]);
});

test('who waits for an index of a table waits for the table', async () => {
  await run('CREATE INDEX large_v ON large (v)');
  let reads = 0;
  const waits: Promise<number>[] = [];
  const manifest = await take(async ({ text }) => {
    if (!isBucketOf('large', text) || reads === 4) return text;
    reads += 1;
    waits.push(sleep(300).then(() => timed('REINDEX INDEX large_v')));
    return text.replace('; ROLLBACK TO', '; SELECT pg_sleep(8); ROLLBACK TO');
  });
  for (const ms of await Promise.all(waits)) expect(ms).toBeLessThan(SOON_MS);
  expect(reads).toBe(3);
  expect(manifest.notVerified.filter(({ byDesign }) => !byDesign)).toMatchObject([{ what: expect.stringContaining('public.large') as string, why: expect.stringContaining('for public.large, ') as string }]);
});

test.each([
  ['an index', `'large_v'::regclass`, 'large'],
  ['where long values are kept', `(SELECT reltoastrelid FROM pg_class WHERE oid = 'large'::regclass)`, 'large'],
  ['the index of that', `(SELECT i.indexrelid FROM pg_class c JOIN pg_index i ON i.indrelid = c.reltoastrelid WHERE c.oid = 'large'::regclass)`, 'large'],
  ['large objects', `'pg_largeobject'::regclass`, 'pg_largeobject'],
  ['the index of large objects', `'pg_largeobject_loid_pn_index'::regclass`, 'pg_largeobject'],
])('what is waited for is a table of the manifest, also by %s', async (_, oid, name) => {
  await run('CREATE INDEX large_v ON large (v)');
  await server.withClient('postgres', async (client) => {
    const { rows: [row] } = await client.query<{ oid: number }>(`SELECT ${oid}::oid::int8::float8 AS oid`);
    expect(await wantedBy(client, row?.oid ?? 0)).toMatchObject({ name, isOfSystem: false });
  });
});

test('large objects are a table: a reading that keeps somebody waiting for them makes room, and goes on', async () => {
  let meanwhile: Promise<number> | undefined;
  const manifest = await take(async ({ text }) => {
    if (meanwhile || !isBucketOf('pg_largeobject', text)) return text;
    meanwhile = sleep(300).then(() => timed('BEGIN; LOCK TABLE pg_largeobject IN ACCESS EXCLUSIVE MODE; COMMIT'));
    return text.replace('; ROLLBACK TO', '; SELECT pg_sleep(8); ROLLBACK TO');
  });
  expect(await meanwhile).toBeLessThan(SOON_MS);
  expect(tablesOf(manifest)).toContain('pg_largeobject');
});

test('a catalog that somebody keeps locked at the end is read once it is free', async () => {
  let meanwhile: Promise<number> | undefined;
  const manifest = await take(async ({ text }) => {
    if (!meanwhile && text.includes('pg_policy')) {
      meanwhile = timed('BEGIN; LOCK TABLE pg_policy IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(2.5); COMMIT');
      await sleep(200);
    }
    return text;
  });
  expect(await meanwhile).toBeGreaterThan(2_000);
  expect(tablesOf(manifest)).toContain('large');
});

test('a command CONCURRENTLY waits for the reading, which goes on while it keeps nobody else', async () => {
  let meanwhile: Promise<number> | undefined;
  const started = performance.now();
  const manifest = await take(async ({ text }) => {
    if (!isBucketOf('large', text)) return text;
    meanwhile ??= timed('CREATE INDEX CONCURRENTLY large_v ON large (v)');
    await sleep(40);
    return text;
  });
  expect(performance.now() - started).toBeGreaterThan(LIMIT_MS + 2_000);
  expect(await meanwhile).toBeGreaterThan(LIMIT_MS + 1_000);
  expect(manifest.notVerified.filter(({ byDesign }) => !byDesign)).toEqual([]);
});

test('who waits behind a command CONCURRENTLY that waits for the reading ends the manifest, not a VACUUM, which keeps nobody', async () => {
  let meanwhile: Promise<number>[] | undefined;
  const error: unknown = await take(async ({ text }) => {
    if (!isBucketOf('large', text)) return text;
    meanwhile ??= [timed('CREATE INDEX CONCURRENTLY large_v ON large (v)'), sleep(300).then(() => timed('VACUUM large')), sleep(3_000).then(() => timed('ALTER TABLE large ADD COLUMN more int')), sleep(3_300).then(() => timed('SELECT count(*) FROM large'))];
    await sleep(150);
    return text;
  }).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ type: 'inTheWay', message: expect.stringMatching(/^the reading was in the way: role \w+ \(process \d+\) waited for [12]\.\d s for public\.large behind process \d+, .*CONCURRENTLY/) as string });
  const [, vacuum, alter, select] = await Promise.all(meanwhile ?? []);
  expect(vacuum).toBeGreaterThan(3_000);
  expect(alter).toBeLessThan(SOON_MS);
  expect(select).toBeLessThan(SOON_MS);
});
