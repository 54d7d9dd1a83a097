import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import type { Manifest } from '../../contracts/manifest.ts';
import { CREATE_BACKUP_ROLE, isBucketOf, takeIntercepted } from '../support/intercepted-manifest.ts';
import { PATIENT } from '../support/patience.ts';
import { startCluster, type Server } from '../support/postgres.ts';

/** Columns that take each other's names while a manifest is taken: names mean what they mean now, and the rows are those of the snapshot. */
let server: Server;
beforeAll(async () => {
  server = await startCluster({ logical: true });
  await run(CREATE_BACKUP_ROLE);
});
afterAll(() => server.stop());
beforeEach(() => run(`DROP TABLE IF EXISTS t; CREATE TABLE t (id int, note text, other text); INSERT INTO t SELECT i, 'note', repeat('other', 20) FROM generate_series(1, 2000) i; ANALYZE t`));

const run = (sql: string) => server.withClient('postgres', (client) => client.query(sql));
const exchange = 'BEGIN; ALTER TABLE t RENAME note TO was; ALTER TABLE t RENAME other TO note; ALTER TABLE t RENAME was TO other; COMMIT';
const fingerprintOf = ({ databases: [database] }: Manifest) => database?.tables.find(({ name }) => name === 't')?.fingerprint;
/** Takes one that does these things, each before another bucket of the table. */
const takenWhile = async (...sqls: string[]) => {
  const left = [...sqls];
  const manifest = await takeIntercepted(server, async ({ text }) => {
    const sql = isBucketOf('t', text) ? left.shift() : undefined;
    if (sql !== undefined) await run(sql);
    return text;
  });
  expect(left).toEqual([]);
  return manifest;
};
const quietly = () => takeIntercepted(server, ({ text }) => Promise.resolve(text));

test.each([
  ['takes the name of another', [exchange]], ['is dropped and made anew', ['ALTER TABLE t DROP note; ALTER TABLE t ADD note text']],
  ['takes the name of another when a part was read', ['SELECT', 'SELECT', exchange]],
])('a column that %s is read at a later position', async (_what, sqls) => {
  const manifest = await takenWhile(...sqls);
  expect(manifest.cost.restarts).toEqual([expect.stringContaining('public.t')]);
  expect(fingerprintOf(manifest)).toBe(fingerprintOf(await quietly()));
});

test('a column that has the name of another while a part is read is read at a later position', async () => {
  const left = [exchange, exchange];
  const manifest = await takeIntercepted(server, async ({ text }) => {
    // Back again before whatever comes next.
    const sql = left.length === 1 || isBucketOf('t', text) ? left.shift() : undefined;
    if (sql !== undefined) await run(sql);
    return text;
  });
  expect(manifest.cost.restarts).toEqual([expect.stringContaining('public.t')]);
  expect(fingerprintOf(manifest)).toBe(fingerprintOf(await quietly()));
});

test.each([
  ['renamed once its table was read', exchange, (text: string, seen: boolean) => seen && text === 'SAVEPOINT catalog'],
  ['added meanwhile', 'ALTER TABLE t ADD more text', (text: string) => isBucketOf('t', text)],
  ['given other properties meanwhile', `ALTER TABLE t ALTER note SET NOT NULL, ALTER note SET DEFAULT 'x', ALTER note SET STATISTICS 10`, (text: string) => isBucketOf('t', text)],
] as const)('a column that is %s is no reason to read anything again', async (_what, sql, isThen) => {
  const before = fingerprintOf(await quietly());
  let seen = false;
  let done = false;
  const manifest = await takeIntercepted(server, async ({ text }) => {
    if (!done && isThen(text, seen)) { done = true; await run(sql); }
    seen ||= isBucketOf('t', text);
    return text;
  });
  expect(done).toBe(true);
  expect(manifest.cost.restarts).toEqual([]);
  expect(fingerprintOf(manifest)).toBe(before);
});

test.each([
  ['a label of an enum that is renamed', [`ALTER TYPE mood RENAME VALUE 'calm' TO 'wild'`], true], ['one that has another name for a while', [`ALTER TYPE mood RENAME VALUE 'calm' TO 'wild'`, `ALTER TYPE mood RENAME VALUE 'wild' TO 'calm'`], true],
  ['one that is added', [`ALTER TYPE mood ADD VALUE 'wild'`], false],
] as const)('%s while its values are read', async (_what, sqls, isReadAnew) => {
  await run(`DROP TABLE t; DROP TYPE IF EXISTS mood; CREATE TYPE mood AS ENUM ('calm'); CREATE TABLE t AS SELECT ARRAY['calm'::mood] AS moods`);
  const left: string[] = [...sqls];
  const manifest = await takeIntercepted(server, async ({ text }) => {
    const sql = isBucketOf('t', text) || left.length < sqls.length ? left.shift() : undefined;
    if (sql !== undefined) await run(sql);
    return text;
  });
  expect(manifest.cost.restarts).toEqual(isReadAnew ? ['postgres: values of public.mood defined anew meanwhile'] : []);
  expect(fingerprintOf(manifest)).toBe(fingerprintOf(await quietly()));
});

