import { open, readFile, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ComparisonResult, Manifest } from '../../contracts/manifest.ts';
import { asking, compareLiving, OF_BOTH, OF_SOURCE } from '../support/living-source.ts';
import { manifestsOf } from '../support/manifest-scenario.ts';
import { openedCopy } from '../support/opened-copy.ts';
import { startCluster, type Server } from '../support/postgres.ts';
import { rowsLeft } from '../support/rows-left.ts';
import { whileStopped } from '../support/while-stopped.ts';

/** What stands in the files of a copy otherwise than in those of its source, though each row is where it was, by the same transaction. */
let source: Server;
let copy: Server;
let manifest: Manifest;
/** The first page of `stale.t` as it was before all its rows were put on others. */
const before = Buffer.alloc(8192);
/** Numbers of transactions of after the manifest. */
let [inserting, deleting] = [0, 0];

const atSource = asking(() => source);
const onCopy = asking(() => copy);
const xidOf = async (sql: string, database: string) => Number(((await atSource(sql, database)) as { rows: { xid: string }[] }).rows[0]!.xid);

const pathOf = async (ask: typeof atSource, table: string, database: string) => ((await ask(`SELECT pg_relation_filepath('${table}') AS path`, database)) as { rows: { path: string }[] }).rows[0]!.path;

async function withPage({ dataDirectory }: Server, path: string, work: (file: FileHandle) => Promise<void>): Promise<void> {
  const file = await open(join(dataDirectory, path), 'r+');
  await work(file).finally(() => file.close());
}

beforeAll(async () => {
  source = await startCluster({ logical: true, settings: OF_SOURCE });
  for (const name of ['definitions', 'rows', 'deleted', 'under_way', 'stale', 'undeleted']) await atSource(`CREATE DATABASE ${name}`);
  await atSource(`CREATE TABLE base AS SELECT g AS id FROM generate_series(1, 50000) g; CREATE TABLE prices AS SELECT g AS id, g AS amount FROM generate_series(1, 2000) g`);
  await atSource(`CREATE FUNCTION price() RETURNS int LANGUAGE sql AS 'SELECT 1111111'; CREATE FUNCTION named() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TYPE mood AS ENUM ('calm');
    CREATE TABLE t (id int, m mood); ALTER TABLE t ADD COLUMN n mood DEFAULT 'calm'; CREATE TRIGGER touch BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION named(); CREATE ROLE staff; GRANT SELECT ON t TO staff; CREATE ROLE reader;
    CREATE FUNCTION weigh(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'; CREATE OPERATOR @#@ (RIGHTARG = int, FUNCTION = weigh)`, 'definitions');
  for (const name of ['rows', 'deleted', 'under_way']) await atSource('CREATE TABLE orders AS SELECT g AS id FROM generate_series(1, 200) g', name);
  await atSource('CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 100) g; DELETE FROM t WHERE id <= 10', 'undeleted');
  await atSource(`CREATE TABLE t (id int PRIMARY KEY, v text); ALTER TABLE t ALTER v SET STORAGE PLAIN; INSERT INTO t SELECT g, repeat('x', 300) FROM generate_series(1, 20) g; CHECKPOINT`, 'stale');
  await withPage(source, await pathOf(atSource, 't', 'stale'), async (file) => { await file.read(before, 0, 8192, 0); });
  await atSource(`UPDATE t SET v = repeat('y', 2000)`, 'stale');
  await atSource('VACUUM t', 'stale');
  manifest = await manifestsOf(() => source).take();
  await atSource('UPDATE orders SET id = -1 WHERE id = 7', 'under_way');
  await atSource('GRANT SELECT ON t TO reader', 'definitions');
  // What is as in the manifest is not held against the source.
  await atSource('UPDATE orders SET id = -1 WHERE id = 7', 'rows');
  inserting = await xidOf('INSERT INTO orders SELECT generate_series(1000, 1500) RETURNING xmin::text AS xid', 'rows');
  deleting = await xidOf('WITH gone AS (DELETE FROM orders WHERE id = 7) SELECT pg_current_xact_id()::text AS xid', 'deleted');
  await source.withClient('under_way', async (underWay) => {
    await underWay.query('BEGIN; INSERT INTO orders VALUES (9000)');
    await atSource('UPDATE orders SET id = -2 WHERE id = 8', 'under_way');
    copy = await openedCopy(source, OF_BOTH);
    await underWay.query('COMMIT');
  });
});
afterAll(() => Promise.all([source.stop(), copy.stop()]));

const compare = (database = 'postgres', by = manifest): Promise<ComparisonResult> => compareLiving({ copy, source, manifest: by, database });
const openOf = ({ notVerified }: ComparisonResult) => notVerified.filter(({ byDesign }) => !byDesign);

/** Changes files of the copy, which then takes pages whose sums are wrong. */
async function whileItIsStopped(work: () => Promise<void>): Promise<void> {
  await onCopy('CHECKPOINT');
  copy = await whileStopped(copy, { ...OF_BOTH, fsync: 'off', autovacuum: 'off', ignore_checksum_failure: 'on' }, work);
}

/** Has the copy take a transaction that was committed for one that is under way, as bits of `pg_xact` say it. */
async function forget(xid: number): Promise<void> {
  const handle = await open(join(copy.dataDirectory, 'pg_xact', '0000'), 'r+');
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, Math.floor(xid / 4));
  byte[0]! &= ~(3 << ((xid % 4) * 2));
  await handle.write(byte, 0, 1, Math.floor(xid / 4));
  await handle.close();
}

