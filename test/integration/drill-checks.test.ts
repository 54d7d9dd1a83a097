import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { MockActivityEnvironment } from '@temporalio/testing';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { checkSettingSchema, configurationSchema } from '../../contracts/configuration.ts';
import type { Manifest } from '../../contracts/manifest.ts';
import { RecoveryFailure } from '../../activities/archive/recovery-failure.ts';
import { createDrillActivities } from '../../activities/dr-test/create-drill-activities.ts';
import type { MeasureLossInput } from '../../activities/dr-test/drill-activities.ts';
import { madeSinceManifest } from '../../activities/dr-test/made-since-manifest.ts';
import { runOwnChecks } from '../../activities/dr-test/own-checks.ts';
import { checkPreparedTransactions, type Replayed } from '../../activities/dr-test/prepared-check.ts';
import { probe } from '../../activities/dr-test/probe.ts';
import type { LostCommits, RecoveryProvider } from '../../activities/dr-test/provider.ts';
import { drillClientConfig } from '../../activities/drill/client.ts';
import { findProcesses, sendSignal, untilGone } from '../../activities/drill/processes.ts';
import { freeLoopbackPort } from '../../scripts/embedded/free-port.ts';
import { type Server, startCluster } from '../support/postgres.ts';

let server: Server;
beforeAll(async () => { server = await startCluster({ tcp: true, settings: { max_prepared_transactions: 2 } }); });
afterAll(() => server.stop());

describe('cancellation', () => {
  it("ends the owner's check that is under way, and is no finding of it", async () => {
    const cancelled = new AbortController();
    const started = Date.now();
    const running = runOwnChecks(() => server.config(), [{ name: 'slow', sql: 'SELECT pg_sleep(100)', expect: '' }], { database: 'postgres', signal: cancelled.signal });
    await Promise.all([sleep(500).then(() => cancelled.abort()), expect(running).rejects.toMatchObject({ name: 'AbortError' })]);
    expect(Date.now() - started).toBeLessThan(30_000);
  });
});

it('databases that the manifest does not know are named as not compared, and those that it knows by their number are not', async () => {
  await server.withClient('postgres', async (client) => {
    for (const made of ['anew', 'billing', 'closed ALLOW_CONNECTIONS false', 'mould IS_TEMPLATE true', 'renamed', 'said', 'rdsadmin']) await client.query(`CREATE DATABASE ${made}`);
    try {
      const { rows } = await client.query<{ database: string; oid: number }>('SELECT datname AS database, oid::int8::float8 AS oid FROM pg_database');
      const known = rows.filter(({ database }) => ['postgres', 'renamed'].includes(database)).map(({ database, oid }) => ({ database: database === 'renamed' ? 'once' : database, oid }));
      const madeSince = (anew: { database: string; oid?: number }, namesakes: boolean) => madeSinceManifest(client, { id: 'm1', manifest: {
        databases: [...known, anew] as never, notVerified: [{ database: 'said', what: 'contents', why: 'it takes no connections', byDesign: false }],
      } }, { namesakes });
      const told = (name: string) => `database ${name}: made, or given this name, after manifest m1, and not compared; a newer manifest has it`;
      const others = ['billing', 'closed', 'mould'].map(told);
      // Dropped and made once more; where the comparison tells of that; and by a manifest of before numbers.
      expect(await madeSince({ database: 'anew', oid: 1 }, true)).toEqual([told('anew'), ...others]);
      expect(await madeSince({ database: 'anew', oid: 1 }, false)).toEqual(others);
      expect(await madeSince({ database: 'anew' }, true)).toEqual(others);
    } finally {
      await client.query('ALTER DATABASE mould IS_TEMPLATE false');
      for (const made of ['anew', 'billing', 'closed', 'mould', 'renamed', 'said', 'rdsadmin']) await client.query(`DROP DATABASE ${made}`);
    }
  });
});

