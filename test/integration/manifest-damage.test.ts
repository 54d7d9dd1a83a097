import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Client } from 'pg';
import { compareWithManifest } from '../../activities/manifest/compare-manifest.ts';
import { ManifestError } from '../../activities/manifest/errors.ts';
import { takeManifest } from '../../activities/manifest/take-manifest.ts';
import { classify } from '../../activities/temporal/classify.ts';
import type { ComparisonResult, Difference, Manifest } from '../../contracts/manifest.ts';
import { schemaOfEverything } from '../support/manifest-scenario.ts';
import { startCluster, type Server } from '../support/postgres.ts';

let server: Server;
let manifest: Manifest;
const live = (): AbortSignal => new AbortController().signal;
const take = (limits = {}, signal = live()): Promise<Manifest> =>
  takeManifest({ connect: (database) => server.config(database), applicationName: 'manifest-test', signal, limits });
const compare = (depth: 'quick' | 'standard' = 'standard'): Promise<ComparisonResult> =>
  compareWithManifest({ connect: (database) => server.config(database), manifest, database: 'postgres', connections: 2, depth, signal: live() });
const run = (sql: string): Promise<unknown> => server.withClient('postgres', (client: Client) => client.query(sql));

const version = async (): Promise<number> => server.withClient('postgres', async (client) =>
  (await client.query<{ number: number }>(`SELECT current_setting('server_version_num')::int AS number`)).rows[0]?.number ?? 0);

beforeAll(async () => {
  server = await startCluster({ logical: true, settings: { autovacuum: false } });
  await run(schemaOfEverything);
  manifest = await take();
});
afterAll(() => server.stop());

