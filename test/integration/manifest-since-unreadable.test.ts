import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { comparisonChecks } from '../../activities/dr-test/findings.ts';
import { overAnyDatabase } from '../../activities/dr-test/over-any-database.ts';
import type { ComparisonResult, Manifest } from '../../contracts/manifest.ts';
import { compareLiving, OF_BOTH, OF_SOURCE } from '../support/living-source.ts';
import { manifestsOf } from '../support/manifest-scenario.ts';
import { openedCopy } from '../support/opened-copy.ts';
import { startCluster, type Server } from '../support/postgres.ts';
import { rowsLeft } from '../support/rows-left.ts';
import { spoilPage, whileStopped } from '../support/while-stopped.ts';

/** What of a copy, or of its source, cannot be read, or not by who reads it: no more is claimed than that, and all else is compared. */
let source: Server;
let copy: Server;
let manifest: Manifest;

const UNSAFE_SOURCE = { ...OF_SOURCE, fsync: 'off' };
const at = (server: () => Server) => async (sql: string, database = 'postgres') => server().withClient(database, async (client) => (await client.query<{ path: string }>(sql)).rows);
const atSource = at(() => source);
const onCopy = at(() => copy);

beforeAll(async () => {
  source = await startCluster({ logical: true, settings: UNSAFE_SOURCE });
  for (const name of ['a_lost', 'b_closed', 'closed_by_damage', 'definitions', 'libraries', 'prepared', 'spoilt', 'unlisted']) await atSource(`CREATE DATABASE ${name}`);
  for (const name of ['closed_by_damage', 'definitions', 'unlisted']) await atSource('CREATE TABLE orders AS SELECT g AS id FROM generate_series(1, 2000) g', name);
  await atSource('CREATE TABLE held AS SELECT g AS id FROM generate_series(1, 2000) g; CREATE TABLE quiet AS SELECT * FROM held; CREATE TABLE busy AS SELECT * FROM held', 'spoilt');
  await atSource('CREATE TABLE orders (id serial); INSERT INTO orders SELECT generate_series(1, 100); CREATE TABLE base AS SELECT * FROM orders; CREATE VIEW shown AS SELECT * FROM orders', 'prepared');
  await atSource(`CREATE EXTENSION hstore; CREATE TABLE kept AS SELECT g AS id FROM generate_series(1, 100) g; CREATE TABLE labels AS SELECT g AS id, hstore('a', g::text) AS h FROM generate_series(1, 2000) g; CREATE TABLE late AS SELECT * FROM kept; ALTER TABLE late ADD h hstore DEFAULT 'a=>1'`, 'libraries');
  manifest = await manifestsOf(() => source).take();
  await atSource('UPDATE held SET id = -id WHERE id % 100 = 0; UPDATE busy SET id = -id WHERE id % 100 = 0', 'spoilt');
  copy = await openedCopy(source, OF_BOTH);
});
afterAll(() => Promise.all([source.stop(), copy.stop()]));

const compare = (database: string, user?: string): Promise<ComparisonResult> => compareLiving({ copy: { config: (name) => ({ ...copy.config(name), ...(user === undefined ? {} : { user }) }) }, source, manifest, database });
const openOf = ({ notVerified }: ComparisonResult) => notVerified.filter(({ byDesign }) => !byDesign).map(({ what, why }) => `${what}: ${why}`);

describe('a database that who reads the copy may not connect to', () => {
  beforeAll(() => onCopy('CREATE ROLE master LOGIN; GRANT pg_read_all_data TO master; REVOKE CONNECT ON DATABASE b_closed FROM PUBLIC'));

  it('keeps nobody from seeing that another one is lost', async () => {
    await onCopy('DROP DATABASE a_lost');
    expect((await compare('a_lost', 'master')).differences).toContainEqual({ kind: 'catalog', object: 'database', identity: 'a_lost', change: 'missing' });
  });

  it('is open, with what to grant, and no end of the drill', async () => {
    const result = await compare('b_closed', 'master');
    expect([result.differences, openOf(result)]).toEqual([[], [expect.stringMatching(/^contents and definitions: the user as whom the copy is read may not read it there .* grant that user/)]]);
    expect(comparisonChecks(result)).toEqual([{ name: 'contents of b_closed', outcome: 'skipped', detail: 'nothing was compared' }]);
  });
});

describe('what a prepared transaction has locked in the copy for good', () => {
  afterAll(() => onCopy(`ROLLBACK PREPARED 'held'`, 'prepared'));

  it('is open, and keeps nothing else from being compared', async () => {
    await onCopy(`BEGIN; DROP TABLE orders CASCADE; PREPARE TRANSACTION 'held'`, 'prepared');
    const result = await compare('prepared');
    expect(openOf(result)).toEqual(['position of sequence public.orders_id_seq', '100 of 100 rows of public.orders'].map((what) => expect.stringMatching(`^${what}: a prepared transaction that came with the copy has it locked`) as string));
    expect(result).toMatchObject({ differences: [], preparedTransactions: ['held'], coverage: { byManifest: 100, unknown: 100 } });
    expect(result.compared.catalogObjects).toBeGreaterThan(0);
  });
});

