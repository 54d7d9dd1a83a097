import { afterAll, beforeAll, expect, test } from 'vitest';
import { compareWithManifest } from '../../activities/manifest/compare-manifest.ts';
import { Sessions } from '../../activities/manifest/session.ts';
import { listTables } from '../../activities/manifest/tables.ts';
import { takeManifest } from '../../activities/manifest/take-manifest.ts';
import { classify } from '../../activities/temporal/classify.ts';
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
});
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
});

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
});

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
});

test('a cast of users is not what a value is read by: it may leave something out, and is code of theirs', async () => {
  await run('CREATE DATABASE lossy');
  await run(`
    CREATE TYPE share AS (amount int, who aclitem); CREATE DOMAIN shares AS share; CREATE FUNCTION shown(share) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE WARNING 'a cast ran'; RETURN 'a share'; END $$;
    CREATE CAST (share AS text) WITH FUNCTION shown; CREATE TABLE l (id int PRIMARY KEY, s share, d shares, n share); INSERT INTO l SELECT i, row(i, '=r/postgres')::share, row(i, '=r/postgres')::share FROM generate_series(1, 10) i`, 'lossy');
  const manifest = await take(['lossy']);
  expect((await compare(manifest, 'lossy')).differences).toEqual([]);
  for (const change of ['s.amount = 70', `d = row(70, '=r/postgres')::share`, 's = NULL', 'n = row(NULL, NULL)::share']) {
    await run(`BEGIN; CREATE TABLE kept AS SELECT * FROM l WHERE id = 7; UPDATE l SET ${change} WHERE id = 7; COMMIT`, 'lossy');
    expect((await compare(manifest, 'lossy')).differences).toContainEqual(expect.objectContaining({ kind: 'rows', table: 'public.l' }));
    await run('UPDATE l SET (s, d, n) = (SELECT s, d, n FROM kept) WHERE id = 7; DROP TABLE kept', 'lossy');
  }
  expect((await compare(manifest, 'lossy')).differences).toEqual([]);
  expect(server.log()).not.toContain('a cast ran');
});

test('what users put into the schemas of the system is compared as any other', async () => {
  await run('CREATE DATABASE extended');
  await run(`
    CREATE TABLE node (id int PRIMARY KEY, host text CHECK (host <> '')); INSERT INTO node SELECT i, 'host ' || i FROM generate_series(1, 10) i; ALTER TABLE node SET SCHEMA pg_catalog;
    CREATE FUNCTION pg_catalog.node_version() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TYPE pg_catalog.node_role AS ENUM ('main'); CREATE DOMAIN pg_catalog.node_name AS text CONSTRAINT named CHECK (VALUE <> '');
    CREATE OPERATOR pg_catalog.=== (FUNCTION = int4eq, LEFTARG = int4, RIGHTARG = int4);
    CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; CREATE TRIGGER noted INSTEAD OF UPDATE ON information_schema.tables FOR EACH ROW EXECUTE FUNCTION noted();
    CREATE TABLE information_schema.sizes AS SELECT 1 AS a; CREATE UNLOGGED TABLE information_schema.passing (a int)`, 'extended');
  const manifest = await take(['extended']);
  const [database] = manifest.databases;
  const system = database?.tables.filter(({ schema }) => schema !== 'public').map(({ schema, name }) => `${schema}.${name}`).sort();
  expect(system).toEqual(['information_schema.sizes', 'pg_catalog.node', 'pg_catalog.pg_largeobject', 'pg_catalog.pg_largeobject_metadata']);
  expect(manifest.notVerified).toContainEqual(expect.objectContaining({ what: 'unlogged table information_schema.passing', byDesign: true }));
  // What initdb made is none of it: there are thousands, and they are the same in every cluster of a version.
  expect(database?.catalog.filter(([kind]) => kind === 'function').map(([, identity]) => identity).sort()).toEqual(['pg_catalog.node_version()', 'public.noted()']);
  expect((await compare(manifest, 'extended')).differences).toEqual([]);
  await run(`
    UPDATE pg_catalog.node SET host = 'other' WHERE id = 7; DELETE FROM information_schema.sizes; ALTER TABLE pg_catalog.node DROP CONSTRAINT node_host_check;
    CREATE OR REPLACE FUNCTION pg_catalog.node_version() RETURNS int LANGUAGE sql AS 'SELECT 2'; DROP TYPE pg_catalog.node_role; ALTER DOMAIN pg_catalog.node_name DROP CONSTRAINT named;
    DROP OPERATOR pg_catalog.=== (int4, int4); DROP TRIGGER noted ON information_schema.tables`, 'extended');
  const { differences } = await compare(manifest, 'extended');
  expect(differences.map((difference) => difference.kind === 'rows' ? `rows of ${difference.table}` : difference.kind === 'catalog' ? `${difference.object} ${difference.identity} ${difference.change}` : difference.kind).sort()).toEqual([
    'constraint named on pg_catalog.node_name missing', 'constraint node_host_check on pg_catalog.node missing', 'enum label pg_catalog.node_role: \'main\' missing', 'function pg_catalog.node_version() changed',
    'operator pg_catalog."===" missing', 'rows of information_schema.sizes', 'rows of pg_catalog.node', 'table pg_catalog.node changed', 'trigger noted on information_schema.tables missing', 'type pg_catalog.node_role missing',
  ]);
});

