import { afterAll, beforeAll, expect, test } from 'vitest';
import { compareWithManifest } from '../../activities/manifest/compare-manifest.ts';
import { listTables } from '../../activities/manifest/tables.ts';
import { takeManifest } from '../../activities/manifest/take-manifest.ts';
import type { ComparisonResult, Manifest } from '../../contracts/manifest.ts';
import { startCluster, type Server } from '../support/postgres.ts';

let server: Server;
const live = (): AbortSignal => new AbortController().signal;
const run = (sql: string, database = 'postgres') => server.withClient(database, (client) => client.query(sql));
const take = (databases: string[]): Promise<Manifest> =>
  takeManifest({ connect: (database) => server.config(database), databases, applicationName: 'manifest-test', signal: live() });
const compare = (manifest: Manifest, database: string): Promise<ComparisonResult> =>
  compareWithManifest({ connect: (name) => server.config(name), manifest, database, connections: 1, depth: 'standard', signal: live() });

beforeAll(async () => {
  server = await startCluster({ logical: true, settings: { autovacuum: false } });
  await run('CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 100) g');
}, 60_000);
afterAll(() => server.stop());

test.each([
  ['by other queries', { catalogMethod: 'another' }],
  ['by a version that did not say how', { catalogMethod: undefined }],
])('definitions that were read %s are not verified, and no difference; rows are compared', async (_name, method) => {
  const manifest = await take(['postgres']);
  const [database] = manifest.databases;
  const other: Manifest = {
    ...manifest, ...method, globals: manifest.globals.map(([kind, identity]) => [kind, identity, 'other']),
    databases: database ? [{ ...database, catalog: database.catalog.map(([kind, identity]) => [kind, identity, 'other']) }] : [],
  };
  const equal = await compare(other, 'postgres');
  expect(equal.differences).toEqual([]);
  expect(equal.notVerified.filter(({ byDesign }) => !byDesign)).toEqual([{
    database: 'postgres', what: 'definitions and privileges', why: "the manifest's catalog was read by another version of this program; take a new backup", byDesign: false,
  }]);
  expect(equal.compared).toMatchObject({ catalogObjects: 0, rows: 100 });
  await run('UPDATE t SET id = 0 WHERE id = 1');
  expect((await compare(other, 'postgres')).differences).toMatchObject([{ kind: 'rows', table: 'public.t' }]);
  await run('UPDATE t SET id = 1 WHERE id = 0');
  expect((await compare(manifest, 'postgres')).notVerified.filter(({ byDesign }) => !byDesign)).toEqual([]);
});

test('a subscription that is made between the positions of two databases, and that the role may not read, is no difference', async () => {
  await run('CREATE ROLE reader LOGIN REPLICATION');
  for (const database of ['early', 'late']) {
    await run(`CREATE DATABASE ${database}`);
    await run('GRANT SELECT ON pg_user_mapping, pg_largeobject TO reader; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA pg_catalog TO reader', database);
  }
  const manifest = await server.withClient('late', async (client) => {
    let subscribing: Promise<unknown> | undefined;
    const taken = await takeManifest({
      connect: (database) => ({ ...server.config(database), user: 'reader' }), databases: ['early', 'late'], applicationName: 'manifest-test', signal: live(),
      onProgress: ({ phase, database }) => {
        // The snapshot of `early` is fixed by now, and does not see it; the position of `late` comes after it.
        if (phase === 'catalog' && database === 'early') subscribing = client.query(`CREATE SUBSCRIPTION made CONNECTION 'host=nowhere' PUBLICATION p WITH (connect = false, slot_name = NONE)`);
      },
    });
    await subscribing;
    return taken;
  });
  const open = (of: { notVerified: Manifest['notVerified'] }): unknown[] => of.notVerified.filter(({ byDesign }) => !byDesign).map(({ database, what }) => [database, what]);
  const hidden = ['late', 'connections and settings of subscriptions'];
  expect(open(manifest)).toEqual([[null, 'passwords of roles'], hidden]);
  const [early, late] = [await compare(manifest, 'early'), await compare(manifest, 'late')];
  expect([early.differences, late.differences]).toEqual([[], []]);
  expect([open(early), open(late)]).toEqual([[[null, 'passwords of roles']], [[null, 'passwords of roles'], hidden]]);
}, 60_000);

test('many secrets take no longer than some, and one that differs is noticed', async () => {
  await run('CREATE DATABASE tenants');
  await run(`
    CREATE FOREIGN DATA WRAPPER w;
    DO $$ BEGIN FOR i IN 1..3000 LOOP
      EXECUTE format('CREATE SERVER s%s FOREIGN DATA WRAPPER w', i);
      EXECUTE format('CREATE USER MAPPING FOR public SERVER s%s OPTIONS (password %L)', i, 'secret ' || i);
    END LOOP; END $$`, 'tenants');
  const manifest = await take(['tenants']);
  const started = performance.now();
  expect((await compare(manifest, 'tenants')).differences).toEqual([]);
  // One by one they take more than ten seconds.
  expect(performance.now() - started).toBeLessThan(5000);
  await run(`ALTER USER MAPPING FOR public SERVER s2000 OPTIONS (SET password 'other')`, 'tenants');
  expect((await compare(manifest, 'tenants')).differences).toEqual([{ kind: 'catalog', object: 'user mapping', identity: 'all options together', change: 'changed' }]);
}, 120_000);

test('a composite type with a part that has no binary form is read as text, however deep that lies, and others as before', async () => {
  await run('CREATE DATABASE composites');
  await run(`
    CREATE TYPE granted AS (who aclitem, n numeric); CREATE TYPE deep AS (all_of granted[], note text); CREATE DOMAIN rated AS deep; CREATE TYPE plain AS (a int, b text);
    CREATE TABLE c (id int PRIMARY KEY, g granted, d deep, r rated, ra rated[], p plain, pa plain[]);
    INSERT INTO c SELECT i, row('=r/postgres'::aclitem, 1.0)::granted, row(ARRAY[row('=r/postgres'::aclitem, i)::granted], 'x')::deep, row(ARRAY[row('=r/postgres'::aclitem, i)::granted], 'y')::deep, NULL, row(i, 'z')::plain, ARRAY[row(i, 'z')::plain] FROM generate_series(1, 100) i`, 'composites');
  const { tables } = await server.withClient('composites', async (client) => listTables(client, (await client.query<{ n: number }>(`SELECT current_setting('server_version_num')::int AS n`)).rows[0]?.n ?? 0));
  expect([...(tables.find(({ name }) => name === 'c')?.expression ?? '').matchAll(/(?:record|array)_send\("(\w+)"/g)].map(([, column]) => column)).toEqual(['p', 'pa']);
  const manifest = await take(['composites']);
  expect((await compare(manifest, 'composites')).differences).toEqual([]);
  for (const change of [`g.n = 1.00`, `d.note = 'X'`, `r = row(ARRAY[row('=r/postgres'::aclitem, 7.0)::granted], 'y')::deep`, `p.b = 'Z'`]) {
    await run(`BEGIN; CREATE TABLE kept AS SELECT * FROM c WHERE id = 7; UPDATE c SET ${change} WHERE id = 7; COMMIT`, 'composites');
    expect((await compare(manifest, 'composites')).differences).toContainEqual(expect.objectContaining({ kind: 'rows', table: 'public.c' }));
    await run('UPDATE c SET (g, d, r, ra, p, pa) = (SELECT g, d, r, ra, p, pa FROM kept) WHERE id = 7; DROP TABLE kept', 'composites');
  }
  expect((await compare(manifest, 'composites')).differences).toEqual([]);
}, 60_000);
