import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ComparisonResult, Manifest } from '../../contracts/manifest.ts';
import { asking, compareLiving, OF_BOTH, OF_SOURCE } from '../support/living-source.ts';
import { manifestsOf } from '../support/manifest-scenario.ts';
import { openedCopy } from '../support/opened-copy.ts';
import { PATIENT } from '../support/patience.ts';
import { startCluster, type Server } from '../support/postgres.ts';
import { rowsLeft } from '../support/rows-left.ts';
import { whileStopped } from '../support/while-stopped.ts';

/** What a source has made anew since the instant of its copy, so that places and numbers stand for other things than they did. */
let source: Server;
let copy: Server;
let manifest: Manifest;
/** Lives on, at the source alone: what is left of it in the copy belongs to nobody. */
let session: Client;

const atSource = asking(() => source);

const NIGHTLY = 'CREATE TABLE nightly (id int PRIMARY KEY DEFAULT 7 CHECK (id > 0)); GRANT SELECT ON nightly TO reader; CREATE POLICY of_night ON nightly USING (id > 0)';

beforeAll(async () => {
  source = await startCluster({ logical: true, settings: OF_SOURCE });
  await atSource('CREATE DATABASE template_of_ours');
  await atSource('CREATE TABLE t AS SELECT g AS id, g AS v FROM generate_series(1, 1000) g; CREATE TABLE kept AS SELECT * FROM t; CREATE SEQUENCE ids; CREATE SEQUENCE others', 'template_of_ours');
  for (const name of ['a_demo', 'dropped', 'flips', 'lost', 'renamed', 'swapped']) await atSource(`CREATE DATABASE ${name} TEMPLATE template_of_ours`);
  await atSource(`DELETE FROM t WHERE id <= 100; SELECT nextval('ids') FROM generate_series(1, 500); SELECT nextval('others') FROM generate_series(1, 500)`, 'dropped');
  await atSource('CREATE ROLE reader');
  for (const name of ['absent', 'defined', 'granted', 'stage', 'temporary']) await atSource(`CREATE DATABASE ${name}`);
  await atSource('CREATE TABLE stock AS SELECT g AS id FROM generate_series(1, 100) g; CREATE VIEW shown AS SELECT * FROM stock', 'granted');
  await atSource('CREATE TABLE loaded AS SELECT g AS id FROM generate_series(1, 1200) g', 'stage');
  await atSource('CREATE SCHEMA other; CREATE TABLE base AS SELECT g AS id FROM generate_series(1, 100) g', 'absent');
  for (const name of ['lost', 'moved', 'moved_and_lost', 'swapped', 'swapped_since', 'nightly', 'unlogged']) await atSource(`CREATE TABLE ${name} AS SELECT * FROM base; CREATE INDEX ${name}_id ON ${name} (id)`, 'absent');
  await atSource(`CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 100) g; CREATE FUNCTION price() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE POLICY mine ON t USING (id > 0); ${NIGHTLY}`, 'defined');
  await atSource('CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 500) g; CREATE TABLE nightly AS SELECT * FROM t; GRANT SELECT ON t TO reader; CREATE TABLE parent (id int); CREATE TABLE child () INHERITS (parent); DROP TABLE child', 'temporary');
  manifest = await manifestsOf(() => source).take();
  await atSource('UPDATE t SET v = v + 1 WHERE id % 2 = 0; CREATE ROLE made_since', 'a_demo');
  await atSource('GRANT SELECT ON t TO reader', 'flips');
  await atSource('DROP TABLE nightly; ALTER TABLE moved SET SCHEMA other; ALTER TABLE moved_and_lost RENAME TO kept; ALTER TABLE swapped RENAME TO swapped_out; ALTER TABLE unlogged SET UNLOGGED; CREATE TABLE passing (id int)', 'absent');
  await atSource('DROP TABLE nightly', 'defined');
  await atSource('REVOKE SELECT ON t FROM reader; DROP TABLE nightly', 'temporary');
  session = new Client(source.config('temporary'));
  await session.connect();
  await session.query(`CREATE TEMP TABLE state (id serial PRIMARY KEY, v text DEFAULT 'x' CHECK (v <> '')); CREATE TEMP VIEW shown AS SELECT * FROM state; COMMENT ON TABLE state IS 'of one session'; CREATE FUNCTION pg_temp.f(state) RETURNS int LANGUAGE sql AS 'SELECT 1'`);
  await atSource('UPDATE t SET v = v + 1 WHERE id % 2 = 0', 'renamed');
  await atSource('CREATE TABLE stock_new AS SELECT g AS id FROM generate_series(1, 50) g', 'granted');
  await atSource('DROP VIEW shown; DROP TABLE stock; ALTER TABLE stock_new RENAME TO stock; CREATE VIEW shown AS SELECT * FROM stock', 'granted');
  await atSource('DROP DATABASE stage');
  await atSource('CREATE DATABASE stage');
  await atSource('CREATE TABLE loaded AS SELECT g AS id FROM generate_series(1, 1000) g; CREATE TABLE kept AS SELECT * FROM loaded; CREATE TABLE held AS SELECT * FROM loaded', 'stage');
  await atSource('DROP DATABASE dropped');
  await atSource('ALTER DATABASE swapped RENAME TO swapped_before');
  for (const name of ['dropped', 'swapped']) await atSource(`CREATE DATABASE ${name} TEMPLATE template_of_ours`);
  await atSource(`SELECT nextval('ids') FROM generate_series(1, 5); SELECT nextval('others') FROM generate_series(1, 5)`, 'dropped');
  copy = await openedCopy(source, OF_BOTH);
});
afterAll(async () => {
  await session.end();
  await Promise.all([source.stop(), copy.stop()]);
});