test('comments on what initdb made are compared where people write them', async () => {
  await run('CREATE DATABASE commented');
  await run(`COMMENT ON SCHEMA public IS 'ours'; COMMENT ON EXTENSION plpgsql IS 'ours'; COMMENT ON ROLE postgres IS 'ours'`, 'commented');
  const manifest = await take(['commented']);
  expect((await compare(manifest, 'commented')).differences).toEqual([]);
  await run(`COMMENT ON SCHEMA public IS 'other'; COMMENT ON EXTENSION plpgsql IS NULL; COMMENT ON ROLE postgres IS NULL`, 'commented');
  expect((await compare(manifest, 'commented')).differences.map((difference) => difference.kind === 'catalog' ? [difference.object, difference.change] : [])).toEqual([['comment', 'changed'], ['comment', 'missing'], ['shared comment', 'missing']]);
});

test('a type that borrows the binary form of another is read as text', async () => {
  await run('CREATE DATABASE borrowed');
  await run(`
    CREATE DOMAIN pointer AS refcursor; CREATE TYPE holding AS (r refcursor);
    CREATE TABLE b (id int PRIMARY KEY, r refcursor, p pointer, h holding, ra refcursor[], t text); INSERT INTO b SELECT i, ('c' || i)::refcursor, ('p' || i)::refcursor, row(('h' || i)::refcursor)::holding, ARRAY['a' || i]::refcursor[], 't' FROM generate_series(1, 10) i`, 'borrowed');
  const manifest = await take(['borrowed']);
  expect((await compare(manifest, 'borrowed')).differences).toEqual([]);
  for (const [column, value] of [['r', `'C7'`], ['p', `'P7'`], ['h', `row('H7')::holding`], ['ra', `ARRAY['A7']::refcursor[]`]] as const) {
    await run(`BEGIN; CREATE TABLE kept AS SELECT * FROM b WHERE id = 7; UPDATE b SET ${column} = ${value} WHERE id = 7; COMMIT`, 'borrowed');
    expect((await compare(manifest, 'borrowed')).differences).toContainEqual(expect.objectContaining({ kind: 'rows', table: 'public.b' }));
    await run(`UPDATE b SET ${column} = (SELECT ${column} FROM kept) WHERE id = 7; DROP TABLE kept`, 'borrowed');
  }
});

test('settings of the source alone change nothing of what is read', async () => {
  await run('CREATE DATABASE settled');
  await run(`
    CREATE TABLE s (a text, b regclass, c interval, d xml); INSERT INTO s VALUES ('x', 's', '1 day', '<a/>');
    CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (host 'one')`, 'settled');
  const options = ['quote_all_identifiers=on', 'standard_conforming_strings=off', 'escape_string_warning=on', 'default_transaction_isolation=serializable', 'default_transaction_deferrable=on', 'transform_null_equals=on', 'array_nulls=off',
    'backslash_quote=off', 'xmlbinary=hex', 'enable_seqscan=off', 'enable_tidscan=off', 'default_text_search_config=simple', 'timezone=Asia/Tokyo'].map((setting) => `-c ${setting}`).join(' ');
  const manifest = await server.withClient('settled', async (other) => {
    // What is serializable, deferrable and read-only begins when no such transaction is open.
    await other.query('BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT FROM s');
    return takeManifest({ connect: (database) => ({ ...server.config(database), options }), databases: ['settled'], applicationName: 'manifest-test', signal: live() });
  });
  expect((await compare(manifest, 'settled')).differences).toEqual([]);
});