const ADDRESS = `CREATE TYPE address AS (street text, city text)`;
const someOf = (value: string) => `SELECT ${value} AS a, repeat('x', 200) AS filler FROM generate_series(1, 2000)`;
test.each([
  ['gets a column', `${ADDRESS}; CREATE TABLE public.t AS ${someOf(`ROW('a', 'b')::address`)}`, 'ALTER TYPE address ADD ATTRIBUTE zip text', true],
  ['loses one', `${ADDRESS}; CREATE TABLE public.t AS ${someOf(`ROW('a', 'b')::address`)}`, 'ALTER TYPE address DROP ATTRIBUTE city', true],
  ['that lies in a domain in an array in another gets one', `${ADDRESS}; CREATE DOMAIN home AS address; CREATE TYPE homes AS (all_of home[]); CREATE TABLE public.t AS ${someOf(`ROW(ARRAY[ROW('a', 'b')::address::home])::homes`)}`, 'ALTER TYPE address ADD ATTRIBUTE zip text', true],
  ['that a table makes gets one', `CREATE TABLE address (street text, city text); CREATE TABLE public.t AS ${someOf(`ROW('a', 'b')::address`)}`, 'ALTER TABLE address ADD zip text', true],
  ['of which there are no values gets one', `${ADDRESS}; CREATE TABLE public.t AS ${someOf('1')}`, 'ALTER TYPE address ADD ATTRIBUTE zip text', false],
])('a composite type %s while values of it are read', async (_what, made, sql, isReadAnew) => {
  await run(`DROP TABLE t; DROP SCHEMA IF EXISTS made CASCADE; CREATE SCHEMA made; SET search_path = made, public; ${made}; ANALYZE t`);
  let isDone = false;
  const manifest = await takeIntercepted(server, async ({ text }) => {
    if (!isDone && isBucketOf('t', text)) { isDone = true; await run(`SET search_path = made; ${sql}`); }
    return text;
  });
  expect(manifest.cost.restarts).toEqual(isReadAnew ? ['postgres: values of made.address defined anew meanwhile'] : []);
  expect(fingerprintOf(manifest)).toBe(fingerprintOf(await quietly()));
});

test.each([
  ['that nobody reads, and goes again and again, with its table,', 'UNLOGGED'], ['that goes with its table once that was read', ''],
])('a composite type %s costs nothing', async (_what, persistence) => {
  const make = `CREATE ${persistence} TABLE staged (street text); CREATE ${persistence} TABLE staging AS SELECT ROW('a')::staged AS v; ANALYZE staging`;
  await run(`DROP TABLE t; CREATE TABLE t AS ${someOf('1')}; ANALYZE t; ${make}`);
  let isSeen = false;
  let isDone = false;
  const manifest = await takeIntercepted(server, async ({ text }) => {
    isSeen ||= isBucketOf('t', text);
    // The last look, when all was read.
    if (isSeen && !isDone && text.includes('FROM pg_enum')) { isDone = true; await run(`DROP TABLE staging, staged; ${persistence === '' ? '' : make}`); }
    return text;
  });
  await run('DROP TABLE IF EXISTS staging, staged');
  expect([isDone, manifest.cost.restarts]).toEqual([true, []]);
});

test('a catalog that others have locked for longer than a lock is waited for does not cost what was read', async () => {
  let isSeen = false;
  let holding: Promise<unknown> | undefined;
  const manifest = await takeIntercepted(server, async ({ text }) => {
    if (isSeen && !holding && text.includes('FROM pg_enum')) {
      holding = run('BEGIN; LOCK TABLE pg_enum IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(1.5); COMMIT');
      await vi.waitUntil(async () => (await run(`SELECT FROM pg_locks WHERE relation = 'pg_enum'::regclass AND mode = 'AccessExclusiveLock' AND granted`)).rowCount === 1, PATIENT);
    }
    isSeen ||= isBucketOf('t', text);
    return text;
  });
  expect(holding).toBeDefined();
  await holding;
  expect(manifest.cost.restarts).toEqual([]);
  expect(fingerprintOf(manifest)).toBe(fingerprintOf(await quietly()));
});
