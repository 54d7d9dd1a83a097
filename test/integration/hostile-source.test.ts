import type { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readBucket } from '../../activities/manifest/read-bucket.ts';
import { listSequences, readPositions } from '../../activities/manifest/sequences.ts';
import { Sessions } from '../../activities/manifest/session.ts';
import { listTables, type Table } from '../../activities/manifest/tables.ts';
import { takeManifest } from '../../activities/manifest/take-manifest.ts';
import { withClient } from '../../activities/postgres/source.ts';
import { startCluster, type Server } from '../support/postgres.ts';
import { ranDuring } from '../support/ran-as.ts';

/**
 * A database whose owner is no superuser and wants to be one: what they put there must not run with the rights of the role
 * that reads. Theirs says so in the server's log, which a reading that may not write can do, too.
 */
let server: Server;
let version: number;
beforeAll(async () => {
  server = await startCluster({ logical: true });
  await asSuperuser('postgres', 'CREATE ROLE mallory LOGIN');
  await asSuperuser('postgres', 'CREATE DATABASE shop OWNER mallory');
  version = await server.withClient('postgres', async (client) => (await client.query<{ n: number }>(`SELECT current_setting('server_version_num')::int AS n`)).rows[0]?.n ?? 0);
  await asMallory(`CREATE SCHEMA s; CREATE SCHEMA evil`);
  for (const [kind, type] of [['volatile', 'boolean'], ['immutable', 'boolean']] as const) {
    await asMallory(`CREATE FUNCTION evil.${kind}() RETURNS ${type} LANGUAGE plpgsql ${kind} AS $$ BEGIN RAISE WARNING 'theirs ran as %', current_user; RETURN true; END $$`);
  }
});
afterAll(() => server.stop());

const asSuperuser = (database: string, sql: string) => server.withClient(database, (client) => client.query(sql));
const asMallory = (sql: string) => withClient({ ...server.config('shop'), user: 'mallory' }, (client) => client.query(sql));

test('what is theirs is noticed when it runs', async () => {
  expect(await ranDuring(server, 'mallory', () => asSuperuser('shop', 'SELECT evil.volatile()'))).toEqual(['theirs']);
});