describe('a manifest that went after it was compared', () => {
  const point = { id: 'b1', beganAt: '2026-11-21T02:00:00.000Z', systemIdentifier: null };
  const lost: LostCommits = { commits: 0, maintenance: 0, lastCommitAt: null, knownFrom: 'archive', unread: null };
  const gone = () => Promise.reject(new RecoveryFailure('ARCHIVE_CHANGED', 'The manifest m1 is gone from /r.', { files: ['m1'] }));
  const drilled = (readManifest: () => Promise<Manifest>, checks: object[] = []) => {
    const { host, port } = server.config();
    const configuration = configurationSchema.parse({ version: 1, drills: { directory: '/d' }, databases: { shop: { connection: { host, port, sslmode: 'disable' }, provider: { kind: 'archive', repository: '/r', walDirectory: '/w' } } } });
    const provider = {
      find: () => Promise.resolve(point), lostCommits: () => Promise.resolve(lost), readManifest, recoverToEnd: () => Promise.resolve(), address: () => Promise.resolve((database: string) => server.config(database)),
      keepReserve: <T>(_drill: unknown, signal: AbortSignal, work: (guarded: AbortSignal) => Promise<T>) => work(signal),
    } as unknown as RecoveryProvider;
    const activities = createDrillActivities({ client: undefined as never, configuration, providerOf: () => provider, resolvePassword: () => Promise.resolve(undefined), pastDrills: () => Promise.resolve([]), probeEnvironment: {} });
    const input = {
      declarationSkewSeconds: 0, drill: { database: 'shop', recoveryPointId: 'b1', owner: { workflowId: 'w', firstExecutionRunId: 'r' } },
      plan: { declaredAt: '2026-11-21T03:00:00.000Z', source: null, sourceSilence: 'down', recoverTo: null, manifest: { id: 'm1', databases: [{ name: 'postgres' }] }, checks },
      recovered: { endLsn: '0/1', lastCommitAt: '2026-11-21T02:59:50.500Z', stoppedBeforeLater: false, replaySeconds: 0, promotionSeconds: 0, repeatedSeconds: 0 },
    } as unknown as MeasureLossInput;
    const run = <T>(work: () => Promise<T>) => new MockActivityEnvironment({ startToCloseTimeoutMs: 86_400_000 }).run(work) as Promise<T>;
    return { measure: () => run(() => activities.measureLoss(input)), check: () => run(() => activities.runChecks({ ...input, hasFailed: false })) };
  };

  it('takes nothing from what was measured: that it named no databases is said, and open', async () => {
    expect(await drilled(gone).measure()).toMatchObject({ rpaSeconds: 9.5, notVerified: { open: ['databases made after manifest m1: not named, since it can no longer be read (The manifest m1 is gone from /r)'], byDesign: [] } });
  });

  it('is not needed where no prepared transaction is left over', async () => {
    expect(await drilled(gone).check()).toContainEqual({ name: 'prepared transactions', outcome: 'passed', detail: 'none is left over' });
  });

  it('leaves open whether the source had a prepared transaction that is left over, and all other checks stand', async () => {
    await server.withClient('postgres', (client) => client.query(`BEGIN; PREPARE TRANSACTION 'left'`));
    try {
      const found = await drilled(gone, [checkSettingSchema.parse({ name: 'mine', sql: 'SELECT 1', expect: '1' })]).check();
      expect(found).toContainEqual({ name: 'prepared transactions', outcome: 'skipped', detail: expect.stringMatching(/^1 left over, and the manifest, which would tell whether the source left them, can no longer be read \(The manifest m1 is gone from \/r\)\. They are "left" in postgres .*; COMMIT PREPARED 'left'; or /) as string });
      expect(found).toContainEqual({ name: 'mine', outcome: 'passed', detail: 'as expected' });
    } finally {
      await server.withClient('postgres', (client) => client.query(`ROLLBACK PREPARED 'left'`));
    }
  });

  it('is looked for again where that may help', async () => {
    const hiccup = () => Promise.reject(Object.assign(new Error('i/o error'), { code: 'EIO' }));
    await expect(drilled(hiccup).measure()).rejects.toMatchObject({ type: 'UNAVAILABLE', nonRetryable: false });
  });
});