const compare = (database: string): Promise<ComparisonResult> => compareLiving({ copy, source, manifest, database });
const onCopy = asking(() => copy);
/** As older programs took it. */
const older = (): Manifest => ({ ...manifest, databases: manifest.databases.map((entry) => ({ ...entry, tables: entry.tables.map((table) => ({ ...table, oid: undefined })) })) });
const openOf = ({ notVerified }: ComparisonResult) => notVerified.filter(({ byDesign }) => !byDesign).map(({ what, why }) => `${what}: ${why.split(/[,;:(]/)[0]?.trim()}`);

describe('a database that the source has made anew since from the same template', () => {
  it('is another one with rows of the same transactions at the same places: no source of the copy', async () => {
    expect(manifest.databases[0]?.database).toBe('a_demo');
    expect(openOf(await compare('a_demo'))).toEqual([]);
    await atSource('DROP DATABASE a_demo');
    await atSource('CREATE DATABASE a_demo TEMPLATE template_of_ours');
    const result = await compare('a_demo');
    expect(result.differences).toEqual([]);
    expect(result.coverage).toMatchObject({ byManifest: 1000, bySource: 0, unknown: 1000 });
    // The role that was made between manifest and copy is as at the source, over whatever database.
    expect(openOf(result)).toEqual(['1000 of 1000 rows of public.t: they are not as the manifest has them']);
  });
});

