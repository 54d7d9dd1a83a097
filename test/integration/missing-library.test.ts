import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readSourceFacts } from '../../activities/archive/source-facts.ts';
import { missingLibraries } from '../../activities/archive-provider/missing-libraries.ts';
import { comparisonChecks, reasonsOf } from '../../activities/dr-test/findings.ts';
import { runOwnChecks } from '../../activities/dr-test/own-checks.ts';
import { compareWithManifest } from '../../activities/manifest/compare-manifest.ts';
import { libraryTrouble } from '../../activities/postgres/library-trouble.ts';
import { classify } from '../../activities/temporal/classify.ts';
import type { Manifest } from '../../contracts/manifest.ts';
import { copyBinaries } from '../support/copied-binaries.ts';
import { manifestsOf } from '../support/manifest-scenario.ts';
import { type Server, startCluster } from '../support/postgres.ts';

/** A library of this host's PostgreSQL that is gone, though the control file of its extension is there, says nothing of a backup. */
let server: Server;
let binaries: Awaited<ReturnType<typeof copyBinaries>>;
let manifest: Manifest;

const signal = new AbortController().signal;
/** Servers before 18 name it as the function does. */
const SAID = String.raw`could not access file "(\$libdir/)?hstore": No such file or directory`;
const INSTALL = 'install that library for it, in the version that the source has';
const matching = (text: string) => expect.stringMatching(new RegExp(`^${text}$`)) as string;
const sql = (text: string, database = 'shop') => server.withClient(database, async (client) => (await client.query<Record<string, unknown>>(text)).rows);
/** Servers load a library once for each session, so what is gone is missed by the next one. */
async function without(work: () => Promise<void>, name = 'hstore.so'): Promise<void> {
  const file = join(binaries.libDirectory, name);
  await rename(file, `${file}.aside`);
  try {
    await work();
  } finally {
    await rename(`${file}.aside`, file);
  }
}
const failureOf = (text: string) => sql(text).then(() => { throw new Error('it did not fail'); }, (error: unknown) => error as Error & { code: string });

beforeAll(async () => {
  binaries = await copyBinaries();
  server = await startCluster({ logical: true, binDirectory: binaries.binDirectory, settings: { autovacuum: 'off', shared_buffers: '16MB' } });
  for (const name of ['shop', 'stock']) await sql(`CREATE DATABASE ${name}`, 'postgres');
  await sql(`CREATE EXTENSION hstore; CREATE TABLE t AS SELECT g AS id, hstore('a', '1') AS h FROM generate_series(1, 20000) g;
    CREATE TABLE late AS SELECT g AS id FROM generate_series(1, 100) g; CREATE TABLE other AS SELECT * FROM late; ALTER TABLE late ADD h hstore DEFAULT 'a=>1'; ALTER TABLE other ADD n int DEFAULT 7`, 'stock');
  await sql(`CREATE EXTENSION hstore; CREATE EXTENSION bloom;
    CREATE TABLE t (id int, h hstore NOT NULL DEFAULT 'a=>1'); INSERT INTO t SELECT g FROM generate_series(1, 20000) g;
    CREATE TABLE plain AS SELECT g AS id FROM generate_series(1, 100) g; CREATE TABLE lost AS SELECT * FROM plain; CHECKPOINT`);
  manifest = await manifestsOf(() => server).take();
});
afterAll(() => server.stop());