describe('contents', () => {
  test('rows that only moved to other places are no difference', async () => {
    await run('UPDATE accounts SET balance = balance WHERE id < 100');
    expect((await compare()).differences).toEqual([]);
  });

  test('to depth quick, rows are counted: it says so, finds a row that is missing, and does not see one that differs', async () => {
    const everything = await compare();
    expect(everything.counted).toEqual({ tables: 0, rows: 0 });
    await run('UPDATE accounts SET balance = 1001 WHERE id = 77');
    try {
      const { equal, compared, counted } = await compare('quick');
      expect({ equal, counted, ...compared }).toEqual({ ...everything.compared, equal: true, tables: 0, rows: 0, bytes: 0, buckets: 0, counted: { tables: everything.compared.tables, rows: everything.compared.rows } });
      await run('DELETE FROM accounts WHERE id = 77');
      expect((await compare('quick')).differences).toEqual([expect.objectContaining({ kind: 'rows', table: 'public.accounts', rowsExpected: 20_000, rowsFound: 19_999 })]);
    } finally {
      await run('INSERT INTO accounts VALUES (77, 1000, repeat($$n$$, 50)) ON CONFLICT DO NOTHING; UPDATE accounts SET balance = 1000 WHERE id = 77');
      manifest = await take();
    }
  });

  test('of neighbouring ranges that are read at once only those that differ are named, with their keys', async () => {
    manifest = await take({ bucketBytes: 128 * 1024 });
    const buckets = manifest.databases.find(({ database }) => database === 'postgres')?.tables.find(({ name }) => name === 'accounts')?.buckets ?? [];
    expect(buckets.length).toBeGreaterThan(5);
    // New versions lie on the last pages.
    await run(`UPDATE accounts SET balance = 7 WHERE id IN (5000, 15000)`);
    const [difference, ...others] = (await compare()).differences;
    expect(others).toEqual([]);
    const hit = buckets.filter(({ keyFrom, keyTo }) => [5000, 15000].some((id) => Number(keyFrom) <= id && id <= Number(keyTo)));
    expect(difference).toMatchObject({ kind: 'rows', table: 'public.accounts', rowsExpected: 20_000, rowsFound: 20_000 });
    expect((difference as { buckets: { fromPage: number }[] }).buckets.map(({ fromPage }) => fromPage)).toEqual([...new Set([...hit, buckets.at(-1)])].map((bucket) => bucket?.fromPage));
    await run(`UPDATE accounts SET balance = 1000 WHERE id IN (5000, 15000)`);
    manifest = await take();
  });

  // Damage, and what undoes it: the next case starts from equal contents.
  const damages: [string, string, string, string][] = [
    ['a row missing', 'public.no_key', 'DELETE FROM no_key WHERE ctid = (SELECT min(ctid) FROM no_key)', 'INSERT INTO no_key VALUES (1, 1)'],
    ['a duplicate pair removed', 'public.no_key', 'DELETE FROM no_key WHERE ctid IN (SELECT ctid FROM no_key LIMIT 2)', 'INSERT INTO no_key VALUES (1, 1), (1, 1)'],
    ['a duplicate pair replaced by another', 'public.no_key', 'UPDATE no_key SET a = 2 WHERE ctid IN (SELECT ctid FROM no_key LIMIT 2)', 'UPDATE no_key SET a = 1'],
    ['one value changed', 'public.accounts', 'UPDATE accounts SET balance = 1001 WHERE id = 77', 'UPDATE accounts SET balance = 1000 WHERE id = 77'],
    ['the values of two rows swapped', 'public.everything', `UPDATE everything SET t = 'text ' || (3 - id) WHERE id IN (1, 2)`, `UPDATE everything SET t = 'text ' || id WHERE id IN (1, 2)`],
    ['the numbers of two rows swapped', 'public.altered_often', 'UPDATE altered_often SET v = 11 - v WHERE v IN (5, 6)', 'UPDATE altered_often SET v = 11 - v WHERE v IN (5, 6)'],
    ['two columns of a row swapped', 'public.everything', 'UPDATE everything SET i2 = 8, i4 = 7 WHERE id = 8', 'UPDATE everything SET i2 = 8, i4 = 8 WHERE id = 8'],
    ['1.0 turned into 1.00', 'public.everything', 'UPDATE everything SET n = 1.00 WHERE id = 1', 'UPDATE everything SET n = 1.0 WHERE id = 1'],
    ['a jsonb number 1 turned into 1.0', 'public.everything', `UPDATE everything SET jb = '{"k": 1.0}' WHERE id = 1`, `UPDATE everything SET jb = '{"k": 1}' WHERE id = 1`],
    ['1 turned into 4294967296, which hashint8 cannot tell apart', 'public.journal', 'UPDATE journal SET amount = 4294967296 WHERE id = 1', 'UPDATE journal SET amount = 1 WHERE id = 1'],
    ['0 turned into -0', 'public.everything', `UPDATE everything SET f4 = '-0' WHERE id = 3`, `UPDATE everything SET f4 = '0' WHERE id = 3`],
    ['letter case under a nondeterministic collation', 'public.everything', `UPDATE everything SET nc = 'NAME' WHERE id = 1`, `UPDATE everything SET nc = 'Name' WHERE id = 1`],
    ['NULL turned into an empty text', 'public.everything', `UPDATE everything SET v = '' WHERE id = 5`, `UPDATE everything SET v = NULL WHERE id = 5`],
    ['24 hours instead of a day', 'public.everything', `UPDATE everything SET iv = '24 hours' WHERE id = 5`, `UPDATE everything SET iv = '1 day' WHERE id = 5`],
    ['an array that starts at another index', 'public.everything', `UPDATE everything SET ai = '[2:3]={5,NULL}' WHERE id = 5`, `UPDATE everything SET ai = '{5,NULL}' WHERE id = 5`],
    ['one bit of bytea', 'public.everything', `UPDATE everything SET b = set_bit(b, 3, 1 - get_bit(b, 3)) WHERE id = 5`, `UPDATE everything SET b = set_bit(b, 3, 1 - get_bit(b, 3)) WHERE id = 5`],
    ['a large object', 'pg_catalog.pg_largeobject', `SELECT lo_put((SELECT min(oid) FROM pg_largeobject_metadata), 5, '\\x00')`, `SELECT lo_put((SELECT min(oid) FROM pg_largeobject_metadata), 5, substring(decode(md5('1'), 'hex') FROM 6 FOR 1))`],
    ['a materialized view that was not refreshed in time', 'public.totals', `INSERT INTO journal SELECT 99999999, 1; REFRESH MATERIALIZED VIEW totals`, `DELETE FROM journal WHERE id = 99999999; REFRESH MATERIALIZED VIEW totals`],
    ['a row in a table with quotes in its name', 'Odd "schema".Table \'; --', `DELETE FROM "Odd ""schema"""."Table '; --" WHERE "va""lue" = 'v1'`, ''],
  ];
  beforeAll(async () => {
    await run(`INSERT INTO journal (account, amount) VALUES (1, 1); UPDATE everything SET f4 = 0 WHERE id = 3; REFRESH MATERIALIZED VIEW totals`);
    manifest = await take();
  });
  test.each(damages)('%s is noticed in %s', async (_name, table, damage, undo) => {
    await run(damage);
    const { differences } = await compare();
    expect(differences).toContainEqual(expect.objectContaining({ kind: 'rows', table }));
    if (undo === '') return;
    await run(undo);
    expect((await compare()).differences).toEqual([]);
  });
});

