import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ClientConfig } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { checkSettingSchema, connectionSchema, databaseSchema } from '../../contracts/configuration.ts';
import { checkCollations } from '../../activities/dr-test/collation-check.ts';
import { describeSource } from '../../activities/dr-test/describe-source.ts';
import { measureLoss } from '../../activities/dr-test/measure-loss.ts';
import { runOwnChecks } from '../../activities/dr-test/own-checks.ts';
import { probe } from '../../activities/dr-test/probe.ts';
import type { LostCommits } from '../../activities/dr-test/provider.ts';
import { temporaryFileLimit } from '../../activities/drill/configuration.ts';
import { findProcesses, sendSignal, untilGone } from '../../activities/drill/processes.ts';
import { classify } from '../../activities/temporal/classify.ts';
import { freeLoopbackPort } from '../../scripts/embedded/free-port.ts';
import { type Server, startCluster } from '../support/postgres.ts';

let server: Server;
beforeAll(async () => { server = await startCluster({ tcp: true }); });
afterAll(() => server.stop());

describe('describeSource', () => {
  const signal = new AbortController().signal;
  const describeWith = (connection: Record<string, unknown>) => {
    const settings = databaseSchema.parse({ connection: connectionSchema.parse({ host: server.socketDirectory, port: server.port, ...connection }), provider: { kind: 'archive', repository: '/r', walDirectory: '/w' } });
    return describeSource({ database: 'shop', owner: { workflowId: 'w', firstExecutionRunId: 'r' } as never }, { settings, resolvePassword: () => Promise.resolve(undefined), signal });
  };
  const runSql = (...statements: string[]) => server.withClient('postgres', async (client) => { for (const sql of statements) await client.query(sql); });

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

  it('says why one is silent: nobody there, no room', async () => {
    expect(await describeWith({ host: '127.0.0.1', port: 1 })).toMatchObject({ source: null, sourceSilence: expect.stringContaining('ECONNREFUSED') as string });
    await runSql('CREATE ROLE crowded LOGIN CONNECTION LIMIT 0');
    expect(await describeWith({ user: 'crowded' })).toMatchObject({ source: null, sourceSilence: expect.stringContaining('too many connections') as string });
  });
});