test('no limit of the database ends the transaction that exports a snapshot', async () => {
  const sessions = new Sessions({ connect: (database) => server.config(database), applicationName: 'manifest-test', limits: { statementTimeoutMs: 0, lockTimeoutMs: 0 }, signal: live() });
  try {
    await run('CREATE DATABASE hasty');
    const { rows } = await run(`SELECT name FROM pg_settings WHERE name IN ('transaction_timeout', 'idle_in_transaction_session_timeout')`);
    for (const { name } of rows as { name: string }[]) await run(`ALTER DATABASE hasty SET ${name} = '100ms'`);
    const exporter = await sessions.openReplication('hasty', 1000);
    for (const { name } of rows as { name: string }[]) expect((await exporter.query(`SHOW ${name}`)).rows).toEqual([{ [name]: '0' }]);
  } finally { await sessions.closeAll(); }
});

test('what PostgreSQL refuses to read of a table gives up the manifest, not the backup, and shows no value', async () => {
  await run('CREATE DATABASE refused');
  // The send function of this type takes no value of it, as that of an extension may.
  await run(`
    CREATE TYPE odd; CREATE FUNCTION odd_in(cstring) RETURNS odd IMMUTABLE STRICT LANGUAGE internal AS 'textin'; CREATE FUNCTION odd_out(odd) RETURNS cstring IMMUTABLE STRICT LANGUAGE internal AS 'textout';
    CREATE FUNCTION odd_send(odd) RETURNS bytea IMMUTABLE STRICT LANGUAGE internal AS 'uuid_send'; CREATE TYPE odd (INPUT = odd_in, OUTPUT = odd_out, SEND = odd_send, LIKE = text);
    CREATE FUNCTION fails(o odd) RETURNS bytea LANGUAGE plpgsql IMMUTABLE STRICT AS $$ BEGIN RAISE EXCEPTION 'secret %', o::text; END $$;
    UPDATE pg_type SET typsend = 'fails(odd)'::regprocedure WHERE typname = 'odd';
    CREATE TABLE o (a odd); INSERT INTO o VALUES ('hidden')`, 'refused');
  const error: unknown = await take(['refused']).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ type: 'unreadable', message: expect.stringMatching(/^PostgreSQL cannot read table public\.o of database refused \(SQLSTATE P0001\)/) as string });
  expect(String(error)).not.toMatch(/secret|hidden/);
  expect(classify(error)).toMatchObject({ type: 'MANIFEST_GAVE_UP', nonRetryable: true });
});

test('a column that gets another type without a rewrite while others are read is read anew as what it is then', async () => {
  await run('CREATE DATABASE retyped');
  // What is a text needs no rewrite to be one, as with citext.
  await run(`
    CREATE TYPE plain; CREATE FUNCTION plain_in(cstring) RETURNS plain IMMUTABLE STRICT LANGUAGE internal AS 'textin'; CREATE FUNCTION plain_out(plain) RETURNS cstring IMMUTABLE STRICT LANGUAGE internal AS 'textout';
    CREATE FUNCTION plain_send(plain) RETURNS bytea IMMUTABLE STRICT LANGUAGE internal AS 'textsend'; CREATE TYPE plain (INPUT = plain_in, OUTPUT = plain_out, SEND = plain_send, LIKE = text, COLLATABLE = true);
    CREATE CAST (text AS plain) WITHOUT FUNCTION AS IMPLICIT; CREATE CAST (plain AS text) WITHOUT FUNCTION AS IMPLICIT; CREATE TABLE p (a text); INSERT INTO p VALUES ('x'); CREATE TABLE large AS SELECT repeat('x', 1000) FROM generate_series(1, 10000); ANALYZE`, 'retyped');
  let altering: Promise<unknown> | undefined;
  const manifest = await takeManifest({
    connect: (database) => server.config(database), databases: ['retyped'], applicationName: 'manifest-test', signal: live(), limits: { dutyCycle: 0.05, connections: 1 },
    onProgress: ({ phase }) => { if (phase === 'tables') altering ??= run('ALTER TABLE p ALTER a TYPE plain', 'retyped'); },
  });
  await altering;
  expect(manifest.cost.restarts).toEqual([expect.stringContaining('public.p')]);
  expect((await compare(manifest, 'retyped')).differences).toEqual([]);
});
