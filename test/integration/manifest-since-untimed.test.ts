import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ComparisonResult, Manifest } from '../../contracts/manifest.ts';
import { asking, compareLiving, OF_BOTH, OF_SOURCE } from '../support/living-source.ts';
import { manifestsOf } from '../support/manifest-scenario.ts';
import { openedCopy } from '../support/opened-copy.ts';
import { startCluster, type Server } from '../support/postgres.ts';
import { rowsLeft } from '../support/rows-left.ts';

/** Servers that keep no times of commits, as PostgreSQL and RDS are by default. */
let source: Server;
let copy: Server;
let manifest: Manifest;

const UNTIMED = { track_commit_timestamp: 'off' };
const atSource = asking(() => source);
const onCopy = asking(() => copy);

beforeAll(async () => {
  source = await startCluster({ logical: true, settings: { ...OF_SOURCE, ...UNTIMED } });
  await atSource(`CREATE TABLE orders AS SELECT g AS id, g AS v FROM generate_series(1, 20000) g; CREATE INDEX orders_id ON orders (id);
    CREATE TABLE customers AS SELECT g AS id FROM generate_series(1, 1000) g; CREATE TABLE suppliers AS SELECT * FROM customers; CREATE TABLE journal AS SELECT * FROM customers; CREATE TABLE altered (id int);
    CREATE FUNCTION price() RETURNS int LANGUAGE sql AS 'SELECT 1111111'; CREATE POLICY mine ON orders USING (id > 0);
    CREATE FUNCTION tr() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER touch BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION tr()`);
  for (const name of ['lost', 'swapped']) await atSource(`CREATE DATABASE ${name}`);
  await atSource('CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 100) g; CREATE TABLE t_old AS SELECT * FROM t', 'swapped');
  manifest = await manifestsOf(() => source).take();
  await atSource('UPDATE orders SET v = v + 1 WHERE id = 1');
  await atSource('INSERT INTO journal SELECT generate_series(2000, 2009)');
  await atSource('DROP TABLE t_old; ALTER TABLE t RENAME TO t_old; CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 200) g', 'swapped');
  await atSource('CREATE TABLE made_since AS SELECT g AS id FROM generate_series(1, 100) g');
  await source.withClient('postgres', async (underWay) => {
    await underWay.query(`BEGIN; INSERT INTO journal VALUES (3000), (3001)`);
    await atSource('UPDATE orders SET v = v + 1 WHERE id = 2');
    copy = await openedCopy(source, { ...OF_BOTH, ...UNTIMED });
    await underWay.query('COMMIT');
  });
});
afterAll(() => Promise.all([source.stop(), copy.stop()]));

const compare = (database = 'postgres', by = manifest): Promise<ComparisonResult> => compareLiving({ copy, source, manifest: by, database });
const named = ({ differences }: ComparisonResult) => differences.map((difference) => ('table' in difference ? difference.table : 'identity' in difference ? difference.identity : difference.sequence));
const openOf = ({ notVerified }: ComparisonResult) => notVerified.flatMap(({ what, why, byDesign }) => (byDesign ? [] : [`${what}: ${why.split(/[,;:(]/)[0]}`]));
const UNTOLD = 'nobody can tell whether the copy must have them';

describe('a sound copy', () => {
  it('lacks what was under way at its instant, which nobody can tell from what it lost: that is open, and how much', async () => {
    const result = await compare();
    expect(result.differences).toEqual([]);
    expect(openOf(result)).toEqual([`2 rows of public.journal that the source has, and the copy has not: ${UNTOLD}`]);
  });

  it('lacks nothing of what the source writes once it has counted beyond the copy', async () => {
    const before = await compare();
    for (let n = 0; n < 20; n += 1) await atSource(`INSERT INTO journal VALUES (${4_000 + n})`);
    await atSource('UPDATE orders SET v = v + 1 WHERE id < 100; CREATE TABLE later (id int); ALTER TABLE altered ADD COLUMN name text');
    const result = await compare();
    expect([result.differences, openOf(result)]).toEqual([[], openOf(before)]);
  });
});