describe('a comparison', () => {
  const compare = (depth: 'quick' | 'standard' = 'standard', database = 'shop') => compareWithManifest({ connect: (name) => server.config(name), manifest, database, connections: 2, depth, signal });

  it('leaves open what needs the library, names that and what to do, and compares all else', async () => {
    const whole = await compare();
    const ofT = manifest.databases.find(({ database }) => database === 'shop')?.tables.find(({ name }) => name === 't');
    const [bytesOfT, bucketsOfT] = [ofT?.bytes ?? 0, ofT?.buckets.length ?? 0];
    expect(bucketsOfT).toBeGreaterThan(1);
    expect(whole).toMatchObject({ equal: true, differences: [], counted: { tables: 0 } });
    await without(async () => {
      const { notVerified, ...result } = await compare();
      expect(result).toMatchObject({ equal: true, differences: [], counted: { tables: 1, rows: 20_000 }, compared: { ...whole.compared, tables: whole.compared.tables - 1, rows: whole.compared.rows - 20_000, buckets: whole.compared.buckets - bucketsOfT, bytes: whole.compared.bytes - bytesOfT } });
      expect(reasonsOf(notVerified).open).toEqual([matching(`shop, contents of public\\.t: this host's PostgreSQL cannot load a library that reading it needs \\(${SAID}\\): ${INSTALL}, and drill again`)]);
      expect(comparisonChecks({ notVerified, ...result })).toMatchObject([{ name: 'contents of shop', outcome: 'passed', detail: expect.stringMatching(/^200 rows in \d+ tables.*; 20000 rows in 1 tables are as many as there, and were not compared$/) as string }]);
      // To count rows nothing of it is needed.
      expect(await compare('quick')).toMatchObject({ differences: [], counted: { tables: whole.compared.tables, rows: 20_200 } });
    });
  });

  it('counts what it cannot read, and leaves open values of its type in the catalog, whatever else is damaged', async () => {
    const whole = await compare('standard', 'stock');
    expect(whole).toMatchObject({ equal: true, compared: { rows: 20_200 }, counted: { tables: 0 } });
    await sql('DELETE FROM t WHERE id > 10; DELETE FROM late WHERE id > 10; DELETE FROM other WHERE id = 1; ALTER TABLE other ALTER n SET NOT NULL; CREATE TABLE extra (id int)', 'stock');
    const lacking = (name: string, rowsExpected: number, rowsFound: number) => expect.objectContaining({ kind: 'rows', table: `public.${name}`, rowsExpected, rowsFound }) as unknown;
    await without(async () => {
      for (const depth of ['quick', 'standard'] as const) {
        const { differences, notVerified, compared } = await compare(depth, 'stock');
        expect(differences.filter(({ kind }) => kind === 'rows'), depth).toHaveLength(3);
        expect(differences, depth).toEqual(expect.arrayContaining([
          lacking('t', 20_000, 10), lacking('late', 100, 10), lacking('other', 100, 99),
          { kind: 'catalog', object: 'column', identity: 'public.other.n', change: 'changed' }, { kind: 'catalog', object: 'table', identity: 'public.extra', change: 'unexpected' },
        ]));
        expect(differences.filter((one) => one.kind === 'catalog' && one.object === 'missing value')).toEqual([]);
        // Those of `late` and `other`.
        expect(compared.catalogObjects).toBe(whole.compared.catalogObjects - 2);
        const { open } = reasonsOf(notVerified);
        expect(open).toContainEqual(matching(`stock, every missing value of a column, .*: this host's PostgreSQL cannot load a library that reading it needs \\(${SAID}\\): ${INSTALL}, and drill again`));
        expect(open.filter((one) => / contents of public\.(t|late): /.test(one))).toHaveLength(depth === 'standard' ? 2 : 0);
      }
    });
  });

  it('still finds what differs beside that, and a file that a table has lost, which PostgreSQL calls the same', async () => {
    const [file] = await sql(`SELECT pg_relation_filepath('lost') AS path`);
    await sql('CREATE TABLE other AS SELECT 1 AS id; UPDATE plain SET id = -1 WHERE id = 7');
    await rm(join(server.dataDirectory, String(file?.['path'])));
    await without(async () => {
      const { differences, notVerified } = await compare();
      expect(differences).toContainEqual(expect.objectContaining({ kind: 'unreadable', table: 'public.lost', code: '58P01' }));
      expect(differences).toContainEqual(expect.objectContaining({ kind: 'rows', table: 'public.plain' }));
      expect(differences.filter((one) => 'table' in one && one.table === 'public.t')).toEqual([]);
      expect(reasonsOf(notVerified).open).toEqual([expect.stringContaining('contents of public.t') as string]);
    });
  });
});

it('a manifest is given up for good where the source itself cannot load what reading needs', async () => {
  await sql('DROP TABLE lost');
  await without(async () => {
    const error = await manifestsOf(() => server).take().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ type: 'unreadable', message: matching(`PostgreSQL cannot read table public\\.t of database shop \\(${SAID}\\): it can be backed up, but not compared exactly`) });
  });
});

describe("the owner's checks", () => {
  const run = (...checks: string[]) => runOwnChecks((name) => server.config(name), checks.map((text, n) => ({ name: `c${n}`, sql: text, expect: '1' })), { database: 'shop', signal });

  it('have no answer where they need the library, and fail as ever where they do not', async () => {
    await without(async () => {
      const unloaded = { outcome: 'skipped', detail: matching(`could not be run, since the PostgreSQL of the copy cannot load a library that it needs \\(${SAID}\\): ${INSTALL}`) };
      expect(await run(`SELECT h -> 'a' FROM t LIMIT 1`, 'SELECT 1', 'SELECT 2', 'SELECT * FROM gone')).toEqual([
        { name: 'c0', ...unloaded }, { name: 'c1', outcome: 'passed', detail: 'as expected' }, { name: 'c2', outcome: 'failed', detail: 'is not 1' }, { name: 'c3', outcome: 'failed', detail: 'could not be run (42P01, undefined table)' },
      ]);
    });
    expect(await run(`SELECT h -> 'a' FROM t LIMIT 1`)).toMatchObject([{ outcome: 'passed' }]);
  });
});