describe('a database whose name another one had by the instant of the copy', () => {
  const namesake = ({ notVerified }: ComparisonResult) => notVerified.filter(({ what }) => what === 'the database that had this name by the manifest').map(({ why, byDesign }) => `${byDesign ? 'by design' : 'open'}: ${why.split(';')[0]}`);

  it('is open where the copy has it by another name, since nothing of it was compared', async () => {
    const result = await compare('swapped');
    expect([result.differences, namesake(result)]).toEqual([[], ['open: it was renamed since, and another one has its name']]);
    expect(result.notVerified.find(({ what }) => what.startsWith('the database'))?.why).toContain('the copy has it as swapped_before, of which nothing was compared');
  });

  it('is rightly not there where the source has dropped it', async () => {
    // The one of that name has, in files of the same numbers, rows of the template that it had deleted.
    await atSource('UPDATE t SET v = v + 1', 'dropped');
    const result = await compare('dropped');
    expect([result.differences, namesake(result)]).toEqual([[], ['by design: the source has dropped it since, and another one has its name, which was compared in its place']]);
  });

  it('has sequences that stand where the manifest cannot know', async () => {
    const positions = async (living: Server | null) => {
      const { differences, notVerified } = await compareLiving({ copy, source: living, manifest, database: 'dropped' });
      return [differences, notVerified.flatMap(({ what, why, byDesign }) => (what.startsWith('position') ? [`${byDesign ? 'by design' : 'open'}: ${what}: ${why.split(',')[0]}`] : [])).toSorted()];
    };
    const byDesign = ['ids', 'others'].map((name) => `by design: position of sequence public.${name}: another database than the manifest means had this name by the instant of the copy`);
    await atSource(`SELECT nextval('ids') FROM generate_series(1, 600)`, 'dropped');
    expect([await positions(source), (await positions(null))[1]]).toEqual([[[], byDesign], byDesign]);
    await onCopy('ALTER SEQUENCE others RESTART', 'dropped');
    expect(await positions(source)).toEqual([[expect.objectContaining({ sequence: 'public.others', problem: 'behindItself' })], byDesign.slice(0, 1)]);
  });

  it('has tables that hold as many rows as they may, whatever the manifest has of one of that name', async () => {
    await atSource('TRUNCATE loaded; INSERT INTO loaded SELECT generate_series(1, 900)', 'stage');
    const result = await compare('stage');
    expect([result.differences, rowsLeft(result)]).toEqual([[], ['by design: 1000 of 1000 rows of public.loaded: the source has written all rows of the table anew since the instant of the copy']]);
    // Nor does it say how much of one there is that nobody can read.
    await onCopy(`BEGIN; DROP TABLE loaded; PREPARE TRANSACTION 'held'`, 'stage');
    try {
      expect((await compare('stage')).notVerified).toContainEqual(expect.objectContaining({ what: 'contents of public.loaded', byDesign: false }));
    } finally {
      await onCopy(`ROLLBACK PREPARED 'held'`, 'stage');
    }
  });

  it('is lost where the source has had it by another name all the while', async () => {
    await onCopy('DROP DATABASE swapped_before');
    expect((await compare('swapped')).differences).toEqual([{ kind: 'catalog', object: 'database', identity: 'swapped', change: 'missing' }]);
  });
});