describe('catalog', () => {
  const catalog = (object: string, identity: string, change: string): Partial<Difference> => ({ kind: 'catalog', object, identity, change } as Partial<Difference>);
  const damages: [string, string, Partial<Difference>][] = [
    ['index missing', 'DROP INDEX everything_i4', catalog('index', 'public.everything_i4', 'missing')],
    ['index invalid', `UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'everything_pkey'::regclass`, catalog('index', 'public.everything_pkey', 'changed')],
    ['trigger disabled', 'ALTER TABLE everything DISABLE TRIGGER touch', catalog('trigger', 'touch on public.everything', 'changed')],
    ['trigger missing', 'DROP TRIGGER touch ON everything', catalog('trigger', 'touch on public.everything', 'missing')],
    ['policy missing', 'DROP POLICY mine ON no_key', catalog('policy', 'mine on public.no_key', 'missing')],
    ['grant missing', 'REVOKE SELECT ON accounts FROM staff', catalog('grant', 'on relation public.accounts to staff', 'missing')],
    ['default changed', 'ALTER TABLE journal ALTER at SET DEFAULT now()', catalog('default', 'public.journal.at', 'changed')],
    ['constraint missing', 'ALTER DOMAIN email DROP CONSTRAINT email_check', catalog('constraint', 'email_check on public.email', 'missing')],
    ['view changed', 'CREATE OR REPLACE VIEW rich AS SELECT * FROM accounts WHERE balance > 1', catalog('rule', '"_RETURN" on public.rich', 'changed')],
    ['function changed', `CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'`, catalog('function', 'public.touch()', 'changed')],
    ['enum label renamed', `ALTER TYPE mood RENAME VALUE 'cross' TO 'angry'`, catalog('enum label', `public.mood: 'cross'`, 'missing')],
    ['extension missing', 'DROP EXTENSION plpgsql CASCADE', catalog('extension', 'plpgsql 1.0', 'missing')],
    ['membership missing', 'REVOKE staff FROM clerk', catalog('membership', 'clerk in staff', 'missing')],
    ['password changed', `ALTER ROLE clerk PASSWORD 'other'`, catalog('role', 'clerk', 'changed')],
    ['role setting missing', 'ALTER ROLE clerk RESET work_mem', catalog('setting', 'of role clerk in database any', 'missing')],
    ['database setting missing', 'ALTER DATABASE postgres RESET work_mem', catalog('setting', 'of role any in database postgres', 'missing')],
    ['empty schema missing', 'DROP SCHEMA nothing_in_it', catalog('schema', 'nothing_in_it', 'missing')],
    ['role missing', 'DROP OWNED BY staff; DROP ROLE staff', catalog('role', 'staff', 'missing')],
    ['column missing', 'ALTER TABLE accounts DROP COLUMN note CASCADE', catalog('column', 'public.accounts.note', 'missing')],
    ['table missing', 'DROP TABLE no_key', catalog('table', 'public.no_key', 'missing')],
    ['option of a foreign-data wrapper changed', `ALTER FOREIGN DATA WRAPPER wrapper OPTIONS (SET mode 'b')`, catalog('foreign-data wrapper', 'wrapper', 'changed')],
    ['option of a foreign server changed', `ALTER SERVER elsewhere OPTIONS (SET host 'two')`, catalog('foreign server', 'elsewhere', 'changed')],
    ['option of a user mapping changed', `ALTER USER MAPPING FOR clerk SERVER elsewhere OPTIONS (SET password 'secret two')`, catalog('user mapping', 'clerk on elsewhere', 'changed')],
    ['option of a foreign table changed', `ALTER FOREIGN TABLE far OPTIONS (SET table_name 'two')`, catalog('foreign table', 'public.far', 'changed')],
    ['option of a foreign column changed', `ALTER FOREIGN TABLE far ALTER a OPTIONS (SET column_name 'two')`, catalog('column', 'public.far.a', 'changed')],
    ['connection of a subscription changed', `ALTER SUBSCRIPTION sub CONNECTION 'host=nowhere password=secret2'`, catalog('subscription', 'sub', 'changed')],
    ['setting of a subscription changed', 'ALTER SUBSCRIPTION streams SET (binary = true)', catalog('subscription', 'streams', 'changed')],
    ['everybody may execute what nobody might', `UPDATE pg_proc SET proacl = NULL WHERE proname = 'closed'`, catalog('grant', 'on function public.closed() to no one', 'missing')],
    ['compression of a column changed', 'ALTER TABLE storing ALTER a SET COMPRESSION pglz', catalog('column', 'public.storing.a', 'changed')],
    ['storage of a column changed', 'ALTER TABLE storing ALTER b SET STORAGE EXTERNAL', catalog('column', 'public.storing.b', 'changed')],
    ['statistics target of a column changed', 'ALTER TABLE storing ALTER c SET STATISTICS 17', catalog('column', 'public.storing.c', 'changed')],
    ['statistics target of an indexed expression changed', 'ALTER INDEX storing_lower ALTER COLUMN 1 SET STATISTICS 17', catalog('index', 'public.storing_lower', 'changed')],
    ['statistics target of extended statistics changed', 'ALTER STATISTICS storing_both SET STATISTICS 17', catalog('statistics', 'public.storing_both', 'changed')],
    ['function of an operator family missing', 'ALTER OPERATOR FAMILY numbers USING btree DROP FUNCTION 1 (int4, int2)', catalog('function in family', '1 for 23, 21 in public.numbers', 'missing')],
    ['transform missing', 'DROP TRANSFORM FOR int LANGUAGE sql', catalog('transform', 'for 23 in sql', 'missing')],
    ['mapping of a text search configuration changed', 'ALTER TEXT SEARCH CONFIGURATION words DROP MAPPING FOR word', catalog('text search configuration', 'public.words', 'changed')],
    ['text search template missing', 'DROP TEXT SEARCH TEMPLATE plain', catalog('text search template', 'public.plain', 'missing')],
    ['privileges of future objects changed', 'ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM clerk', catalog('grant', 'on future objects r of postgres in any schema to clerk', 'missing')],
    ['security label changed', `UPDATE pg_seclabel SET label = 'open'`, catalog('security label', 'dummy on 1259/100000/0', 'changed')],
    ['security label of a shared object missing', 'DELETE FROM pg_shseclabel', catalog('shared security label', 'dummy on 1260/100000', 'missing')],
    ['sequence behind itself', `SELECT setval('down', -5)`, { kind: 'sequence', sequence: 'public.down', problem: 'behindItself' }],
    ['sequence behind its table', `SELECT setval('everything_id_seq', 7)`, { kind: 'sequence', sequence: 'public.everything_id_seq' }],
  ];
  beforeAll(async () => {
    await run(`
      CREATE FOREIGN DATA WRAPPER wrapper OPTIONS (mode 'a');
      CREATE SERVER elsewhere FOREIGN DATA WRAPPER wrapper OPTIONS (host 'one');
      CREATE USER MAPPING FOR clerk SERVER elsewhere OPTIONS (password 'secret one');
      CREATE FOREIGN TABLE far (a int OPTIONS (column_name 'one')) SERVER elsewhere OPTIONS (table_name 'one');
      CREATE SCHEMA nothing_in_it; CREATE FUNCTION closed() RETURNS int LANGUAGE sql AS 'SELECT 1'; REVOKE ALL ON FUNCTION closed() FROM public, postgres;
      CREATE TABLE storing (a text, b text, c int); CREATE INDEX storing_lower ON storing (lower(a)); CREATE STATISTICS storing_both ON a, b FROM storing;
      CREATE OPERATOR FAMILY numbers USING btree; ALTER OPERATOR FAMILY numbers USING btree ADD FUNCTION 1 (int4, int2) btint42cmp(int4, int2);
      CREATE TRANSFORM FOR int LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal), TO SQL WITH FUNCTION int4recv(internal));
      CREATE TEXT SEARCH CONFIGURATION words (COPY = simple); CREATE TEXT SEARCH TEMPLATE plain (LEXIZE = dsimple_lexize, INIT = dsimple_init);
      ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO clerk;
      INSERT INTO pg_seclabel VALUES (100000, 'pg_class'::regclass, 0, 'dummy', 'closed'); INSERT INTO pg_shseclabel VALUES (100000, 'pg_authid'::regclass, 'dummy', 'closed')`);
    await run(`CREATE SUBSCRIPTION sub CONNECTION 'host=nowhere password=secret1' PUBLICATION pub WITH (connect = false, slot_name = NONE)`);
    await run(`CREATE SUBSCRIPTION streams CONNECTION 'host=nowhere' PUBLICATION pub WITH (connect = false, slot_name = NONE)`);
    if (await version() >= 150000) await run('CREATE UNLOGGED SEQUENCE unlogged_numbers');
    manifest = await take();
  });
  test('nothing of it differs from itself', async () => expect((await compare()).differences).toEqual([]));
  test.each(damages)('%s', async (_name, damage, difference) => {
    await run(damage);
    expect((await compare()).differences).toContainEqual(expect.objectContaining(difference));
  });

  test('the position of a sequence that cycles is no difference, and is listed as not verified; its absence is one', async () => {
    await run(`SELECT setval('round', 1)`);
    const moved = await compare();
    expect(moved.differences.filter((difference) => difference.kind === 'sequence' && difference.sequence === 'public.round')).toEqual([]);
    expect(moved.notVerified).toContainEqual(expect.objectContaining({ what: 'position of sequence public.round', byDesign: true }));
    await run('DROP SEQUENCE round');
    expect((await compare()).differences).toContainEqual(expect.objectContaining({ kind: 'sequence', sequence: 'public.round', problem: 'missing' }));
  });

  test('a sequence that is UNLOGGED, and was not so at this very position of its source, is damage', async ({ skip }) => {
    if (await version() < 150000) return skip('sequences of older servers are never UNLOGGED');
    await run('ALTER SEQUENCE down SET UNLOGGED');
    const { differences, notVerified } = await compare();
    expect(differences).toEqual(expect.arrayContaining([catalog('sequence', 'public.down', 'changed'), { kind: 'sequence', sequence: 'public.down', problem: 'unlogged', expectedAtLeast: expect.any(String) as string, found: null }]));
    expect(notVerified.filter(({ what }) => what === 'position of sequence public.down')).toEqual([]);
  });

  test('what the role that reads may not see is listed as not verified, and is no difference where it may be seen', async () => {
    await run('CREATE DATABASE narrow');
    await run('CREATE ROLE reader LOGIN REPLICATION');
    await server.withClient('narrow', (client) => client.query(`
      GRANT SELECT ON pg_user_mapping, pg_largeobject TO reader; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA pg_catalog TO reader; CREATE SCHEMA s`));
    await server.withClient('narrow', (client) => client.query(`CREATE SUBSCRIPTION narrow CONNECTION 'host=nowhere password=secret' PUBLICATION p WITH (connect = false, slot_name = NONE)`));
    const seen = await takeManifest({ connect: (database) => ({ ...server.config(database), user: 'reader' }), databases: ['narrow'], applicationName: 'manifest-test', signal: live() });
    expect(seen.notVerified.filter(({ byDesign }) => !byDesign).map(({ what }) => what)).toEqual(['passwords of roles', 'connections and settings of subscriptions']);
    const compared = await compareWithManifest({ connect: (database) => server.config(database), manifest: seen, database: 'narrow', connections: 1, depth: 'standard', signal: live() });
    expect(compared.differences).toEqual([]);
    expect(compared.notVerified).toEqual(seen.notVerified);
  });

  test('an unlogged sequence is listed as not verified', async () => {
    const listed = manifest.notVerified.filter(({ what }) => what === 'unlogged sequence public.unlogged_numbers');
    expect(listed).toMatchObject(await version() >= 150000 ? [{ database: 'postgres', byDesign: true }] : []);
  });

  test('nothing of a manifest shows a password, a verifier or a value of a row', () => {
    expect(JSON.stringify(manifest)).not.toMatch(/SCRAM|secret|a@b|text 1/);
  });
});