describe('collation versions', () => {
  const at = (database: string) => () => ({ ...server.config(), database });
  const spoil = (database: string) => server.withClient(database, (client) => client.query(
    `UPDATE pg_collation SET collversion = 'old' WHERE oid = (SELECT min(oid) FROM pg_collation WHERE collversion IS NOT NULL)`));
  beforeAll(async () => {
    await server.withClient('postgres', async (client) => { for (const name of ['restored', 'origin']) await client.query(`CREATE DATABASE ${name}`); });
  });

  it('pass where indexes are read as they were built', async () => {
    expect(await checkCollations(at('restored'), at('origin'), ['shop'])).toMatchObject([{ outcome: 'passed' }]);
  });

  it('that only the copy differs in are a finding', async () => {
    await spoil('restored');
    expect(await checkCollations(at('restored'), at('origin'), ['shop'])).toMatchObject([{ outcome: 'failed', detail: expect.stringMatching(/^shop: pg_catalog\..* \(built with old, here .*REINDEX after restoring/) as string }]);
  });

  it('of which nobody knows whether the source has them are no finding, and not passed either', async () => {
    for (const source of [null, at('there_is_no_such_database')]) {
      expect(await checkCollations(at('restored'), source, ['shop'])).toMatchObject([{ outcome: 'skipped', detail: expect.stringMatching(/^the source could not be asked .*: shop: pg_catalog\./) as string }]);
    }
  });

  it('that the source differs in as well are its own, and no finding of the restore', async () => {
    await spoil('origin');
    expect(await checkCollations(at('restored'), at('origin'), ['shop'])).toMatchObject([{ outcome: 'passed', detail: expect.stringMatching(/^as at the source, whose own indexes may be wrong: shop: /) as string }]);
  });
});

describe('cancellation', () => {
  it("ends the owner's check that is under way, and is no finding of it", async () => {
    const cancelled = new AbortController();
    const started = Date.now();
    const running = runOwnChecks(() => server.config(), [{ name: 'slow', sql: 'SELECT pg_sleep(100)', expect: '' }], { database: 'postgres', signal: cancelled.signal });
    await Promise.all([sleep(500).then(() => cancelled.abort()), expect(running).rejects.toMatchObject({ name: 'AbortError' })]);
    expect(Date.now() - started).toBeLessThan(30_000);
  });
});

describe("the owner's checks", () => {
  const signal = new AbortController().signal;
  beforeAll(() => server.withClient('postgres', (client) => client.query(
    `CREATE FUNCTION fails(state text) RETURNS int LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION USING ERRCODE = state; END'; CREATE TABLE untouched (a int)`)));
  const run = (sql: string, expected: string | number | boolean) => runOwnChecks(() => server.config(), [checkSettingSchema.parse({ name: 'mine', sql, expect: expected })], { database: 'postgres', signal });

  it.each([
    ['a date', `SELECT date '2026-11-21'`, '2026-11-21'],
    ['a timestamp', `SELECT timestamp '2026-11-21 03:00:00'`, '2026-11-21 03:00:00'],
    ['an array', `SELECT ARRAY[1, 2]`, '{1,2}'],
    ['jsonb', `SELECT '{"b": [1], "a": null}'::jsonb`, '{"a": null, "b": [1]}'],
    ['a bytea', `SELECT '\\x0aff'::bytea`, '\\x0aff'],
    ['an interval', `SELECT interval '90 minutes'`, '01:30:00'],
    ['a number', 'SELECT 1.50::numeric', '1.50'],
    ['a count', 'SELECT count(*) FROM untouched;', 0],
    ['a boolean', 'SELECT 1 = 1', true],
    ['a boolean that is false', 'SELECT 1 = 2', 'f'],
  ])('compare the text that PostgreSQL writes: %s', async (_what, sql, expected) => {
    expect(await run(sql, expected)).toEqual([{ name: 'mine', outcome: 'passed', detail: 'as expected' }]);
  });

  it.each([['another value', 'SELECT 2'], ['NULL', 'SELECT NULL'], ['no row', 'SELECT 1 WHERE false'], ['no column', 'SELECT'], ['a boolean that only reads like it', `SELECT 't'`]])('fail with %s', async (_what, sql) => {
    expect(await run(sql, 'true')).toEqual([{ name: 'mine', outcome: 'failed', detail: 'is not true' }]);
  });

  it.each([['a table that is missing', 'SELECT * FROM lost', '42P01, undefined table'], ['a column that is missing', 'SELECT lost FROM untouched', '42703, undefined column'], ['a function that is missing', 'SELECT lost()', '42883, undefined function'],
    ['damage', `SELECT fails('XX001')`, 'XX001, data corrupted'], ['a division by zero', 'SELECT 1 / count(*) FROM untouched', '22012, division by zero'], ['a syntax error in a function of the database', `SELECT fails('42601')`, '42601, syntax error'], ['another error', `SELECT fails('P0004')`, 'P0004'],
  ])('fail with %s', async (_what, sql, condition) => {
    expect(await run(sql, '1')).toEqual([{ name: 'mine', outcome: 'failed', detail: `could not be run (${condition})` }]);
  });

  it.each([['a syntax error', 'SELEC 1', '42601, syntax error'], ['an attempt to write', 'INSERT INTO untouched VALUES (1)', '25006, it may only read']])('are a mistake in the configuration with %s', async (_what, sql, condition) => {
    await expect(run(sql, '1')).rejects.toMatchObject({ type: 'CONFIGURATION', nonRetryable: true, message: expect.stringMatching(new RegExp(`"mine" .*\\(${condition}\\).*checks of the database`)) as string });
    // What was found before must not be forgotten over it.
    const found = [{ name: 'before', outcome: 'failed' as const, detail: 'differs' }];
    expect(await runOwnChecks(() => server.config(), [checkSettingSchema.parse({ name: 'mine', sql, expect: '1' })], { database: 'postgres', signal, found })).toEqual([...found, { name: 'mine', outcome: 'skipped', detail: expect.stringContaining(condition) as string }]);
    expect(await runOwnChecks(() => server.config(), [checkSettingSchema.parse({ name: 'mine', sql, expect: '1' })], { database: 'postgres', signal, hasFailed: true })).toMatchObject([{ name: 'mine', outcome: 'skipped' }]);
  });

  it('have no answer when they take too long', async () => {
    expect(await run(`SELECT fails('57014')`, '1')).toEqual([{ name: 'mine', outcome: 'skipped', detail: expect.stringContaining('5 minutes') as string }]);
  });

  it('have no answer when they need more temporary files than the drill may have', async () => {
    const config = { ...server.config(), options: '-c temp_file_limit=64kB -c work_mem=64kB' };
    const sorting = checkSettingSchema.parse({ name: 'mine', sql: 'SELECT count(*) FROM (SELECT repeat(n::text, 50) FROM generate_series(1, 20000) AS n ORDER BY 1) AS sorted', expect: 20_000 });
    expect(await runOwnChecks(() => server.config(), [sorting], { database: 'postgres', signal })).toMatchObject([{ outcome: 'passed' }]);
    expect(await runOwnChecks(() => config, [sorting], { database: 'postgres', signal })).toEqual([{ name: 'mine', outcome: 'skipped', detail: expect.stringContaining('raise temp_file_limit') as string }]);
  });

  it.each(['53100', '53200', '53300', '57P01', '57P03', '58030'])('find nothing when the host is in trouble (%s)', async (state) => {
    await expect(run(`SELECT fails('${state}')`, '1')).rejects.toMatchObject({ code: state });
  });

  it('hold one statement each, so that none can leave the transaction that may not write', async () => {
    await expect(run('ROLLBACK; INSERT INTO untouched VALUES (1)', '1')).rejects.toMatchObject({ type: 'CONFIGURATION', nonRetryable: true, message: expect.stringContaining('"mine" holds more than one statement') as string });
    expect(await run('SELECT count(*) FROM untouched', '0')).toMatchObject([{ outcome: 'passed' }]);
  });
});

describe('the heartbeat', () => {
  const until = new Date('2026-11-21T03:00:00Z');
  const beat = (secondsBefore: number) => `INSERT INTO beat VALUES ('${new Date(until.getTime() - secondsBefore * 1000).toISOString()}')`;
  const sql = (database: string, text: string) => server.withClient(database, (client) => client.query(text));
  beforeAll(async () => {
    await sql('postgres', 'CREATE DATABASE copy');
    await sql('postgres', 'CREATE ROLE measurer LOGIN SUPERUSER');
  });
  beforeEach(async () => { for (const database of ['postgres', 'copy']) await sql(database, 'DROP TABLE IF EXISTS beat; CREATE TABLE beat (at timestamptz)'); });
  afterEach(() => sql('postgres', 'ALTER ROLE measurer SUPERUSER CONNECTION LIMIT -1'));

  /** Measures with one server as both: `postgres` is the source's database, `copy` the restored one. */
  const measure = ({ lost = {}, meanwhile = '', copy = (): ClientConfig => server.config('copy'), skew = 0, asked = () => undefined }: { lost?: Partial<LostCommits>; meanwhile?: string; copy?: () => ClientConfig; skew?: number; asked?: (until: Date) => void }) => measureLoss({
    declarationSkewSeconds: skew,
    drill: { owner: { workflowId: 'w', firstExecutionRunId: 'r' } } as never, recovered: { endLsn: '0/1', lastCommitAt: new Date(until.getTime() - 9500).toISOString(), replaySeconds: 0, promotionSeconds: 0 },
    plan: { declaredAt: until.toISOString(), heartbeat: { table: 'beat', column: 'at', every: 2000 }, source: { lsn: '0/2', systemIdentifier: '1', clockSkewSeconds: 0 }, sourceSilence: null, recoverTo: null } as never,
  }, {
    settings: databaseSchema.parse({ connection: connectionSchema.parse({ host: server.socketDirectory, port: server.port, user: 'measurer' }), provider: { kind: 'archive', repository: '/r', walDirectory: '/w' } }),
    resolvePassword: () => Promise.resolve(undefined), signal: new AbortController().signal, copy: () => Promise.resolve(copy),
    provider: {
      find: () => Promise.resolve({ beganAt: '2026-11-21T02:00:00.000Z' } as never),
      lostCommits: async (_drill, query) => {
        asked(query.until);
        if (meanwhile !== '') await sql('postgres', meanwhile);
        return { commits: 3, maintenance: 0, lastCommitAt: new Date(until.getTime() - 500).toISOString(), knownFrom: 'source', unread: null, ...lost };
      },
    },
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

  it('is not held against a loss of which only a bound is known', async () => {
    await sql('postgres', beat(0.5));
    await sql('copy', beat(1.5));
    const loss = await measure({ lost: { commits: 0, lastCommitAt: null, knownFrom: 'archive', unread: 'the WAL of the source could be read to 0/1 only' } });
    expect(loss).toMatchObject({ rpaSeconds: 9.5, lostTransactions: null, method: expect.stringMatching(/^the WAL of the source could be read to 0\/1 only: at most/) as string, checks: [{ outcome: 'skipped' }] });
  });
});

describe('a command that probes', () => {
  const started: (() => ReturnType<typeof findProcesses>)[] = [];
  // Also when a test fails: what it was about to find would stay for minutes.
  afterEach(async () => { for (const found of started.splice(0)) for (const { pid } of await found()) sendSignal(pid, 'SIGKILL'); });
  const setting = (script: string, timeout: number) => ({ command: ['sh', '-c', script], timeout });
  const start = (script: string, timeout: number) => {
    const value = `probe-${randomUUID()}`;
    const cancelled = new AbortController();
    const result = probe(setting(script, timeout), { address: () => server.config(), database: 'postgres', environment: { PATH: process.env['PATH'] ?? '' }, marker: { DURABLE_RUNBOOKS_DRILL: value }, signal: cancelled.signal });
    const found = () => findProcesses({ marker: { name: 'DURABLE_RUNBOOKS_DRILL', value }, directory: '/nowhere' });
    started.push(found);
    return { result, cancelled, found };
  };
  /** SIGKILL is sent when the probe has ended; the kernel needs a moment. */
  const nothingLeft = async (found: ReturnType<typeof start>['found']) => expect(await untilGone(await found(), 5_000)).toEqual([]);

  it('leaves no process behind when its time is out', async () => {
    const { result, found } = start('sleep 888 & sleep 889', 2000);
    await expect.poll(async () => (await found()).length, { timeout: 1900 }).toBe(3);
    expect(await result).toEqual({ name: 'application probe', outcome: 'skipped', detail: 'no answer: sh did not end within 2 s' });
    await nothingLeft(found);
  });

  it('leaves none when it is cancelled, and says nothing of the copy', async () => {
    const { result, cancelled, found } = start('sleep 888 & sleep 889', 60_000);
    await expect.poll(async () => (await found()).length, { timeout: 10_000 }).toBe(3);
    cancelled.abort();
    await expect(result).rejects.toMatchObject({ name: 'AbortError' });
    await nothingLeft(found);
  });

  it('is a mistake in the configuration where it cannot be started', async () => {
    const run = (command: string[], hasFailed = false) => probe({ command, timeout: 5000 }, { address: () => server.config(), database: 'postgres', environment: {}, marker: {}, signal: new AbortController().signal, hasFailed });
    await expect(run(['/nowhere/at-all'])).rejects.toMatchObject({ type: 'CONFIGURATION', nonRetryable: true, message: expect.stringMatching(/ENOENT.*probe\.command/) as string });
    // A finding must not be forgotten over it.
    expect(await run(['/nowhere/at-all'], true)).toMatchObject({ outcome: 'skipped', detail: expect.stringMatching(/ENOENT.*probe\.command/) as string });
    await expect(run([fileURLToPath(import.meta.url)])).rejects.toMatchObject({ type: 'CONFIGURATION', message: expect.stringContaining('EACCES') as string });
  });

  it('has no answer where a signal ended it', async () => {
    expect(await start('kill -SEGV $$', 60_000).result).toMatchObject({ outcome: 'skipped', detail: 'no answer: sh was ended by SIGSEGV' });
  });

  it('leaves none when it ends by itself, well or not', async () => {
    const well = start('sleep 888 & exit 0', 60_000);
    expect(await well.result).toMatchObject({ outcome: 'passed', detail: 'sh ended with 0' });
    await nothingLeft(well.found);
    const badly = start('sleep 888 & exit 3', 60_000);
    expect(await badly.result).toMatchObject({ outcome: 'failed', detail: 'sh ended with 3' });
    await nothingLeft(badly.found);
  });
});

describe('the limit of temporary files', () => {
  it('is a quarter of what may be used, never nothing, and no more than PostgreSQL can read', async () => {
    const limit = (free: number) => temporaryFileLimit({ reserveBytes: 2 ** 30 }, free);
    expect([limit(9 * 2 ** 30), limit(0), limit(Infinity)]).toEqual(['2048MB', '64MB', '-1']);
    const [largest] = await server.withClient('postgres', async (client) => {
      await client.query(`SET temp_file_limit = '${limit(2 ** 60)}'`);
      return (await client.query<{ setting: string }>(`SELECT setting FROM pg_settings WHERE name = 'temp_file_limit'`)).rows;
    });
    // The largest whole number of megabytes in a setting of 31 bits of kilobytes.
    expect(2 ** 31 - 1 - Number(largest?.setting)).toBeLessThan(1024);
  });
});

describe('a URL that is probed', () => {
  const context = { address: () => server.config(), database: 'postgres', environment: {}, marker: {}, signal: new AbortController().signal };

  it('has no answer where nobody serves it, and where it takes too long', async () => {
    const freePort = await freeLoopbackPort();
    expect(await probe({ url: `http://127.0.0.1:${freePort}/`, timeout: 5000 }, context)).toEqual({ name: 'application probe', outcome: 'skipped', detail: 'no answer: ECONNREFUSED' });
    const silent = createServer().listen(0, '127.0.0.1');
    try {
      await once(silent, 'listening');
      expect(await probe({ url: `http://127.0.0.1:${(silent.address() as AddressInfo).port}/`, timeout: 300 }, context)).toMatchObject({ outcome: 'skipped', detail: 'no answer within 0.3 s' });
    } finally {
      silent.close();
    }
  });

  it('is judged by its status', async () => {
    const serving = createHttpServer((request, response) => response.writeHead(request.url === '/well' ? 204 : 503).end()).listen(0, '127.0.0.1');
    try {
      await once(serving, 'listening');
      const at = (path: string) => probe({ url: `http://127.0.0.1:${(serving.address() as AddressInfo).port}/${path}`, timeout: 5000 }, context);
      expect(await at('well')).toMatchObject({ outcome: 'passed', detail: 'HTTP 204' });
      expect(await at('ill')).toMatchObject({ outcome: 'failed', detail: 'HTTP 503' });
    } finally {
      serving.close();
    }
  });
});
