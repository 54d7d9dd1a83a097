import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ClientConfig } from 'pg';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connectionSchema, databaseSchema } from '../../contracts/configuration.ts';
import { checkCollations } from '../../activities/dr-test/collation-check.ts';
import { describeSource } from '../../activities/dr-test/describe-source.ts';
import { measureLoss } from '../../activities/dr-test/measure-loss.ts';
import type { LostCommits } from '../../activities/dr-test/provider.ts';
import { temporaryFileLimit } from '../../activities/drill/configuration.ts';
import { classify } from '../../activities/temporal/classify.ts';
import { useHangingGateway } from '../support/hanging-gateway.ts';

const used = useHangingGateway();

describe('describeSource', () => {
  const signal = new AbortController().signal;
  const describeWith = (connection: Record<string, unknown>, patienceMs?: number, heartbeat?: object) => {
    const settings = databaseSchema.parse({ heartbeat, connection: connectionSchema.parse({ host: used.server.socketDirectory, port: used.server.port, ...connection }), provider: { kind: 'archive', repository: '/r', walDirectory: '/w' } });
    return describeSource({ database: 'shop', owner: { workflowId: 'w', firstExecutionRunId: 'r' } as never }, { settings, resolvePassword: () => Promise.resolve(undefined), signal, patienceMs });
  };
  const runSql = (...statements: string[]) => used.server.withClient('postgres', async (client) => { for (const sql of statements) await client.query(sql); });

  it('describes one that answers', async () => {
    expect(await describeWith({})).toMatchObject({ source: { clockSkewSeconds: expect.any(Number) as number }, sourceSilence: null });
  });

  it.each([
    ['role', { user: 'nobody_at_all' }, 'databases.shop.connection.user'],
    ['database', { database: 'nothing' }, 'databases.shop.connection.database'],
    ['TLS mode', { host: '127.0.0.1', sslmode: 'require' }, 'databases.shop.connection.sslmode'],
  ])('takes a wrong %s for a mistake in the configuration, and names the setting', async (_, connection, setting) => {
    await expect(describeWith(connection)).rejects.toMatchObject({ type: 'CONFIGURATION', nonRetryable: true, message: expect.stringContaining(setting) as string });
  });

  it('takes a role that may not look for one, too', async () => {
    await runSql('CREATE ROLE blind LOGIN', 'REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC');
    await expect(describeWith({ user: 'blind' })).rejects.toMatchObject({ type: 'CONFIGURATION', message: expect.stringContaining('"blind"') as string });
  });

  it('takes one that hangs in the middle of its answer for silent', async () => {
    const { host, port } = used.gateway.config();
    used.gateway.isHung = true;
    expect(await describeWith({ host, port, sslmode: 'disable' }, 500)).toEqual({ source: null, sourceSilence: 'Query read timeout' });
  });

  it('refuses a heartbeat that means another instant to each reader, wherever it is, and nothing else of one', async () => {
    await runSql('CREATE DATABASE beating');
    await used.server.withClient('beating', (client) => client.query('CREATE DOMAIN instant AS timestamptz; CREATE DOMAIN exact AS instant; CREATE TABLE beats (zoned timestamptz, domained exact, plain timestamp, day date, epoch bigint)'));
    const withColumn = (column: string, table = 'beats', database = 'beating') => describeWith({}, undefined, { table, column, database });
    const types = [['plain', 'timestamp without time zone'], ['day', 'date'], ['epoch', 'bigint']] as const;
    for (const [column, type] of types) {
      await expect(withColumn(column)).rejects.toMatchObject({
        type: 'CONFIGURATION', nonRetryable: true, message: `At the source the column "${column}" of the heartbeat table beats is of type ${type}, whose instant depends on the time zone of whoever reads it; make it timestamptz, or name one that is in databases.shop.heartbeat.`,
      });
    }
    for (const asked of [withColumn('zoned'), withColumn('domained'), withColumn('nothing'), withColumn('zoned', 'nothing'), withColumn('zoned', 'beats', 'nothing')]) expect(await asked).toMatchObject({ sourceSilence: null });
  });

  it('refuses a view in the place of a heartbeat, and runs nothing of it', async () => {
    await runSql('CREATE DATABASE seen');
    await used.server.withClient('seen', (client) => client.query(`CREATE FUNCTION fails() RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE EXCEPTION 'it ran'; END $$; CREATE VIEW beats AS SELECT now() AS at WHERE fails()`));
    await expect(describeWith({}, undefined, { table: 'beats', column: 'at', database: 'seen' })).rejects.toMatchObject({
      type: 'CONFIGURATION', message: expect.stringMatching(/^At the source the heartbeat table beats is none, but a view .*; name the table itself in databases\.shop\.heartbeat\.$/) as string,
    });
  });

  it('waits for nobody who has the heartbeat locked', async () => {
    await runSql('CREATE DATABASE held');
    await used.server.withClient('held', async (holder) => {
      await holder.query('CREATE TABLE beats (at timestamptz, plain timestamp)');
      await holder.query('BEGIN; LOCK TABLE beats IN ACCESS EXCLUSIVE MODE');
      const withColumn = (column: string) => describeWith({}, 2_000, { table: 'beats', column, database: 'held' });
      expect(await withColumn('at')).toMatchObject({ sourceSilence: null });
      await expect(withColumn('plain')).rejects.toMatchObject({ type: 'CONFIGURATION' });
      await holder.query('ROLLBACK');
    });
  });

  it('says why one is silent: nobody there, no room', async () => {
    expect(await describeWith({ host: '127.0.0.1', port: 1 })).toMatchObject({ source: null, sourceSilence: expect.stringContaining('ECONNREFUSED') as string });
    await runSql('CREATE ROLE crowded LOGIN CONNECTION LIMIT 0');
    expect(await describeWith({ user: 'crowded' })).toMatchObject({ source: null, sourceSilence: expect.stringContaining('too many connections') as string });
  });
});

