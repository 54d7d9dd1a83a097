import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareTables, type TablesComparison } from '../../activities/manifest/compare-tables.ts';
import { takeManifest } from '../../activities/manifest/take-manifest.ts';
import { listTables } from '../../activities/manifest/tables.ts';
import { classify } from '../../activities/temporal/classify.ts';
import type { Manifest } from '../../contracts/manifest.ts';
import { startCluster, type Server } from '../support/postgres.ts';

describe('a comparison', () => {
  let server: Server;
  let manifest: Manifest;
  const signal = new AbortController().signal;
  beforeAll(async () => {
    server = await startCluster({ logical: true });
    await server.withClient('postgres', (client) => client.query(
      `CREATE TABLE accounts (id int PRIMARY KEY, balance int); INSERT INTO accounts SELECT g, g FROM generate_series(1, 100) g;
       CREATE FUNCTION fails(state text) RETURNS numeric LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION USING ERRCODE = state, MESSAGE = ''told by a server''; END'`));
    manifest = await takeManifest({ connect: (database) => server.config(database), applicationName: 'manifest-test', signal, limits: {} });
  });
  afterAll(() => server.stop());

  /** Compares as `compareWithManifest` does, but reads rows by another expression where one is given. */
  const compare = async (client: Client, expression?: string): Promise<TablesComparison> => {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    try {
      const { rows: [version] } = await client.query<{ number: number }>(`SELECT current_setting('server_version_num')::int AS number`);
      const { tables } = await listTables(client, version?.number ?? 0);
      const found = expression === undefined ? tables : tables.map((table) => ({ ...table, expression }));
      const expected = manifest.databases[0]?.tables.filter(({ name }) => name === 'accounts') ?? [];
      return await compareTables({ workers: [client], expected, found, locked: new Set(), depth: 'standard', signal, onProgress: () => undefined });
    } finally {
      // One that broke off has nothing to roll back.
      await client.query('ROLLBACK').catch(() => undefined);
    }
  };

  it.each([
    ['has no disk left', '53100', { type: 'DISK_FULL', nonRetryable: true }],
    ['has no memory left', '53200', { type: 'UNAVAILABLE', nonRetryable: false }],
    ['has no connection left', '53300', { type: 'UNAVAILABLE', nonRetryable: false }],
    ['has storage that fails', '58030', { type: 'UNAVAILABLE', nonRetryable: false }],
  ])('finds nothing of the data when the host %s', async (_what, state, failure) => {
    await server.withClient('postgres', async (client) => {
      expect((await compare(client)).differences).toEqual([]);
      const error: unknown = await compare(client, `public.fails('${state}')`).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: state });
      expect(classify(error)).toMatchObject(failure);
    });
  });

  it.each(['XX001', 'XX002'])('finds damage when the server says that it read some (%s)', async (code) => {
    await server.withClient('postgres', async (client) => {
      expect((await compare(client, `public.fails('${code}')`)).differences).toEqual([expect.objectContaining({ kind: 'unreadable', table: 'public.accounts', code, message: 'told by a server' })]);
    });
  });

  it('finds nothing of the data when the process that reads crashes, and names the table', async () => {
    const reader = new Client(server.config());
    reader.on('error', () => undefined);
    await reader.connect();
    const { rows: [process_] } = await reader.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const comparing = compare(reader, `(SELECT 1::numeric FROM pg_sleep(30))`).catch((thrown: unknown) => thrown);
    await sleep(500);
    process.kill(process_?.pid ?? 0, 'SIGKILL');
    const error = await comparing;
    expect((error as Error).message).toContain('over which table public.accounts was read');
    expect(classify(error)).toMatchObject({ type: 'UNAVAILABLE', nonRetryable: false });
    await reader.end().catch(() => undefined);
    // It restarts by itself.
    await expect.poll(() => server.withClient('postgres', async (client) => (await compare(client)).differences).catch((thrown: unknown) => thrown)).toEqual([]);
  });

  it('finds nothing of the data when somebody keeps a table locked', async () => {
    const [reader, waiter] = [new Client(server.config()), new Client(server.config())];
    await Promise.all([reader.connect(), waiter.connect()]);
    try {
      await reader.query('BEGIN; SELECT FROM accounts LIMIT 1');
      // Not granted yet, so nobody sees a lock; but whoever comes later queues behind it.
      await waiter.query('BEGIN');
      const waiting = waiter.query('LOCK TABLE accounts').catch(() => undefined);
      await sleep(200);
      await server.withClient('postgres', async (client) => {
        await client.query('SET lock_timeout = 300');
        const error: unknown = await compare(client).catch((thrown: unknown) => thrown);
        expect(error).toMatchObject({ code: '55P03' });
        expect(classify(error)).toMatchObject({ type: 'UNAVAILABLE', nonRetryable: false });
      });
      await reader.query('ROLLBACK');
      await waiting;
    } finally {
      await Promise.all([reader.end(), waiter.end()]);
    }
  });
});