describe('a table of the manifest that the copy has not', () => {
  const tables = ({ differences }: ComparisonResult) => differences.flatMap((difference) => (difference.kind === 'rows' ? [difference.table] : [])).toSorted();
  const contents = ({ notVerified }: ComparisonResult) => notVerified.flatMap(({ what, why, byDesign }) => (what.startsWith('contents of ') ? [`${byDesign ? 'by design' : 'open'}: ${what}: ${why.split(/[,;:(]/)[0]?.trim()}`] : [])).toSorted();
  const UNLOGGED = 'by design: contents of public.unlogged: it was UNLOGGED at the instant of the copy';
  const ANEW = 'by design: contents of public.nightly: the source has another one of this name by now';

  it('is lost where the source has it, or has the same one by another name, and is rightly not there where the source made it anew', async () => {
    await atSource('CREATE TABLE nightly AS SELECT * FROM base; CREATE INDEX nightly_id ON nightly (id); CREATE TABLE swapped AS SELECT * FROM base; ALTER TABLE unlogged SET LOGGED', 'absent');
    const before = await compare('absent');
    expect([before.differences, contents(before), openOf(before)]).toEqual([[], [ANEW, UNLOGGED], []]);
    expect(contents(await compareLiving({ copy, source, manifest: older(), database: 'absent' }))).toEqual([
      'by design: contents of public.moved: neither the copy nor the source has a table of this name',
      'by design: contents of public.moved_and_lost: neither the copy nor the source has a table of this name',
      'by design: contents of public.unlogged: it was UNLOGGED at the instant of the copy',
      'open: contents of public.nightly: it is not in the copy',
      'open: contents of public.swapped: it is not in the copy',
    ]);
    await onCopy('DROP TABLE kept', 'absent');
    await onCopy(`SET allow_system_table_mods = on; DELETE FROM pg_class WHERE relname IN ('lost', 'swapped_since')`, 'absent');
    // Of what it has altered since, the catalog of the source tells nothing any more; its number does.
    await atSource('GRANT SELECT ON lost, kept TO reader; ALTER TABLE swapped_since RENAME TO swapped_before; ALTER TABLE swapped_before SET SCHEMA other; CREATE TABLE swapped_since AS SELECT * FROM base', 'absent');
    const result = await compare('absent');
    expect(tables(result)).toEqual(['public.lost', 'public.moved_and_lost', 'public.swapped_since']);
    expect(contents(result).filter((one) => one.startsWith('by design'))).toEqual([UNLOGGED]);
  });

  it('is lost where the source had made it anew by the instant of the copy', async () => {
    await onCopy('DROP TABLE passing', 'absent');
    const by: Manifest = { ...manifest, databases: manifest.databases.map((entry) => ({ ...entry, tables: [...entry.tables, ...entry.tables.filter(({ name }) => name === 'nightly').map((table) => ({ ...table, name: 'passing' }))] })) };
    expect((await compareLiving({ copy, source, manifest: by, database: 'absent' })).differences).toContainEqual({ kind: 'catalog', object: 'table', identity: 'public.passing', change: 'missing' });
  });

  it('is lost where the source had put another in its place by the instant of the copy, also if it has granted something on that since', async () => {
    await onCopy(`SET allow_system_table_mods = on; DELETE FROM pg_class WHERE relname IN ('stock', 'shown')`, 'granted');
    await atSource('GRANT SELECT ON stock, shown TO reader', 'granted');
    const result = await compare('granted');
    expect(result.differences).toContainEqual({ kind: 'catalog', object: 'table', identity: 'public.stock', change: 'missing' });
    expect(contents(result)).toEqual([]);
    // A view has no columns but those of users.
    const [entry] = manifest.databases.filter(({ database }) => database === 'granted');
    const by: Manifest = { ...manifest, databases: [{ ...entry!, tables: entry!.tables.map((table) => ({ ...table, name: 'shown' })) }] };
    expect((await compareLiving({ copy, source, manifest: by, database: 'granted' })).differences).toContainEqual({ kind: 'catalog', object: 'view', identity: 'public.shown', change: 'missing' });
  });

  it('is lost where the copy has it UNLOGGED by a transaction that was over by the manifest, which saw it logged, whatever became of it at the source', async () => {
    const { rows: [row] } = await onCopy('SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS next');
    const next = String(row?.next);
    const by: Manifest = { ...manifest, databases: manifest.databases.map((entry) => ({ ...entry, transactions: { finishedBelow: next, begunBelow: next }, takenAtBySource: undefined })) };
    const lost = async () => tables(await compareLiving({ copy, source, manifest: by, database: 'absent' })).includes('public.unlogged');
    expect(await lost()).toBe(true);
    await atSource('DROP TABLE unlogged', 'absent');
    expect(await lost()).toBe(true);
    // Of a database that is another one, the numbers say nothing.
    by.databases = by.databases.map((entry) => ({ ...entry, oid: 1 }));
    expect(await lost()).toBe(false);
  });

});

