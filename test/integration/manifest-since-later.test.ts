import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareSince } from '../../activities/manifest/since/compare-since.ts';
import type { ComparisonResult, Manifest } from '../../contracts/manifest.ts';
import { manifestsOf } from '../support/manifest-scenario.ts';
import { openedCopy } from '../support/opened-copy.ts';
import { startCluster, type Server } from '../support/postgres.ts';

/** What a source did after the instant of its copy, once it has counted 2^32 transactions. */
let source: Server;
let copy: Server;
let manifest: Manifest;

const SETTINGS = { track_commit_timestamp: 'on', max_connections: 60, max_prepared_transactions: 20, wal_level: 'logical' };
const atSource = (sql: string, database = 'postgres') => source.withClient(database, (client) => client.query(sql));

beforeAll(async () => {
  source = await startCluster({ logical: true, epoch: 1, settings: { wal_keep_size: '2GB', autovacuum: 'off', ...SETTINGS } });
  await atSource(`CREATE TABLE orders AS SELECT g AS id, 'order ' || g AS note FROM generate_series(1, 2000) g`);
  manifest = await manifestsOf(() => source).take();
  // What is as in the manifest is not held against the source.
  await atSource(`UPDATE orders SET note = 'changed' WHERE id = 2`);
  copy = await openedCopy(source, SETTINGS);
}, 90_000);
afterAll(() => Promise.all([source.stop(), copy.stop()]));

const compare = (database = 'postgres'): Promise<ComparisonResult> => compareSince({
  connect: (name) => copy.config(name), source: { connect: (name) => source.config(name), limits: { statementTimeoutMs: 60_000, lockTimeoutMs: 5_000 } },
  manifest, database, connections: 2, depth: 'standard', applicationName: 'since', signal: new AbortController().signal,
});

describe('after 2^32 transactions', () => {
  it('no row is missing that the source has written since, of whatever number', async () => {
    // Each in a transaction of its own, beyond those that the copy counted for itself.
    for (let n = 0; n < 50; n += 1) await atSource(`INSERT INTO orders VALUES (${3_000 + n}, 'later')`);
    await atSource(`UPDATE orders SET note = 'later' WHERE id = 1`);
    expect((await compare()).differences).toEqual([]);
  });

  it('a row that the copy lacks is missing', async () => {
    await copy.withClient('postgres', (client) => client.query('DELETE FROM orders WHERE id = 1000'));
    expect((await compare()).differences).toEqual([expect.objectContaining({ kind: 'rows', table: 'public.orders' })]);
  });
});
