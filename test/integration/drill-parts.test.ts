import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { connectionSchema, databaseSchema } from '../../contracts/configuration.ts';
import { checkCollations } from '../../activities/dr-test/collation-check.ts';
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
    for (const source of [at('origin'), null]) {
      expect(await checkCollations(at('restored'), source, ['shop'])).toMatchObject([{ outcome: 'failed', detail: expect.stringMatching(/^shop: pg_catalog\..* \(built with old, here .*REINDEX after restoring/) as string }]);
    }
  });

  it('that the source differs in as well are its own, and no finding of the restore', async () => {
    await spoil('origin');
    expect(await checkCollations(at('restored'), at('origin'), ['shop'])).toMatchObject([{ outcome: 'skipped', detail: expect.stringMatching(/^the source itself runs so: shop: /) as string }]);
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
