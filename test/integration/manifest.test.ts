import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exclusivelyLocked } from '../../activities/manifest/exclusive-locks.ts';
import { takeManifest, takeManifestOfPausedStandby } from '../../activities/manifest/take-manifest.ts';
import { manifestSchema, type Manifest } from '../../contracts/manifest.ts';
import { backUpByCopy, manifestsOf, recoverTo, schemaOfEverything, startWriters, type RaceCounts } from '../support/manifest-scenario.ts';
import { startCluster, type Server } from '../support/postgres.ts';

let source: Server;

beforeAll(async () => {
  source = await startCluster({ logical: true, settings: { wal_keep_size: '2GB', max_wal_size: '2GB', autovacuum_naptime: '1s' } });
  await source.withClient('postgres', (client) => client.query(schemaOfEverything));
  await source.withClient('postgres', (client) => client.query('CREATE DATABASE second'));
  await source.withClient('second', (client) => client.query('CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 5000) g'));
});
afterAll(() => source.stop());

/** More drills for a long run: MANIFEST_DRILLS=50. */
const drills = Number(process.env['MANIFEST_DRILLS'] ?? 4);
const total: Partial<RaceCounts> = {};

const { take, takeWhileBlocked, compare } = manifestsOf(() => source);

describe('a manifest taken under write load', () => {
  test.each(Array.from({ length: drills }, (_, index) => index + 1))('equals a copy that was recovered to its log position (drill %i)', async (drill) => {
    const writers = startWriters(source, { raceEveryMs: [250, 60, 500, 120][drill % 4] ?? 250 });
    try {
      const copy = await backUpByCopy(source);
      const manifest = await take();
      expect(manifestSchema.parse(JSON.parse(JSON.stringify(manifest)))).toEqual(manifest);
      const [postgres, second] = manifest.databases;
      console.log(`drill ${drill}: attempts ${manifest.cost.attempts}, ${Math.round(manifest.cost.durationMs)} ms, longest lock ${Math.round(manifest.cost.longestLockMs)} ms`, JSON.stringify(writers.counts));
      // Each database has a position of its own, and a copy can only go forward: drills take turns.
      for (const database of drill % 2 === 0 ? [second] : [postgres]) {
        const restored = await recoverTo(source, copy, database?.lsn ?? '');
        try {
          const result = await compare(restored, manifest, database?.database ?? '');
          expect(result.differences).toEqual([]);
          expect(result.notVerified.filter((entry) => !entry.byDesign)).toEqual([]);
          expect(result.compared.tables).toBe(database?.tables.length);
        } finally { await restored.stop(); }
      }
    } finally {
      await writers.stop();
      for (const [kind, count] of Object.entries(writers.counts)) total[kind as keyof RaceCounts] = (total[kind as keyof RaceCounts] ?? 0) + count;
      console.log('races so far', JSON.stringify(total));
    }
  });

  test('is the same when it is taken of the paused copy, without a slot', async () => {
    const copy = await backUpByCopy(source);
    const manifest = await take();
    const restored = await recoverTo(source, copy, manifest.databases[0]?.lsn ?? '');
    try {
      const again = await takeManifestOfPausedStandby({ connect: (name) => restored.config(name), applicationName: 'manifest-test', signal: new AbortController().signal, databases: ['postgres'] });
      const contents = (of: Manifest): unknown => of.databases[0]?.tables.map(({ schema, name, rows, fingerprint }) => [schema, name, rows, fingerprint]).sort();
      expect(contents(again)).toEqual(contents(manifest));
      expect(again.databases[0]?.catalog).toEqual(manifest.databases[0]?.catalog);
    } finally { await restored.stop(); }
  });

  test('what a transaction under way locks at the position is not verified, and is no damage', async () => {
    await source.withClient('postgres', (client) => client.query('CREATE SEQUENCE renamed'));
    const copy = await backUpByCopy(source);
    const manifest = await take();
    const [database] = manifest.databases;
    const lsn = await source.withClient('postgres', async (client) => {
      await client.query('BEGIN; LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE; ALTER SEQUENCE renamed RENAME TO other');
      const seen = await source.withClient('postgres', async (other) => exclusivelyLocked(other));
      const { rows: held } = await client.query<{ oid: string }>(`SELECT unnest(ARRAY['accounts'::regclass, 'other'::regclass])::oid::text AS oid`);
      expect(seen).toEqual(new Set(held.map(({ oid }) => Number(oid))));
      const { rows: [row] } = await client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
      await client.query('ROLLBACK');
      return row?.lsn ?? '';
    });
    const restored = await recoverTo(source, copy, lsn);
    try {
      const result = await compare(restored, { ...manifest, databases: [{ ...(database as NonNullable<typeof database>), lsn }] }, 'postgres');
      expect(result.differences).toEqual([]);
      expect(result.notVerified.filter((entry) => !entry.byDesign)).toMatchObject(
        ['position of sequence public.renamed', 'contents of public.accounts'].map((what) => ({ what, why: expect.stringContaining('locks it') as string })));
      expect(result.compared.tables).toBe((database?.tables.length ?? 0) - 1);
    } finally { await restored.stop(); }
  });

  test('a position across which somebody holds a lock is given up for a later one', async () => {
    let running = true;
    const holding = source.withClient('postgres', async (client) => {
      while (running) {
        await client.query(`BEGIN; LOCK TABLE no_key IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(0.05)`);
        await client.query('ROLLBACK');
        await client.query('SELECT pg_sleep(0.05)');
      }
    });
    try {
      const restarts: string[] = [];
      for (let round = 0; round < 20 && restarts.length === 0; round += 1) restarts.push(...(await take()).cost.restarts);
      expect(restarts.join()).toContain('no_key');
    } finally {
      running = false;
      await holding;
    }
  });

  test('a bucket that is read in bursts is the same as one that is read at once', async () => {
    const run = (sql: string) => source.withClient('postgres', (client) => client.query(sql));
    // Its keys fall, and the ends of time are among them: as text they would be in another order.
    await run(`CREATE TABLE in_bursts (at timestamptz PRIMARY KEY, filler text)`);
    await run(`INSERT INTO in_bursts SELECT CASE i WHEN 7000 THEN 'infinity' WHEN 9000 THEN '-infinity' ELSE timestamptz '20000-01-01' - i * interval '1 day' END, repeat(md5(i::text), 20) FROM generate_series(1, 12000) i`);
    try {
      const tableOf = (manifest: Manifest) => manifest.databases[0]?.tables.find(({ name }) => name === 'in_bursts');
      const bucketBytes = 8 * 1024 ** 2;
      const inBursts = tableOf(await take({ bucketBytes, dutyCycle: 0.9 }));
      expect(inBursts?.bytes).toBeGreaterThan(6_000_000);
      // Autovacuum may add a map to its files in between.
      expect(inBursts).toEqual({ ...tableOf(await take({ bucketBytes, dutyCycle: 1 })), bytes: inBursts?.bytes });
      expect(inBursts?.buckets).toMatchObject([{ fromPage: 0, toPage: null, rows: 12_000, keyFrom: '-infinity', keyTo: 'infinity' }]);
    } finally {
      await run('DROP TABLE in_bursts');
    }
  });

  test('databases that come and go meanwhile are named, and end nothing', async () => {
    const run = (sql: string) => source.withClient('postgres', (client) => client.query(sql));
    await run('CREATE DATABASE tenant_left');
    try {
      const manifest = await takeWhileBlocked(async () => {
        await run('CREATE DATABASE tenant_new');
        await run('DROP DATABASE tenant_left');
      });
      expect(manifest.databases.map(({ database }) => database)).toEqual(['postgres', 'second']);
      expect(manifest.notVerified).toContainEqual({ database: 'tenant_new', what: 'contents', why: 'it was created or renamed while the manifest was taken; take a new backup', byDesign: false });
      expect(manifest.notVerified).toContainEqual({ database: 'tenant_left', what: 'contents', why: 'it was dropped or renamed while the manifest was taken', byDesign: true });
    } finally {
      await run('DROP DATABASE IF EXISTS tenant_left');
      await run('DROP DATABASE IF EXISTS tenant_new');
    }
  });

  test('a database that is dropped while the first one is read is what it was at the position', async () => {
    const run = (sql: string) => source.withClient('postgres', (client) => client.query(sql));
    const definition = ({ globals }: Manifest, name: string) => globals.filter(([kind, identity]) => kind === 'database' && identity === name);
    await run('CREATE DATABASE tenant CONNECTION LIMIT 7');
    await run('CREATE DATABASE marked ALLOW_CONNECTIONS false');
    try {
      const before = await take();
      let dropping: Promise<unknown> | undefined;
      // Its contents come last and are not there any more; it is seen by the snapshot of the first.
      const during = await takeManifest({
        connect: (database) => source.config(database), applicationName: 'manifest-test', signal: new AbortController().signal, limits: { dutyCycle: 0.05 },
        onProgress: ({ phase, database }) => { if (phase === 'tables' && database === 'postgres') dropping ??= run('DROP DATABASE tenant'); },
      });
      await dropping;
      expect(definition(during, 'tenant')).toEqual(definition(before, 'tenant'));
      expect(definition(during, 'tenant')).toHaveLength(1);
      expect(during.cost.restarts.filter((restart) => restart.includes('tenant'))).toEqual([]);

      // One that is marked while the position is waited for: a copy there may have it either way.
      const around = await takeWhileBlocked(async () => { await run(`UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'marked'`); });
      expect(around.cost.restarts).toContain('postgres: database marked dropped around the position');
      expect((await take()).cost.restarts.join()).not.toContain('marked');
    } finally {
      await run('DROP DATABASE IF EXISTS tenant');
      await run('DROP DATABASE marked');
    }
  });

  test('databases that cannot be read are named', async () => {
    const run = (sql: string) => source.withClient('postgres', (client) => client.query(sql));
    await run('CREATE DATABASE closed ALLOW_CONNECTIONS false');
    await run('CREATE DATABASE mould IS_TEMPLATE true');
    await run('CREATE DATABASE half_dropped');
    // As an interrupted DROP DATABASE leaves it.
    await run(`UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'half_dropped'`);
    try {
      const manifest = await take();
      expect(manifest.databases.map(({ database }) => database)).toEqual(['postgres', 'second']);
      expect(manifest.notVerified.filter(({ what }) => what === 'contents').map(({ database, why, byDesign }) => [database, why.slice(0, 25), byDesign])).toEqual([
        ['closed', 'it takes no connections; ', false], ['half_dropped', 'DROP DATABASE was interru', false], ['mould', 'it is a template, and rea', false],
        ['template0', 'what initdb made; reading', true], ['template1', 'what initdb made; reading', true],
      ]);
    } finally {
      await run('ALTER DATABASE mould IS_TEMPLATE false');
      await run(`UPDATE pg_database SET datconnlimit = -1 WHERE datname = 'half_dropped'`);
      for (const name of ['closed', 'mould', 'half_dropped']) await run(`DROP DATABASE ${name}`);
    }
  });

  test('names the table and pages of a flipped bit, and reads on', async () => {
    await source.withClient('postgres', (client) => client.query('CREATE SEQUENCE broken; CHECKPOINT'));
    const copy = await backUpByCopy(source);
    const manifest = await take();
    const flip = async (relation: string, place: number) => {
      const file = await source.withClient('postgres', async (client) => (await client.query<{ path: string }>('SELECT pg_relation_filepath($1) AS path', [relation])).rows[0]?.path);
      const handle = openSync(join(copy, file ?? ''), 'r+');
      const byte = Buffer.alloc(1);
      readSync(handle, byte, 0, 1, place);
      writeSync(handle, Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, place);
      closeSync(handle);
    };
    await flip('everything', 8192 * 40 + 5000);
    await flip('broken', 8150);
    const restored = await recoverTo(source, copy, manifest.databases[0]?.lsn ?? '');
    try {
      const { differences: [sequence, ...differences] } = await compare(restored, manifest, 'postgres');
      expect(sequence).toMatchObject({ kind: 'sequence', sequence: 'public.broken', problem: 'unreadable', code: 'XX001' });
      expect(differences).toHaveLength(1);
      expect(differences[0]).toMatchObject({ kind: 'unreadable', table: 'public.everything', code: 'XX001' });
      // Neighbours are read at once; what is named is the one range that is damaged.
      const buckets = manifest.databases[0]?.tables.find(({ name }) => name === 'everything')?.buckets ?? [];
      expect(buckets.length).toBeGreaterThan(2);
      const hit = buckets.find(({ fromPage, toPage }) => fromPage <= 40 && (toPage === null || toPage > 40));
      expect(differences[0]).toMatchObject({ fromPage: hit?.fromPage, toPage: hit?.toPage });
    } finally { await restored.stop(); }
  });
});