describe('what takes the place of a relation between its listing and its reading', () => {
  /** Reads with a session as the manifest has it, or, where the server is too old for one of its settings, one without that. */
  const reading = async <T>(isOld: boolean, work: (client: Client) => Promise<T>): Promise<T> => {
    if (isOld) return withClient(server.config('shop'), work);
    const sessions = new Sessions({ connect: (database) => server.config(database), applicationName: 'test', limits: { statementTimeoutMs: 0, lockTimeoutMs: 0 }, signal: new AbortController().signal });
    try { return await work(await sessions.open('shop')); } finally { await sessions.closeAll(); }
  };
  const inSnapshot = (isOld: boolean, name: string, swap: string, work: (client: Client, table: Table) => Promise<unknown>) => reading(isOld, async (client) => {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const table = (await listTables(client, version)).tables.find((one) => one.name === name && one.schema === 's');
    if (!table) throw new Error(`${name} is not listed`);
    await asMallory(swap);
    return work(client, table);
  });
  const readWhole = (client: Client, table: Table) => readBucket(client, table, { fromPage: 0, toPage: 5 }, 'fingerprintAndBounds');

  beforeEach(async () => {
    await asMallory(`
      DROP SCHEMA s CASCADE; DROP SCHEMA IF EXISTS ext, was_ext CASCADE; CREATE SCHEMA s; CREATE SCHEMA ext; CREATE EXTENSION citext SCHEMA ext; CREATE TABLE s.e (c ext.citext); INSERT INTO s.e VALUES ('x');
      CREATE TABLE s.t (id int PRIMARY KEY, n float8, note text); INSERT INTO s.t SELECT i, i, 'x' FROM generate_series(1, 100) i;
      CREATE MATERIALIZED VIEW s.m AS SELECT id FROM s.t; CREATE SEQUENCE s.q; CREATE TYPE s.theirs AS (a int); CREATE TYPE s.mood AS ENUM ('calm'); CREATE TYPE s.trick AS ENUM ('calm'); CREATE DOMAIN s.moods AS s.mood;
      CREATE FUNCTION s.of_theirs(s.theirs) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE WARNING 'theirs ran as %', current_user; RETURN 1; END $$; CREATE CAST (s.theirs AS float8) WITH FUNCTION s.of_theirs AS IMPLICIT;
      CREATE FUNCTION s.to_text(s.theirs) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE WARNING 'theirs ran as %', current_user; RETURN 'x'; END $$; CREATE CAST (s.theirs AS text) WITH FUNCTION s.to_text AS IMPLICIT;
      CREATE FUNCTION s.of_trick(s.trick) RETURNS s.mood LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE WARNING 'theirs ran as %', current_user; RETURN 'calm'; END $$; CREATE CAST (s.trick AS s.mood) WITH FUNCTION s.of_trick AS IMPLICIT;
      CREATE TABLE s.ready AS SELECT id, row(1)::s.theirs AS n, note FROM s.t; CREATE TABLE s.c (n float8, note text, m s.moods); INSERT INTO s.c VALUES (1, 'x', 'calm')`);
  });

  const view = (kind: string) => `ALTER TABLE s.t RENAME TO was; CREATE VIEW s.t AS SELECT '(0,1)'::tid AS ctid, id, n, note FROM s.was WHERE evil.${kind}()`;
  /** Of what is read all the same, the one row. */
  const ONE_ROW = expect.objectContaining({ bucket: expect.objectContaining({ rows: 1 }) as object }) as object;
  const swaps: [what: string, name: string, swap: string, expected?: object][] = [
    ['a view with a column ctid', 't', view('volatile')], ['a view with a function that the planner calls', 't', view('immutable')],
    ['a view in the place of a materialized one', 'm', `ALTER MATERIALIZED VIEW s.m RENAME TO was; CREATE VIEW s.m AS SELECT '(0,1)'::tid AS ctid, 1 AS id WHERE evil.immutable()`],
    ['a table with columns of their types', 't', 'ALTER TABLE s.t RENAME TO was; ALTER TABLE s.ready RENAME TO t'],
    ['a column of their type by the name of a number', 'c', 'ALTER TABLE s.c RENAME n TO was; ALTER TABLE s.c ADD n s.theirs'],
    ['a column of their type by the name of a text', 'c', 'ALTER TABLE s.c RENAME note TO was; ALTER TABLE s.c ADD note s.theirs'],
    ['a function by the name of one of an extension', 'e', `ALTER SCHEMA ext RENAME TO was_ext; CREATE SCHEMA ext;
      CREATE FUNCTION ext.citextsend(was_ext.citext) RETURNS bytea LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'theirs ran as %', current_user; RETURN ''; END $$`, ONE_ROW],
    ['a column of their type by the name of an enum behind a domain', 'c', 'ALTER TABLE s.c RENAME m TO was; ALTER TABLE s.c ADD m s.trick'],
  ];
  test.each(swaps.flatMap(([what, name, swap, expected = 'moved']) => [false, true].map((isOld) => [what, isOld ? 'an old server' : 'a new one', { name, swap, expected, isOld }] as const)))('%s is not run on %s', async (_what, _where, { name, swap, expected, isOld }) => {
    let result: unknown;
    expect(await ranDuring(server, 'mallory', async () => { result = await inSnapshot(isOld, name, swap, readWhole).catch((error: unknown) => error); })).toEqual([]);
    expect(result).toEqual(expected);
  });

  test('a file of the same name, behind a schema that is exchanged at the last moment, is none that a new server reads', async () => {
    // After all that is looked at before: the query itself must refuse.
    await asMallory('CREATE VIEW s.late AS SELECT id FROM s.t WHERE evil.immutable()');
    const found = await ranDuring(server, 'mallory', () => reading(false, async (client) => { await expect(client.query('SELECT count(*) FROM ONLY s.late')).rejects.toMatchObject({ code: '55000' }); }));
    expect(found).toEqual([]);
  });

  test.each([
    ['a view', `DROP SEQUENCE s.q; CREATE VIEW s.q AS SELECT 1::int8 AS last_value, evil.volatile() AS is_called`],
    ['a view that the planner calls', `DROP SEQUENCE s.q; CREATE VIEW s.q AS SELECT 1::int8 AS last_value, true AS is_called WHERE evil.immutable()`],
    ['a table with a column of their type', `DROP SEQUENCE s.q; CREATE TABLE s.q AS SELECT row(1)::s.theirs AS last_value, true AS is_called`],
  ])('%s in the place of a sequence is not run, and it has no position', async (_what, swap) => {
    for (const isOld of [false, true]) {
      await asMallory('DROP SEQUENCE IF EXISTS s.q; DROP VIEW IF EXISTS s.q').catch(() => asMallory('DROP VIEW IF EXISTS s.q').catch(() => asMallory('DROP TABLE s.q')));
      await asMallory('CREATE SEQUENCE s.q');
      let positions: ReadonlyMap<number, unknown> | undefined;
      expect(await ranDuring(server, 'mallory', () => reading(isOld, async (client) => {
        const listed = (await listSequences(client)).filter(({ name }) => name === 'q');
        expect((await readPositions(client, listed)).size).toBe(1);
        await asMallory(swap);
        positions = await readPositions(client, listed);
      }))).toEqual([]);
      expect(positions?.size).toBe(0);
    }
  });

  test('a manifest that is taken meanwhile reads the table under its other name at a later position', async () => {
    await asMallory(`CREATE TABLE s.large AS SELECT i AS id, repeat(md5(i::text), 10) AS filler FROM generate_series(1, 30000) i; ANALYZE s.large`);
    let swapping: Promise<unknown> | undefined;
    let restarts: string[] = [];
    let names: string[] = [];
    expect(await ranDuring(server, 'mallory', async () => {
      const manifest = await takeManifest({
        connect: (database) => server.config(database), databases: ['shop'], applicationName: 'manifest-test', signal: new AbortController().signal, limits: { connections: 1, bucketBytes: 256 * 1024, dutyCycle: 0.05 },
        onProgress: ({ phase, bytesDone }) => {
          if (phase === 'tables' && bytesDone > 0) swapping ??= asMallory(`ALTER TABLE s.large RENAME TO was_large; CREATE VIEW s.large AS SELECT ctid, id, filler FROM s.was_large WHERE evil.volatile()`);
        },
      });
      await swapping;
      restarts = manifest.cost.restarts;
      names = manifest.databases[0]?.tables.map(({ name }) => name) ?? [];
    })).toEqual([]);
    expect(restarts[0]).toContain('s.large');
    expect(names).toContain('was_large');
    expect(names).not.toContain('large');
  });
});