describe('definitions that the copy lacks, and the source has made or altered since', () => {
  it('are no loss where they are of a table that was made anew', async () => {
    await atSource(NIGHTLY, 'defined');
    const result = await compare('defined');
    expect([result.differences, openOf(result)]).toEqual([[], []]);
  });

  it('are open: nothing tells any more whether they were dropped by the instant of the copy, or lost', async () => {
    await onCopy('DROP FUNCTION price(); DROP POLICY mine ON t', 'defined');
    expect((await compare('defined')).differences).toEqual(expect.arrayContaining(['public.price()', 'mine on public.t'].map((identity) => expect.objectContaining({ identity, change: 'missing' }) as unknown)));
    await atSource(`CREATE OR REPLACE FUNCTION price() RETURNS int LANGUAGE sql AS 'SELECT 2'; ALTER POLICY mine ON t USING (id > 1)`, 'defined');
    const result = await compare('defined');
    expect([result.differences, openOf(result).toSorted()]).toEqual([[], ['function public.price(): the copy lacks it', 'policy mine on public.t: the copy lacks it']]);
  });
});

describe('what a copy drops or writes by itself', () => {
  it('as tables of sessions that it does not have, and that one has no children any more, is no loss', async () => {
    await atSource('GRANT SELECT ON t TO reader; CREATE TABLE nightly AS SELECT * FROM t', 'temporary');
    await onCopy('CHECKPOINT');
    copy = await whileStopped(copy, { ...OF_BOTH, fsync: 'off', autovacuum: 'on', autovacuum_naptime: '1s' }, () => Promise.resolve());
    await expect.poll(async () => (await onCopy(`SELECT relname FROM pg_class WHERE relpersistence = 't'`, 'temporary')).rows, PATIENT).toEqual([]);
    // As autovacuum does, which notes what it finds in another version of the row.
    const row = async () => (await onCopy(`SELECT ctid, relhassubclass FROM pg_class WHERE relname = 'parent'`, 'temporary')).rows[0] as unknown;
    const before = await row();
    await onCopy('ANALYZE parent', 'temporary');
    expect([before, await row()]).toEqual([expect.objectContaining({ relhassubclass: true }), expect.objectContaining({ relhassubclass: false })]);
    expect(await row()).not.toMatchObject({ ctid: (before as { ctid: string }).ctid });
    const result = await compare('temporary');
    expect([result.differences, openOf(result)]).toEqual([[], []]);
  });
});

describe('catalogs that the source has written anew since, so that their rows stand elsewhere', () => {
  it('leave open what was changed and changed back', async () => {
    await atSource('REVOKE SELECT ON t FROM reader', 'flips');
    expect(await compare('flips')).toMatchObject({ differences: [] });
    await atSource('VACUUM FULL pg_class', 'flips');
    const result = await compare('flips');
    expect([result.differences, openOf(result)]).toEqual([[], ['grant on relation public.t to reader: differs from the manifest']]);
  });

  it('leave open a table that was altered since, whose row in pg_class is not where it was', async () => {
    await atSource('ALTER TABLE t RENAME COLUMN v TO w', 'renamed');
    expect(await compare('renamed')).toMatchObject({ differences: [] });
    await atSource('VACUUM FULL pg_class', 'renamed');
    const result = await compare('renamed');
    expect([result.differences, openOf(result)]).toEqual([[], ['1000 of 1000 rows of public.t: the source has rewritten or altered the table since']]);
  });

  it('hide no loss: what others, or the number of the table, tell of is damage, and what nothing does is open', async () => {
    await onCopy('DROP TABLE kept', 'lost');
    await atSource('VACUUM FULL pg_class', 'lost');
    expect((await compare('lost')).differences).toContainEqual(expect.objectContaining({ kind: 'rows', table: 'public.kept' }));
    await atSource('VACUUM FULL', 'lost');
    expect((await compare('lost')).differences).toEqual([expect.objectContaining({ kind: 'rows', table: 'public.kept' })]);
    const result = await compareLiving({ copy, source, manifest: older(), database: 'lost' });
    expect([result.differences, openOf(result)]).toEqual([[], expect.arrayContaining(['table public.kept: differs from the manifest', 'contents of public.kept: it is not in the copy'])]);
  });
});