describe('what PostgreSQL says of a library', () => {
  beforeEach(() => sql(`DROP FUNCTION IF EXISTS broken(); SET check_function_bodies = off; CREATE FUNCTION broken() RETURNS int LANGUAGE c AS '$libdir/hstore', 'hstore_version_diag'`));
  const pointTo = (probin: string, symbol = 'hstore_out') => sql(`UPDATE pg_proc SET probin = '${probin}', prosrc = '${symbol}' WHERE proname = 'broken'`);

  it.each([
    ['is not there', '$libdir/gone', /^could not access file ".*gone": No such file or directory$/],
    ['is no library', '/etc/passwd', /^could not load library "\/etc\/passwd": /],
    ['is of another version', '$libdir/lo', /^could not find function "hstore_out" in file /],
    ['is named as nothing that there is', '$nothing/x', /^invalid macro name/],
  ])('that %s is of the host, and stops what cannot do without', async (_what, probin, said) => {
    await pointTo(probin);
    const error = await failureOf('SELECT broken()');
    expect(libraryTrouble(error)).toMatch(said);
    expect(classify(error)).toMatchObject({ type: 'PREFLIGHT', nonRetryable: true, message: expect.stringContaining(`: ${error.message}; install that library`) as string });
  });

  it('is nothing that its functions say, nor that somebody may not use LOAD', async () => {
    for (const text of [`SELECT 'a'::hstore`, 'SELECT no_such_function()', `SET ROLE pg_monitor; LOAD 'hstore'`, `DO $$ BEGIN RAISE 'could not access file "hstore"' USING ERRCODE = '58P01'; END $$`]) expect(libraryTrouble(await failureOf(text)), text).toBeUndefined();
  });
});

describe('the libraries of a backup', () => {
  const read = async (user = server.superuser) => {
    const connection = { ...server.config('shop'), user };
    return server.withClient('postgres', async (client) => {
      if (user !== server.superuser) await client.query(`SET SESSION AUTHORIZATION ${user}`);
      return (await readSourceFacts({ client, connection })).databases.find(({ name }) => name === 'shop');
    });
  };
  beforeAll(async () => {
    await sql(`DROP FUNCTION IF EXISTS broken(); SET check_function_bodies = off; CREATE ROLE reader LOGIN; GRANT pg_read_all_settings, pg_monitor TO reader; GRANT EXECUTE ON FUNCTION pg_control_system() TO reader`);
    for (const [name, probin] of [['own', '$libdir/lo'], ['absolute', join(binaries.libDirectory, 'citext')], ['left_of_an_upgrade', '$libdir/postgis-2.5'], ['with_ending', '$libdir/tcn.so'], ['relative', 'some/where']]) {
      await sql(`CREATE FUNCTION ${name}() RETURNS trigger LANGUAGE c AS '$libdir/tcn', 'triggered_change_notification'; UPDATE pg_proc SET probin = '${probin}' WHERE proname = '${name}'`);
    }
  });
  const ofExtensions = [{ file: '$libdir/bloom', extension: 'bloom' }, { file: '$libdir/hstore', extension: 'hstore' }];

  it('are those that the source surely has, as far as its role may see that', async () => {
    const own = ['$libdir/lo', '$libdir/tcn.so', join(binaries.libDirectory, 'citext')].map((file) => ({ file, extension: null }));
    expect((await read())?.libraries).toEqual(expect.arrayContaining([...ofExtensions, ...own]));
    expect((await read())?.libraries).toHaveLength(5);
    expect(await read('reader')).toMatchObject({ extensions: expect.arrayContaining([{ name: 'plpgsql', version: '1.0' }]) as unknown, libraries: ofExtensions });
    await without(async () => {
      expect((await read())?.libraries).not.toContainEqual(ofExtensions[1]);
      // Where it looks elsewhere, too, that is not known to who may not see it.
      await sql(`ALTER ROLE reader SET dynamic_library_path = '/elsewhere:$libdir'`);
      expect((await read('reader'))?.libraries).toEqual([]);
      await sql('ALTER ROLE reader RESET dynamic_library_path');
    });
  });

  it('are looked for on the host of a drill', async () => {
    const database = await read();
    const look = async (without: string[] = [], searchPath?: string) => missingLibraries({ databases: database ? [database] : [] }, binaries, { searchPath, without });
    expect(database?.libraries).toHaveLength(5);
    expect(await look()).toEqual([]);
    const { version } = database?.extensions?.find(({ name }) => name === 'hstore') ?? { version: '' };
    await without(async () => {
      expect(await look()).toEqual([`$libdir/hstore (extension hstore ${version})`]);
      expect(await look(['hstore'])).toEqual([]);
    });
    await without(async () => expect(await look()).toEqual(['$libdir/lo']), 'lo.so');
  });
});