test('a database that is lost, or only its files, is a difference, and no error', async () => {
  for (const sql of ['CREATE DATABASE gone', 'CREATE DATABASE emptied', 'CHECKPOINT']) await run(sql);
  const all = await take();
  const { rows: [row] } = await run(`SELECT oid FROM pg_database WHERE datname = 'emptied'`) as { rows: { oid: number }[] };
  await run('DROP DATABASE gone');
  await rm(join(server.dataDirectory, 'base', String(row?.oid)), { recursive: true });
  try {
    for (const [database, notVerified] of [['gone', []], ['emptied', [expect.objectContaining({ what: 'definitions and privileges that all databases share' })]]] as const) {
      const compared = await compareWithManifest({ connect: (name) => server.config(name), manifest: all, database, connections: 2, depth: 'standard', signal: live() });
      expect(compared).toMatchObject({ equal: false, differences: [{ kind: 'catalog', object: 'database', identity: database, change: 'missing' }], notVerified });
    }
  } finally {
    await run('DROP DATABASE emptied');
  }
});

describe('limits', () => {
  /** Bytes of WAL. */
  const WRITTEN = 8 * 2 ** 20;
  const slotsAndSessions = () => server.withClient('postgres', async (client) => (await client.query<{ slots: number; sessions: number }>(
    `SELECT (SELECT count(*) FROM pg_replication_slots)::int AS slots, (SELECT count(*) FROM pg_stat_activity WHERE application_name = 'manifest-test')::int AS sessions`)).rows[0]!);

  test('a transaction that stays open ends the attempt with slotBlocked, and no slot or session stays', async () => {
    await server.withClient('postgres', async (client) => {
      await client.query('BEGIN; SELECT pg_current_xact_id()');
      await expect(take({ maxXminAgeMs: 1000 })).rejects.toMatchObject({ type: 'slotBlocked' });
    });
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(await slotsAndSessions()).toEqual({ slots: 0, sessions: 0 });
  });

  /** Takes a manifest that a transaction keeps waiting for its position until `meanwhile` is over, in which so much WAL is written. */
  const takeWhileWriting = (limits: object, meanwhile: (reading: Promise<unknown>) => Promise<unknown>) => server.withClient('postgres', async (holder) => {
    await holder.query('BEGIN; SELECT pg_current_xact_id()');
    const reading = take({ maxXminAgeMs: 60_000, ...limits });
    reading.catch(() => undefined);
    await expect.poll(async () => (await slotsAndSessions()).slots).toBe(1);
    await run(`SELECT pg_logical_emit_message(false, 'filler', repeat('x', ${WRITTEN / 8})) FROM generate_series(1, 8)`);
    await meanwhile(reading);
    await holder.query('COMMIT');
    return reading;
  });

  test('a slot that holds back more WAL than is allowed ends the attempt with tooMuchWalRetained, and no slot or session stays', async () => {
    const error: unknown = await takeWhileWriting({ maxRetainedWalBytes: WRITTEN / 2 }, (reading) => reading.catch(() => undefined)).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ type: 'tooMuchWalRetained', message: expect.stringMatching(new RegExp(`^the slot held back \\d+ bytes of WAL, the limit is ${WRITTEN / 2}: end the long transaction`)) as string });
    expect(classify(error)).toMatchObject({ type: 'MANIFEST_GAVE_UP', nonRetryable: true });
    await expect.poll(slotsAndSessions).toEqual({ slots: 0, sessions: 0 });
  });

  test('a manifest says how much WAL its slot held back, and for how long it did at most hold back vacuum', async () => {
    const began = Date.now();
    const { cost } = await takeWhileWriting({ maxRetainedWalBytes: WRITTEN * 4 }, () => new Promise((resolve) => setTimeout(resolve, 1_200)));
    expect(cost.walRetainedBytes).toBeGreaterThan(WRITTEN);
    expect(cost.walRetainedBytes).toBeLessThan(WRITTEN * 2);
    expect(cost.longestSnapshotMs).toBeGreaterThan(1_200);
    expect(cost.longestSnapshotMs).toBeLessThanOrEqual(cost.durationMs);
    expect(cost.durationMs).toBeLessThanOrEqual(Date.now() - began);
  });

  test.each([
    ['a value', 'SQL_ASCII', `CREATE TABLE t (c char(3)); INSERT INTO t VALUES (chr(233))`], ['a definition', 'SQL_ASCII', `CREATE TABLE t (); DO $$ BEGIN EXECUTE 'COMMENT ON TABLE t IS ' || quote_literal('caf' || chr(233)); END $$`],
    ['a byte that the encoding leaves undefined', 'WIN1252', `CREATE TABLE t (c char(3)); INSERT INTO t VALUES (convert_from('\\x81', 'WIN1252'))`],
  ])('text that is none in UTF-8 gives up the manifest, not the backup, and names the database: %s', async (_what, encoding, sql) => {
    await run(`CREATE DATABASE latin ENCODING '${encoding}' LOCALE 'C' TEMPLATE template0`);
    try {
      await server.withClient('latin', (client) => client.query(sql));
      const error: unknown = await take().catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ type: 'undecodable', message: expect.stringMatching(/^database latin holds text .* \(SQLSTATE 22(021|P05)\)/) as string });
      expect((error as Error).message).not.toMatch(/0x/);
      expect(classify(error)).toMatchObject({ type: 'MANIFEST_GAVE_UP', nonRetryable: true });
    } finally {
      await run('DROP DATABASE latin');
    }
  });

  test('a cancelled reading ends at once and says so', async () => {
    const stop = new AbortController();
    const reading = take({ dutyCycle: 0.001 }, stop.signal);
    setTimeout(() => stop.abort(), 300);
    const started = Date.now();
    await expect(reading).rejects.toBeInstanceOf(ManifestError);
    await expect(reading).rejects.toMatchObject({ type: 'cancelled' });
    expect(Date.now() - started).toBeLessThan(6_000);
  });

  test('without logical WAL it is unavailable, with the reason', async () => {
    const plain = await startCluster();
    try {
      await expect(takeManifest({ connect: (database) => plain.config(database), applicationName: 'm', signal: live() }))
        .rejects.toMatchObject({ type: 'unavailable', message: expect.stringContaining('wal_level') });
    } finally { await plain.stop(); }
  });
});