describe('prepared transactions that are left over', () => {
  beforeAll(() => server.withClient('postgres', (client) => client.query(`BEGIN; PREPARE TRANSACTION 'over'`)));
  afterAll(() => server.withClient('postgres', (client) => client.query(`ROLLBACK PREPARED 'over'`)));
  const hence = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();
  const look = async (taken: Partial<Manifest['databases'][number]> | null, replayed: Partial<Replayed> = {}, preparedTransactions: object[] = []) => {
    const readManifest = () => Promise.resolve(taken && { databases: [taken], preparedTransactions, cost: { durationMs: 0 } } as unknown as Manifest);
    const { outcome, detail } = await checkPreparedTransactions((name) => server.config(name), 'postgres', { readManifest, replayed: { clockSkewSeconds: 0, lastCommitAt: hence(3), ...replayed }, signal: new AbortController().signal });
    return `${outcome}: ${detail}`;
  };

  it('are held against the manifest by the clock of the source, however that of who took it stood then, and of an older one as clocks stand by now', async () => {
    expect(await look({ takenAt: hence(1), takenAtBySource: hence(-1) })).toMatch(/^passed: 1 left over, as the source left them: "over"/);
    expect(await look({ takenAt: hence(-1), takenAtBySource: hence(1) }, { clockSkewSeconds: null })).toMatch(/^failed: the source did not have "over"/);
    expect([await look({ takenAt: hence(1) }), await look({ takenAt: hence(1) }, { clockSkewSeconds: -7_200 })]).toEqual([expect.stringMatching(/^failed/), expect.stringMatching(/^passed/)]);
  });

  it('have no answer where nobody can tell whether the source left them, which those that the manifest lists need not', async () => {
    expect(await look({ takenAt: hence(1) }, { clockSkewSeconds: null })).toMatch(/^skipped: 1 left over, and the manifest, .* does not say when it was taken by the source's clock, .*COMMIT PREPARED 'over'/);
    expect(await look({ takenAtBySource: hence(1) }, { lastCommitAt: null })).toMatch(/^skipped: 1 left over, and .* no commit that was replayed tells/);
    expect(await look(null)).toMatch(/^skipped: 1 left over, and no manifest tells/);
    const unknown = { clockSkewSeconds: null, lastCommitAt: null };
    expect([await look({ takenAt: hence(1) }, unknown, [{ gid: 'over', database: 'postgres' }]), await look({ takenAtBySource: hence(-1) }, unknown)]).toEqual([expect.stringMatching(/^passed/), expect.stringMatching(/^passed/)]);
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

  it.each(['57014', '25P04'])('have no answer when they take too long (%s)', async (state) => {
    expect(await run(`SELECT fails('${state}')`, '1')).toEqual([{ name: 'mine', outcome: 'skipped', detail: expect.stringContaining('5 minutes') as string }]);
  });

  it('run as they would without what the restored catalog sets of limits and of how SQL is read', async () => {
    const major = Math.floor((await server.withClient('postgres', async (client) => (await client.query<{ n: number }>(`SELECT current_setting('server_version_num')::int AS n`)).rows[0]?.n ?? 0)) / 10_000);
    const settings = { statement_timeout: '100ms', lock_timeout: '100ms', standard_conforming_strings: 'off', quote_all_identifiers: 'on', role: 'pg_monitor', ...(major >= 17 ? { transaction_timeout: '100ms' } : {}) };
    await server.withClient('postgres', async (client) => {
      await client.query('CREATE DATABASE settled');
      for (const [name, value] of Object.entries(settings)) await client.query(`ALTER DATABASE settled SET ${name} = '${value}'`);
    });
    const { options } = drillClientConfig({ directory: '/nowhere', owner: null, serverMajor: major, superuser: 'postgres', maintenanceDatabase: 'postgres' }, { database: 'settled' });
    const config = { ...server.config('settled'), options };
    const checks = [['slow', 'SELECT 1 FROM pg_sleep(0.4)', '1'], ['backslash', String.raw`SELECT '\d'`, String.raw`\d`], ['name', `SELECT format('%I', 'a')`, 'a'], ['role', 'SELECT current_user', 'postgres']].map(([name = '', sql = '', expected = '']) => ({ name, sql, expect: expected }));
    expect(await runOwnChecks(() => config, checks, { database: 'settled', signal })).toEqual(checks.map(({ name }) => ({ name, outcome: 'passed', detail: 'as expected' })));
  });

  it('have no answer when they need more temporary files than the drill may have', async () => {
    const config = { ...server.config(), options: '-c temp_file_limit=64kB -c work_mem=64kB' };
    const sorting = checkSettingSchema.parse({ name: 'mine', sql: 'SELECT count(*) FROM (SELECT repeat(n::text, 50) FROM generate_series(1, 20000) AS n ORDER BY 1) AS sorted', expect: 20_000 });
    expect(await runOwnChecks(() => server.config(), [sorting], { database: 'postgres', signal })).toMatchObject([{ outcome: 'passed' }]);
    expect(await runOwnChecks(() => config, [sorting], { database: 'postgres', signal })).toEqual([{ name: 'mine', outcome: 'skipped', detail: expect.stringContaining('raise temp_file_limit') as string }]);
  });

  it('have no answer from a library that drills leave out', async () => {
    await server.withClient('postgres', (client) => client.query('CREATE EXTENSION pg_stat_statements'));
    expect(await run('SELECT count(*) FROM pg_stat_statements', 1)).toEqual([{ name: 'mine', outcome: 'skipped', detail: expect.stringContaining('drills.preloadLibraries') as string }]);
  });

  it.each(['53100', '53200', '53300', '57P01', '57P03', '58030'])('find nothing when the host is in trouble (%s)', async (state) => {
    await expect(run(`SELECT fails('${state}')`, '1')).rejects.toMatchObject({ code: state });
  });

  it('hold one statement each, so that none can leave the transaction that may not write', async () => {
    await expect(run('ROLLBACK; INSERT INTO untouched VALUES (1)', '1')).rejects.toMatchObject({ type: 'CONFIGURATION', nonRetryable: true, message: expect.stringContaining('"mine" holds more than one statement') as string });
    expect(await run('SELECT count(*) FROM untouched', '0')).toMatchObject([{ outcome: 'passed' }]);
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
  const nothingLeft = async (found: ReturnType<typeof start>['found']) => expect(await untilGone(await found(), 60_000)).toEqual([]);

  it('leaves no process behind when its time is out', async () => {
    const { result, found } = start('sleep 888 & sleep 889', 2000);
    await expect.poll(async () => (await found()).length, { timeout: 1900 }).toBe(3);
    expect(await result).toEqual({ name: 'application probe', outcome: 'skipped', detail: 'no answer: sh did not end within 2 s' });
    await nothingLeft(found);
  });

  it('leaves none when it is cancelled, and says nothing of the copy', async () => {
    const { result, cancelled, found } = start('sleep 888 & sleep 889', 60_000);
    await expect.poll(async () => (await found()).length).toBe(3);
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
    const addresses: URL[] = [];
    const serving = createHttpServer((request, response) => {
      addresses.push(new URL(request.url ?? '', 'http://here'));
      response.writeHead(request.url === '/well' ? 204 : 503).end();
    }).listen(0, '127.0.0.1');
    try {
      await once(serving, 'listening');
      const at = (path: string) => probe({ url: `http://127.0.0.1:${(serving.address() as AddressInfo).port}/${path}`, timeout: 5000 }, context);
      expect(await at('well')).toMatchObject({ outcome: 'passed', detail: 'HTTP 204' });
      expect(await at('ill')).toMatchObject({ outcome: 'failed', detail: 'HTTP 503' });
      // Where its address carries that of the copy, a client of PostgreSQL can use it as it is.
      expect(await at('?of={DATABASE_URL}&more=1')).toMatchObject({ outcome: 'failed' });
      const client = new Client({ connectionString: addresses.at(-1)!.searchParams.get('of')!, ...(server.config().password === undefined ? {} : { password: server.config().password }) });
      await client.connect();
      expect((await client.query<{ name: string }>('SELECT current_database() AS name')).rows).toEqual([{ name: 'postgres' }]);
      await client.end();
      expect(addresses.at(-1)!.searchParams.get('more')).toBe('1');
    } finally {
      serving.close();
    }
  });
});