describe('a library that the server of the copy cannot load', () => {
  it('is no damage: what needs it is open, with what to install, and all else is compared', async () => {
    await onCopy('DELETE FROM labels WHERE id > 10', 'libraries');
    await onCopy(`UPDATE pg_proc SET probin = '$libdir/hstore-1.3' WHERE probin = '$libdir/hstore'`, 'libraries');
    const result = await compare('libraries');
    expect(result.differences.filter(({ kind }) => kind !== 'catalog')).toEqual([]);
    expect(openOf(result)).toContainEqual(expect.stringMatching(/^every missing value of a column, .*: the copy cannot load a library \(could not access file ".*hstore-1\.3": No such file or directory\): install that library/));
    expect(result.compared.catalogObjects).toBeGreaterThan(0);
    expect(openOf(result)).toContainEqual(expect.stringMatching(/^10 of 10 rows of public\.labels, where the manifest has 1990 more: the copy cannot load a library \(could not access file ".*hstore-1\.3": No such file or directory\): install that library for it, in the version that the source has, and drill again$/));
    expect(result.coverage).toMatchObject({ byManifest: 100, unknown: 110 });
    expect(comparisonChecks(result)).toContainEqual({ name: 'table public.labels', outcome: 'skipped', detail: 'none of its 10 rows was compared' });
  });

  it('nor where a database that says to load it cannot be entered for that: it is open, and others are looked at', async () => {
    await onCopy(`ALTER DATABASE libraries SET session_preload_libraries = 'gone'`);
    const result = await compare('libraries');
    expect([result.differences, openOf(result)]).toEqual([[], [expect.stringMatching(/^contents and definitions: the copy cannot load a library \(could not access file "gone": No such file or directory\): install that library for it/)]]);
    expect(comparisonChecks(result)).toEqual([{ name: 'contents of libraries', outcome: 'skipped', detail: 'nothing was compared' }]);
    expect(await overAnyDatabase((name) => copy.config(name), 'libraries', (client) => Promise.resolve(client.database))).toBe('postgres');
  });
});

describe('a page of the source that cannot be read', () => {
  it('is no finding about the copy: the table is open, and all else is compared', async () => {
    const [file] = await atSource(`SELECT pg_relation_filepath('held') AS path`, 'spoilt');
    source = await whileStopped(source, { ...UNSAFE_SOURCE, shared_buffers: '128MB' }, () => spoilPage(source, file!.path, 1));
    const result = await compare('spoilt');
    expect(result.differences).toEqual([]);
    expect(rowsLeft(result).filter((one) => one.startsWith('open'))).toEqual([expect.stringMatching(/^open: \d+ of 2000 rows of public\.held: the source cannot read it$/)]);
    expect(openOf(result).join()).toContain('the source cannot read it (XX001)');
    await onCopy('DELETE FROM busy WHERE id = 7', 'spoilt');
    expect((await compare('spoilt')).differences).toEqual([expect.objectContaining({ kind: 'rows', table: 'public.busy' })]);
  });
});

describe("a page of the copy's catalog that cannot be read", () => {
  it('is damage, as a page of a table is', async () => {
    const [file] = await onCopy(`SELECT pg_relation_filepath('pg_proc') AS path`, 'definitions');
    copy = await whileStopped(copy, { ...OF_BOTH, fsync: 'off', autovacuum: 'off' }, () => spoilPage(copy, file!.path, -1));
    const result = await compare('definitions');
    expect(result).toMatchObject({ equal: false, differences: [{ kind: 'unreadable', code: 'XX001' }] });
    expect(comparisonChecks(result)).toEqual([{ name: 'table pg_catalog', outcome: 'failed', detail: expect.stringMatching(/^cannot be read \(XX001\): invalid page in block/) as string }]);
    // Its rows were compared all the same.
    expect(result.coverage).toMatchObject({ byManifest: 2000 });
  });

  it('is damage where tables cannot even be listed for it, and where nobody can connect for it', async () => {
    const [listed] = await onCopy(`SELECT pg_relation_filepath('pg_attribute') AS path`, 'unlisted');
    const [entered] = await onCopy(`SELECT pg_relation_filepath('pg_class') AS path`, 'closed_by_damage');
    copy = await whileStopped(copy, { ...OF_BOTH, fsync: 'off', autovacuum: 'off' }, async () => {
      await spoilPage(copy, listed!.path, -1);
      await spoilPage(copy, entered!.path, 0);
    });
    for (const database of ['unlisted', 'closed_by_damage']) {
      const result = await compare(database);
      expect(result, database).toMatchObject({ equal: false, differences: expect.arrayContaining([expect.objectContaining({ kind: 'unreadable', table: 'pg_catalog' })]) as unknown });
      expect(openOf(result).join(), database).toMatch(/contents (of tables|and definitions): the catalog of the copy cannot be read/);
    }
  });
});
