import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { checkSettingSchema, connectionSchema, databaseSchema } from '../../contracts/configuration.ts';
import { describeSource } from '../../activities/dr-test/describe-source.ts';
import { runOwnChecks } from '../../activities/dr-test/own-checks.ts';
import { probe } from '../../activities/dr-test/probe.ts';
import { findProcesses, sendSignal, untilGone } from '../../activities/drill/processes.ts';
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

  it.each([['a syntax error', 'SELEC 1', '42601'], ['a table that is missing', 'SELECT * FROM lost', '42P01'], ['damage', `SELECT fails('XX001')`, 'XX001'], ['an attempt to write', 'INSERT INTO untouched VALUES (1)', '25006']])('fail with %s', async (_what, sql, code) => {
    expect(await run(sql, '1')).toEqual([{ name: 'mine', outcome: 'failed', detail: `could not be run (${code})` }]);
  });

  it('have no answer when they take too long', async () => {
    expect(await run(`SELECT fails('57014')`, '1')).toEqual([{ name: 'mine', outcome: 'skipped', detail: expect.stringContaining('5 minutes') as string }]);
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
  const nothingLeft = async (found: ReturnType<typeof start>['found']) => expect(await untilGone(await found(), 5_000)).toEqual([]);

  it('leaves no process behind when its time is out', async () => {
    const { result, found } = start('sleep 888 & sleep 889', 2000);
    await expect.poll(async () => (await found()).length, { timeout: 1900 }).toBe(3);
    expect(await result).toEqual({ name: 'application probe', outcome: 'failed', detail: 'sh ended with its time-out of 2 s' });
    await nothingLeft(found);
  });

  it('leaves none when it is cancelled, and says nothing of the copy', async () => {
    const { result, cancelled, found } = start('sleep 888 & sleep 889', 60_000);
    await expect.poll(async () => (await found()).length, { timeout: 10_000 }).toBe(3);
    cancelled.abort();
    await expect(result).rejects.toMatchObject({ name: 'AbortError' });
    await nothingLeft(found);
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