describe('a table that the source dropped and gave its name to another, as each night', () => {
  it('is not there by design, since the copy has that other one, whoever can tell when it got the name', async () => {
    const result = await compare('swapped');
    expect([result.differences, openOf(result)]).toEqual([[], []]);
    expect(result.notVerified).toContainEqual({ database: 'swapped', what: 'contents of public.t_old', why: 'the source has another one of this name by now, and so has the copy: the one of the manifest was dropped by the instant of the copy', byDesign: true });
    expect(result.coverage).toEqual({ byManifest: 100, bySource: 200, changedSince: 0, unknown: 0 });
  });
});

describe('a copy that is damaged', () => {
  it.each([
    ['rows', 'DELETE FROM orders WHERE id > 10000', 'public.orders'],
    ['all rows of a table', 'DELETE FROM customers', 'public.customers'],
    ['an index', 'DROP INDEX orders_id', 'public.orders_id'],
    ['a trigger', 'DROP TRIGGER touch ON orders', 'touch on public.orders'],
    ['a policy', 'DROP POLICY mine ON orders', 'mine on public.orders'],
    ['a function, which says something else', `CREATE OR REPLACE FUNCTION price() RETURNS int LANGUAGE sql AS 'SELECT 2'`, 'public.price()'],
    ['a table', 'DROP TABLE suppliers', 'public.suppliers'],
    ['a database', 'DROP DATABASE lost', 'lost'],
  ])('has lost what the manifest has, however young: %s', async (what, damage, where) => {
    const database = what === 'a database' ? 'lost' : 'postgres';
    expect(named(await compare(database))).not.toContain(where);
    await onCopy(damage);
    expect(named(await compare(database))).toContain(where);
  });

  it('may have lost what came after the manifest: that is open, rows as well as tables', async () => {
    await onCopy('DELETE FROM journal WHERE id BETWEEN 2000 AND 2006; DELETE FROM made_since');
    const result = await compare();
    expect(named(result).filter((name) => /journal|made_since/.test(name))).toEqual([]);
    expect(rowsLeft(result)).toEqual(expect.arrayContaining([`open: 100 rows of public.made_since that the source has, and the copy has not: ${UNTOLD}`]));
    expect(rowsLeft(result).find((one) => one.includes('journal'))).toMatch(new RegExp(`^open: (9|[1-3]\\d) rows of public\\.journal that the source has, and the copy has not: ${UNTOLD}$`));
    expect(result.uncompared).toContainEqual({ table: 'public.made_since', rows: 0 });
  });

  it('may have lost all of it where an older manifest does not say which transactions it has seen', async () => {
    const older: Manifest = { ...manifest, databases: manifest.databases.map((entry) => ({ ...entry, transactions: undefined })) };
    const result = await compare('postgres', older);
    expect(result.differences).toEqual([]);
    expect(rowsLeft(result)).toEqual(expect.arrayContaining([`open: 10000 rows of public.orders that the source has, and the copy has not: ${UNTOLD}`]));
    expect(openOf(result)).toEqual(expect.arrayContaining(['contents of public.suppliers: it is not in the copy', 'index public.orders_id: differs from the manifest']));
  });
});

describe('a copy of before the manifest', () => {
  it('is held against nothing, which is open, also once it has counted beyond the transactions of that', async () => {
    const clock = async () => (await atSource('SELECT clock_timestamp() AS now')).rows[0].now.getTime() as number;
    const before = await clock();
    const later = await manifestsOf(() => source).take();
    const taken = later.databases.map(({ takenAtBySource }) => Date.parse(takenAtBySource ?? ''));
    expect([before <= Math.min(...taken), Math.max(...taken) <= await clock() + 1]).toEqual([true, true]);

    const BEFORE = ['contents and definitions: the copy is of before the manifest'];
    for (const database of ['postgres', 'lost']) {
      const result = await compare(database, later);
      expect([database, result.differences, openOf(result)]).toEqual([database, [], BEFORE]);
    }
    await copy.withClient('postgres', async (client) => {
      for (let n = 0; n < 100; n += 1) await client.query('SELECT pg_current_xact_id()');
    });
    const result = await compare('postgres', later);
    expect([result.differences, openOf(result)]).toEqual([[], BEFORE]);
  });
});