describe('collation versions', () => {
  const SHOP = { databases: ['shop'], at: 'shop' };
  const byName = (database: string) => ({ ...used.server.config(), database });
  const at = (database: string) => () => ({ ...used.server.config(), database });
  const run = (database: string, sql: string) => used.server.withClient(database, (client) => client.query(sql));
  const spoil = (database: string, which = `collname = 'sorting'`) => run(database, `UPDATE pg_collation SET collversion = 'old' WHERE collversion IS NOT NULL AND ${which}`);
  beforeAll(async () => {
    await run('postgres', 'CREATE DATABASE shop');
    for (const database of ['restored', 'origin']) {
      await run('postgres', `CREATE DATABASE ${database}`);
      await run(database, `CREATE COLLATION sorting (provider = icu, locale = 'de'); CREATE TABLE sorted (name text COLLATE sorting); CREATE INDEX ON sorted (name)`);
    }
  });

  it('are not looked at where a database was dropped, renamed or closed since it was described, which is said', async () => {
    for (const sql of ['CREATE DATABASE closed', 'ALTER DATABASE closed ALLOW_CONNECTIONS false']) await run('postgres', sql);
    for (const at of ['restored', 'dropped', 'closed']) {
      expect(await checkCollations(byName, null, { databases: ['restored', 'dropped', 'closed'], at })).toMatchObject([{ outcome: 'passed', detail: 'indexes were built with the collations of this host; not looked at, since nobody can connect to them by now: dropped; closed' }]);
    }
  });

  it('nor where only the files of a database are gone, which is for the comparison to find', async () => {
    for (const sql of ['CREATE DATABASE emptied', 'CHECKPOINT']) await run('postgres', sql);
    const { rows: [row] } = await run('postgres', `SELECT oid FROM pg_database WHERE datname = 'emptied'`) as { rows: { oid: number }[] };
    await rm(join(used.server.dataDirectory, 'base', String(row?.oid)), { recursive: true });
    try {
      expect(await checkCollations(byName, null, { databases: ['emptied', 'restored'], at: 'emptied' })).toMatchObject([{ outcome: 'passed', detail: expect.stringMatching(/; not looked at, since nobody can connect to them by now: emptied$/) as string }]);
    } finally {
      await run('postgres', 'DROP DATABASE emptied');
    }
  });

  it('pass where indexes are read as they were built', async () => {
    expect(await checkCollations(at('restored'), at('origin'), SHOP)).toMatchObject([{ outcome: 'passed' }]);
  });

  it('by which nothing is sorted do not count', async () => {
    await run('postgres', 'CREATE DATABASE unsorted');
    await run('unsorted', `CREATE TABLE names (name text COLLATE "de-x-icu", plain text); CREATE UNLOGGED TABLE passing (name text PRIMARY KEY)`);
    await spoil('unsorted', 'true');
    await run('postgres', `UPDATE pg_database SET datcollversion = 'old' WHERE datname = 'unsorted'`);
    expect(await checkCollations(at('unsorted'), at('origin'), SHOP)).toMatchObject([{ outcome: 'passed', detail: 'indexes were built with the collations of this host' }]);
  });

  it.each([
    ['an index', 'CREATE INDEX ON names (name)', /de-x-icu/], ['an index of an expression', `CREATE INDEX ON names (lower(name))`, /de-x-icu/],
    ['an index of a comparison', `CREATE INDEX ON names ((name < 'm'))`, /de-x-icu/], ['the predicate of an index', `CREATE INDEX ON names (id) WHERE name < 'm'`, /de-x-icu/],
    ['a range type', 'CREATE TYPE span AS RANGE (subtype = text, collation = "de-x-icu")', /de-x-icu/],
    ['the key of partitions', 'CREATE TABLE parted (name text COLLATE "de-x-icu") PARTITION BY RANGE (name)', /de-x-icu/],
    ['a check by which rows are left out', `ALTER TABLE names ADD CHECK (name < 'm')`, /de-x-icu/],
    ['an index of a composite type', 'CREATE TYPE pair AS (a int, b text COLLATE "de-x-icu"); CREATE TABLE pairs (p pair[] UNIQUE)', /de-x-icu/],
    ['an index of jsonb', 'CREATE TABLE docs (doc jsonb UNIQUE)', /database sorts/],
    ['an index by the default', 'CREATE INDEX ON names (plain)', /database sorts/], ['a comparison by the default', `CREATE INDEX ON names ((plain < 'm'))`, /database sorts/],
  ])('count where one is used by %s', async (_what, sql, expected) => {
    await run('postgres', 'CREATE DATABASE sorts');
    try {
      await run('sorts', `CREATE TABLE names (id int, name text COLLATE "de-x-icu", plain text); ${sql}`);
      await spoil('sorts', 'true');
      await run('postgres', `UPDATE pg_database SET datcollversion = 'old' WHERE datname = 'sorts'`);
      for (const options of ['', '-c standard_conforming_strings=off']) {
        const [check] = await checkCollations(() => ({ ...at('sorts')(), options }), null, SHOP);
        expect(check).toMatchObject({ outcome: 'skipped', detail: expect.stringMatching(expected) as string });
      }
    } finally {
      await run('postgres', 'DROP DATABASE sorts');
    }
  });

  it('that only the copy differs in are a finding', async () => {
    await spoil('restored');
    expect(await checkCollations(at('restored'), at('origin'), SHOP)).toMatchObject([{ outcome: 'failed', detail: expect.stringMatching(/^shop: public\.sorting \(built with old, here .*REINDEX after restoring/) as string }]);
  });

  it('of which nobody knows whether the source has them are no finding, and not passed either', async () => {
    for (const source of [null, at('there_is_no_such_database')]) {
      expect(await checkCollations(at('restored'), source, SHOP)).toMatchObject([{ outcome: 'skipped', detail: expect.stringMatching(/^the source could not be asked .*: shop: public\.sorting/) as string }]);
    }
  });

  it('of another library than the source has are no finding of the backup, and not passed either', async () => {
    await run('postgres', 'CREATE DATABASE elsewhere TEMPLATE origin');
    // Only a superuser can: what a database's owner has by the same name, before PostgreSQL's own in its search path, is not asked.
    await run('elsewhere', `ALTER FUNCTION pg_catalog.pg_collation_actual_version RENAME TO pg_collation_version_of_this_host;
      CREATE FUNCTION pg_catalog.pg_collation_actual_version(oid) RETURNS text LANGUAGE sql AS $$ SELECT 'other' $$; UPDATE pg_collation SET collversion = 'other' WHERE collname = 'sorting'`);
    expect(await checkCollations(at('restored'), at('elsewhere'), SHOP)).toMatchObject([{ outcome: 'skipped', detail: expect.stringMatching(/^this host sorts by another library than the source's: shop: public\.sorting \(built with old, here .*\), at the source other; set postgres\.binDirectory/) as string }]);
  });

  it('that the source differs in as well are its own, and no finding of the restore', async () => {
    await spoil('origin');
    // However the source reads a backslash, and writes names.
    const settled = () => ({ ...at('origin')(), options: '-c quote_all_identifiers=on -c standard_conforming_strings=off' });
    expect(await checkCollations(at('restored'), settled, SHOP)).toMatchObject([{ outcome: 'passed' }]);
    expect(await checkCollations(at('restored'), at('origin'), SHOP)).toMatchObject([{ outcome: 'passed', detail: expect.stringMatching(/^as at the source, whose own indexes may be wrong: shop: /) as string }]);
  });
});

describe('the heartbeat', () => {
  const until = new Date('2026-11-21T03:00:00Z');
  const beat = (secondsBefore: number) => `INSERT INTO beat VALUES ('${new Date(until.getTime() - secondsBefore * 1000).toISOString()}')`;
  const sql = (database: string, text: string) => used.server.withClient(database, (client) => client.query(text));
  beforeAll(async () => {
    await sql('postgres', 'CREATE DATABASE copy');
    await sql('postgres', 'CREATE ROLE measurer LOGIN SUPERUSER');
  });
  beforeEach(async () => { for (const database of ['postgres', 'copy']) await sql(database, 'DROP TABLE IF EXISTS beat; CREATE TABLE beat (at timestamptz)'); });
  afterEach(() => sql('postgres', 'ALTER ROLE measurer SUPERUSER CONNECTION LIMIT -1'));

  /** Measures with one server as both: `postgres` is the source's database, `copy` the restored one. */
  const measure = ({ lost = {}, meanwhile = '', copy = (): ClientConfig => used.server.config('copy'), skew = 0, asked = () => undefined, source = used.server.config(), patienceMs, systemIdentifier = null, planned = '1' }: { lost?: Partial<LostCommits>; meanwhile?: string; copy?: () => ClientConfig; skew?: number; asked?: (until: Date) => void; source?: ClientConfig; patienceMs?: number; systemIdentifier?: string | null; planned?: string | null }) => measureLoss({
    declarationSkewSeconds: skew,
    drill: { owner: { workflowId: 'w', firstExecutionRunId: 'r' } } as never, recovered: { endLsn: '0/1', lastCommitAt: new Date(until.getTime() - 9500).toISOString(), stoppedBeforeLater: false, replaySeconds: 0, promotionSeconds: 0, repeatedSeconds: 0 },
    plan: { declaredAt: until.toISOString(), heartbeat: { table: 'beat', column: 'at', every: 2000 }, source: planned === null ? null : { lsn: '0/2', systemIdentifier: planned, clockSkewSeconds: 0 }, sourceSilence: null, recoverTo: null } as never,
  }, {
    settings: databaseSchema.parse({ connection: connectionSchema.parse({ host: source.host, port: source.port, user: 'measurer', sslmode: 'disable' }), provider: { kind: 'archive', repository: '/r', walDirectory: '/w' } }),
    resolvePassword: () => Promise.resolve(undefined), signal: new AbortController().signal, copy: () => Promise.resolve(copy), patienceMs,
    provider: {
      find: () => Promise.resolve({ id: 'b1', beganAt: '2026-11-21T02:00:00.000Z', systemIdentifier } as never),
      lostCommits: async (_drill, query) => {
        asked(query.until);
        if (query.source === null) return { commits: 0, maintenance: 0, lastCommitAt: null, knownFrom: 'archive', unread: null };
        await query.source.query('SELECT');
        if (meanwhile !== '') await sql('postgres', meanwhile);
        return { commits: 3, maintenance: 0, lastCommitAt: new Date(until.getTime() - 500).toISOString(), knownFrom: 'source', unread: null, ...lost };
      },
    },
  });

  it('of another cluster than the recovery point\'s says nothing, nor does its WAL: what would be lost is not known', async () => {
    for (const database of ['postgres', 'copy']) await sql(database, beat(0.5));
    const refuse = () => { throw new Error('the WAL of another cluster was asked'); };
    // As the plan knew, and as it has become since.
    for (const planned of ['8', '7']) {
      const { rpaSeconds, lostTransactions, method, checks, notVerified } = await measure({ systemIdentifier: '7', planned, asked: refuse });
      expect(notVerified?.open).toEqual([expect.stringMatching(/^recovery point b1 is of cluster 7, and the source is cluster \d+: nothing here says that the source can be restored/)]);
      expect([rpaSeconds, lostTransactions, method]).toEqual([null, null, expect.stringMatching(/^recovery point b1 is of cluster 7, and the source is cluster \d+: what the source would lose is not known/)]);
      expect(checks).toMatchObject([{ outcome: 'skipped', detail: expect.stringMatching(/nothing to hold it against.*b1 is of cluster 7/) as string }]);
    }
  });

  it('of another cluster that answers where nobody did when the plan was made takes nothing from what was measured, and proves nothing', async () => {
    const planned = null;
    expect(await measure({ systemIdentifier: '7', planned })).toMatchObject({ rpaSeconds: 9.5, notVerified: { open: [expect.stringContaining('is of cluster 7, and the source is cluster')] } });
    const { rows: [same] } = await used.server.withClient('postgres', (client) => client.query<{ id: string }>('SELECT system_identifier::text AS id FROM pg_control_system()'));
    for (const systemIdentifier of [same?.id ?? '', null]) expect(await measure({ systemIdentifier, planned })).toMatchObject({ rpaSeconds: 9.5, notVerified: { open: [] } });
    expect(await measure({ systemIdentifier: '7', planned, source: { host: '127.0.0.1', port: 1 } })).toMatchObject({ rpaSeconds: 9.5, notVerified: { open: [] } });
  });

  it('agrees with the WAL', async () => {
    await sql('postgres', beat(0.5));
    await sql('copy', beat(10));
    expect(await measure({})).toMatchObject({ rpaSeconds: 9, lostTransactions: 3, checks: [{ outcome: 'passed' }] });
  });

  it('counts up to the declaration by the clock of the source, also where another clock declared', async () => {
    const asked: Date[] = [];
    for (const skew of [0, -7.5]) await measure({ skew, asked: (at) => asked.push(at) });
    expect(asked).toEqual([until, new Date(until.getTime() - 7500)]);
  });

  it('says nothing where whoever beats has a clock that is ahead of the source\'s', async () => {
    await sql('postgres', `${beat(0.5)}; INSERT INTO beat VALUES (now() + interval '100 s')`);
    await sql('copy', beat(1));
    expect((await measure({})).checks).toMatchObject([{ outcome: 'skipped', detail: expect.stringMatching(/its last beat is (\d\d|100)\.\d s ahead of the source's clock, so it says nothing/) as string }]);
  });

  it('says nothing when it stood still while recovery ended', async () => {
    for (const database of ['postgres', 'copy']) await sql(database, beat(70));
    await sql('postgres', beat(0.5));
    expect((await measure({})).checks).toMatchObject([{ outcome: 'skipped', detail: expect.stringContaining('when recovery ended') as string }]);
    await sql('postgres', beat(30));
    expect((await measure({})).checks).toMatchObject([{ outcome: 'failed' }]);
  });

  it('says nothing when the source refuses a second connection', async () => {
    await sql('copy', beat(10));
    const { checks } = await measure({ meanwhile: 'ALTER ROLE measurer NOSUPERUSER CONNECTION LIMIT 0' });
    expect(checks).toEqual([{ name: 'heartbeat beat', outcome: 'skipped', detail: expect.stringContaining('too many connections') as string }]);
  });

  it('is tried again when the server of the copy is gone', async () => {
    const error: unknown = await measure({ copy: () => ({ host: '127.0.0.1', port: 1 }) }).catch((thrown: unknown) => thrown);
    expect(classify(error)).toMatchObject({ type: 'UNAVAILABLE', nonRetryable: false });
  });

  it('says nothing when neither side holds a beat, and has failed when the copy has no such table', async () => {
    expect((await measure({})).checks).toMatchObject([{ outcome: 'skipped', detail: expect.stringContaining('neither') as string }]);
    await sql('copy', 'DROP TABLE beat');
    expect((await measure({})).checks).toMatchObject([{ outcome: 'failed', detail: expect.stringContaining('there is no heartbeat table beat') as string }]);
  });

  it('says nothing where the server of the copy cannot load a library that its table needs', async () => {
    await sql('postgres', beat(0.5));
    await sql('copy', `${beat(10)}; CREATE EXTENSION bloom; ALTER TABLE beat ADD id int; CREATE INDEX ON beat USING bloom (id); UPDATE pg_proc SET probin = '$libdir/gone' WHERE proname = 'blhandler'`);
    try {
      const detail = /^could not be read in the restored copy, whose PostgreSQL cannot load a library that it needs \(could not access file ".*gone": No such file or directory\): install that library for it/;
      expect(await measure({})).toMatchObject({ rpaSeconds: 9, checks: [{ name: 'heartbeat beat', outcome: 'skipped', detail: expect.stringMatching(detail) as string }] });
    } finally {
      await sql('copy', `UPDATE pg_proc SET probin = '$libdir/bloom' WHERE proname = 'blhandler'`);
      await sql('copy', 'DROP EXTENSION bloom CASCADE');
    }
  });

  it('says nothing where its column holds no instants in the copy, nor where it holds none at the source', async () => {
    const withoutZone = (database: string) => sql(database, `ALTER TABLE beat ALTER at TYPE timestamp; ALTER DATABASE ${database} SET timezone = 'Asia/Tokyo'`);
    const skipped = (detail: RegExp) => [{ name: 'heartbeat beat', outcome: 'skipped', detail: expect.stringMatching(detail) as string }];
    await sql('postgres', beat(0.5));
    await sql('copy', beat(10));
    await withoutZone('copy');
    expect(await measure({})).toMatchObject({ rpaSeconds: 9, checks: skipped(/^says nothing: in the restored copy the column "at" of the heartbeat table beat is of type timestamp without time zone/) });
    await sql('copy', 'ALTER TABLE beat ALTER at TYPE timestamptz');
    await withoutZone('postgres');
    expect(await measure({})).toMatchObject({ rpaSeconds: 9, checks: skipped(/could not be read at the source: the column "at"/) });
    for (const database of ['postgres', 'copy']) await sql(database, `ALTER DATABASE ${database} RESET timezone`);
  });

  it('is not asked of a source that hung while its WAL was read, of which the loss is not known then', async () => {
    await sql('copy', beat(10));
    const loss = await measure({ source: used.gateway.config(), patienceMs: 500, asked: () => { used.gateway.isHung = true; } });
    expect(loss).toMatchObject({ rpaSeconds: 9.5, lostTransactions: null, method: expect.stringContaining('(the source did not answer: Query read timeout)') as string, checks: [{ outcome: 'passed', detail: expect.stringContaining('before the last recovered commit') as string }] });
  });

  it.each<[string, Error]>([
    ['storage', Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO', syscall: 'read' })],
    ['rights', Object.assign(new Error("EACCES: permission denied, open '/w/00000002.history'"), { code: 'EACCES', syscall: 'open' })],
  ])('is not asked where the archive fails while the source is read (%s): that is tried again', async (_, failure) => {
    let asked = 0;
    await expect(measure({ asked: () => { asked += 1; if (asked === 1) throw failure; } })).rejects.toBe(failure);
  });

  it('is not held against a loss of which only a bound is known', async () => {
    await sql('postgres', beat(0.5));
    await sql('copy', beat(1.5));
    const loss = await measure({ lost: { commits: 0, lastCommitAt: null, knownFrom: 'archive', unread: 'the WAL of the source could be read to 0/1 only' } });
    expect(loss).toMatchObject({ rpaSeconds: 9.5, lostTransactions: null, method: expect.stringMatching(/^the WAL of the source could be read to 0\/1 only: at most/) as string, checks: [{ outcome: 'skipped' }] });
  });
});

describe('the limit of temporary files', () => {
  it('is a quarter of what may be used, never nothing, and no more than PostgreSQL can read', async () => {
    const limit = (free: number) => temporaryFileLimit({ reserveBytes: 2 ** 30 }, free);
    expect([limit(9 * 2 ** 30), limit(0), limit(Infinity)]).toEqual(['2048MB', '64MB', '-1']);
    const [largest] = await used.server.withClient('postgres', async (client) => {
      await client.query(`SET temp_file_limit = '${limit(2 ** 60)}'`);
      return (await client.query<{ setting: string }>(`SELECT setting FROM pg_settings WHERE name = 'temp_file_limit'`)).rows;
    });
    // The largest whole number of megabytes in a setting of 31 bits of kilobytes.
    expect(2 ** 31 - 1 - Number(largest?.setting)).toBeLessThan(1024);
  });
});