describe('a sound copy', () => {
  it('lacks nothing of a transaction that was under way at its instant, by the time of its commit', async () => {
    const result = await compare('under_way');
    expect([result.differences, openOf(result)]).toEqual([[], []]);
  });

  it('has definitions whose rows say the same, though others were renamed since, and servers count in place what they hold', async () => {
    await atSource('REVOKE SELECT ON t FROM reader', 'definitions');
    await atSource(`ALTER ROLE staff RENAME TO crew; ALTER FUNCTION named() RENAME TO called; ALTER FUNCTION weigh(int) RENAME TO heft; ALTER TYPE mood RENAME VALUE 'calm' TO 'quiet'; CREATE INDEX ON t (id)`, 'definitions');
    await atSource('VACUUM (FREEZE, ANALYZE)', 'definitions');
    await onCopy('VACUUM (FREEZE)', 'definitions');
    expect((await compare('definitions')).differences).toEqual([]);
  });
});

describe('a value that is another, in a table that nobody touched', () => {
  it('is open once the source has rewritten the table: what it reloads was not there by the manifest', async () => {
    await onCopy('UPDATE prices SET amount = 0 WHERE id = 77');
    expect((await compare()).differences).toEqual([expect.objectContaining({ table: 'public.prices' })]);
    await atSource('ALTER TABLE prices ALTER COLUMN amount TYPE bigint');
    const result = await compare();
    expect(result.differences).toEqual([]);
    expect(rowsLeft(result)).toEqual([expect.stringMatching(/^open: 2000 of 2000 rows of public\.prices: the source has written all rows of the table anew since the instant of the copy$/)]);
  });
});

it('a definition that says something else, in place, is damage', async () => {
  const { rows: [file] } = await onCopy(`SELECT pg_relation_filepath('pg_proc') AS path`, 'definitions') as { rows: { path: string }[] };
  await whileItIsStopped(async () => {
    const path = join(copy.dataDirectory, file!.path);
    const where = (await readFile(path)).indexOf('SELECT 1111111');
    const handle = await open(path, 'r+');
    await handle.write('SELECT 1111112', where);
    await handle.close();
  });
  expect((await onCopy('SELECT price()', 'definitions')).rows).toEqual([{ price: 1111112 }]);
  expect((await compare('definitions')).differences).toEqual(expect.arrayContaining([expect.objectContaining({ identity: 'public.price()' })]));
  // Nothing is left to hold it against; that nobody had altered it by the instant of the copy is still to be seen there.
  await atSource(`CREATE OR REPLACE FUNCTION price() RETURNS int LANGUAGE sql AS 'SELECT 3'`, 'definitions');
  const result = await compare('definitions');
  expect([result.differences, openOf(result).map(({ what }) => what)]).toEqual([[], ['function public.price()']]);
});

/** Takes from each row of a page what says that it was deleted. */
function undelete(page: Buffer): void {
  for (let item = 24; item < page.readUInt16LE(12); item += 4) {
    const pointer = page.readUInt32LE(item);
    const tuple = pointer & 0x7fff;
    // LP_NORMAL; HEAP_XMAX_INVALID in the place of HEAP_XMAX_COMMITTED.
    if (((pointer >> 15) & 3) === 1) page.writeUInt16LE((page.readUInt16LE(tuple + 20) & ~0x0400) | 0x0800, tuple + 20);
  }
}

describe('rows of before the manifest that are there again', () => {
  it('are more than it has: a page as it was before, and a deletion that was lost', async () => {
    const [stale, undeleted] = [await pathOf(onCopy, 't', 'stale'), await pathOf(onCopy, 't', 'undeleted')];
    for (const database of ['stale', 'undeleted']) expect((await compare(database)).differences).toEqual([]);
    await whileItIsStopped(async () => {
      await withPage(copy, stale, async (file) => { await file.write(before, 0, 8192, 0); });
      await withPage(copy, undeleted, async (file) => {
        const page = Buffer.alloc(8192);
        await file.read(page, 0, 8192, 0);
        undelete(page);
        await file.write(page, 0, 8192, 0);
      });
    });
    expect((await onCopy('SELECT count(*)::int AS n, count(DISTINCT id)::int AS ids FROM t', 'stale')).rows).toEqual([{ n: 40, ids: 20 }]);
    expect((await compare('stale')).differences).toEqual([expect.objectContaining({ table: 'public.t', rowsExpected: 20, rowsFound: 40 })]);
    expect((await compare('undeleted')).differences).toEqual([expect.objectContaining({ table: 'public.t', rowsExpected: 90, rowsFound: 100 })]);
    // Older manifests do not say which file a table had.
    const older = { ...manifest, databases: manifest.databases.map((entry) => ({ ...entry, tables: entry.tables.map((table) => ({ ...table, filenode: undefined })) })) };
    expect((await compare('undeleted', older)).differences).toEqual([]);
  });
});

describe('transactions that a copy has forgotten', () => {
  it('are missing, with all rows that they left', async () => {
    await whileItIsStopped(() => forget(inserting));
    // Looked at only now: whoever sees a row notes on its page that it was committed.
    expect((await onCopy('SELECT count(*)::int AS n FROM orders', 'rows')).rows).toEqual([{ n: 200 }]);
    expect((await compare('rows')).differences).toEqual([
      { kind: 'catalog', object: 'transaction', identity: String(inserting), change: 'missing' },
      expect.objectContaining({ table: 'public.orders', rowsExpected: 701, rowsFound: 200 }),
    ]);
  });

  it('are missing also where they left no row, as one that deleted some', async () => {
    await whileItIsStopped(() => forget(deleting));
    expect((await onCopy('SELECT count(*)::int AS n FROM orders', 'deleted')).rows).toEqual([{ n: 200 }]);
    expect((await compare('deleted')).differences).toEqual([{ kind: 'catalog', object: 'transaction', identity: `${inserting} and 1 more`, change: 'missing' }]);
  });
});
