import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { countSourceCommits, readSegmentsOfServer } from '../../activities/archive/source-wal.ts';
import { readSegmentsFrom, scanWal } from '../../activities/archive/wal-scan.ts';
import type { WalCommit } from '../../activities/archive/wal-record.ts';
import { walkWal } from '../../activities/archive/wal-reader.ts';
import { findPostgres } from '../../activities/postgres/binaries.ts';
import { segmentFileName } from '../../activities/archive/wal.ts';
import { parseLsn } from '../../activities/postgres/lsn.ts';
import { chmodSync, chownSync, cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { spying, without } from '../support/altered-client.ts';
import { createPrivateDirectory, runAs, type Server, startCluster } from '../support/postgres.ts';

const MB = 1024 * 1024;
const lineage = { timeline: 1, ancestors: [] };

/** Writes WAL of all kinds: savepoints, two-phase commits, DDL, records over several pages, switches. */
async function makeWal(server: Server): Promise<{ start: string; end: string }> {
  return server.withClient('postgres', async (client) => {
    await client.query('CHECKPOINT');
    const start = await client.query('SELECT pg_switch_wal(), pg_current_wal_insert_lsn()::text AS lsn');
    await client.query('CREATE TABLE t (id serial PRIMARY KEY, body text)');
    for (let i = 0; i < 200; i += 1) await client.query('INSERT INTO t (body) VALUES (repeat(md5($1::text), $2))', [i, i]);
    await client.query('BEGIN; INSERT INTO t (body) VALUES (1); SAVEPOINT a; INSERT INTO t (body) VALUES (2); SAVEPOINT b; INSERT INTO t (body) VALUES (3); COMMIT');
    for (let i = 1; i <= 3; i += 1) await client.query(`BEGIN; CREATE TABLE p${i} (a int); DROP TABLE IF EXISTS p${i - 1}; PREPARE TRANSACTION 'p${i}'`).then(() => client.query(`COMMIT PREPARED 'p${i}'`));
    await client.query(`BEGIN; INSERT INTO t (body) VALUES (1); PREPARE TRANSACTION 'away'`).then(() => client.query(`ROLLBACK PREPARED 'away'`));
    await client.query('BEGIN; INSERT INTO t (body) VALUES (9); ROLLBACK');
    await client.query(`SELECT pg_logical_emit_message(false, 'big', repeat('x', 2500000))`);
    await client.query('SELECT pg_switch_wal()');
    await client.query('INSERT INTO t (body) SELECT md5(i::text) FROM generate_series(1, 30000) i');
    const end = await client.query('SELECT pg_current_wal_flush_lsn()::text AS lsn');
    return { start: (start.rows[0] as { lsn: string }).lsn, end: (end.rows[0] as { lsn: string }).lsn };
  });
}

const settings = { max_prepared_transactions: 10, wal_keep_size: '1GB', autovacuum: 'off', bgwriter_lru_maxpages: 0 };

describe('PostgreSQL of the package', () => {
  let server: Server;
  beforeAll(async () => { server = await startCluster({ settings: { ...settings, wal_level: 'logical' }, initdb: ['--wal-segsize=1'] }); });
  afterAll(() => server.stop());

  test('the walker sees the records and commits that pg_walinspect sees', async () => {
    const { start, end } = await makeWal(server);
    const readSegment = readSegmentsFrom({ directory: join(server.dataDirectory, 'pg_wal'), segmentSize: MB, lineage });
    const commits: WalCommit[] = [];
    const limitLsn = parseLsn(end);
    const scanned = await scanWal({ readSegment, segmentSize: MB, timeline: 1, startLsn: parseLsn(start), limitLsn, onCommit: (commit) => commits.push(commit) });
    expect(scanned).toMatchObject({ reason: 'limit', detail: '' });
    const seen = await server.withClient('postgres', async (client) => {
      await client.query('CREATE EXTENSION pg_walinspect');
      const { rows } = await client.query(
        `SELECT count(*)::int AS records,
                count(*) FILTER (WHERE resource_manager = 'Transaction' AND record_type IN ('COMMIT', 'COMMIT_PREPARED'))::int AS commits,
                max(end_lsn)::text AS "endLsn"
           FROM pg_get_wal_records_info($1, $2)`, [start, end]);
      return rows[0] as { records: number; commits: number; endLsn: string };
    });
    expect({ records: scanned.records, commits: scanned.commits }).toEqual({ records: seen.records, commits: seen.commits });
    expect(scanned.endLsn).toBe(parseLsn(seen.endLsn));
    expect(commits.filter((commit) => commit.prepared)).toHaveLength(3);
    expect(commits.every((commit) => Math.abs(commit.committedAt.getTime() - Date.now()) < 60_000)).toBe(true);
  });

  test('the end of valid WAL is where the server flushed to', async () => {
    const end = await server.withClient('postgres', async (client) => {
      await client.query('CREATE TABLE last (a int)');
      return parseLsn((await client.query('SELECT pg_current_wal_flush_lsn()::text AS lsn')).rows[0].lsn as string);
    });
    const readSegment = readSegmentsFrom({ directory: join(server.dataDirectory, 'pg_wal'), segmentSize: MB, lineage });
    const walked = await walkWal({ readSegment, segmentSize: MB, timeline: 1, startLsn: end - 100_000n, onRecord: () => undefined });
    expect(walked.reason).not.toBe('limit');
    expect(walked.endLsn).toBe(end);
  });

  test('the transactions a restore lost are counted from the living source, up to the instant', async () => {
    const times: number[] = [];
    const at = await server.withClient('postgres', async (client) => {
      const from = parseLsn((await client.query('SELECT pg_current_wal_flush_lsn()::text AS lsn')).rows[0].lsn as string);
      for (let i = 0; i < 12; i += 1) {
        await client.query('INSERT INTO t (body) VALUES (1)');
        times.push(Date.now());
        await new Promise((resolve) => setTimeout(resolve, 20));
        if (i === 4) await client.query('SELECT pg_switch_wal()');
      }
      const common = { walDirectory: '/nonexistent', lineage, segmentSize: MB, systemIdentifier: await identify(client), fromLsn: from };
      expect(await countSourceCommits({ ...common, client, until: new Date() })).toMatchObject({ commits: 12, method: 'source', unread: null });
      expect(await countSourceCommits({ ...common, client, until: new Date((times[6] as number) + 5) })).toMatchObject({ commits: 7 });
      let read = 0;
      const early = await countSourceCommits({ ...common, client: spying(client, () => { read += 1; }), until: new Date((times[0] as number) - 61_000) });
      expect(early).toMatchObject({ commits: 0, reason: 'limit' });
      expect(early.firstCommitAfter).not.toBeNull();
      expect(read, 'segments read through the source: the walk ended in the first').toBe(1);
      // Within the margin everything is read, for commit times are only nearly in order.
      expect((await countSourceCommits({ ...common, client, until: new Date((times[0] as number) - 30_000) })).endLsn).toBeGreaterThan(early.endLsn);
      await expect(countSourceCommits({ ...common, client, until: new Date(), signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' });
      return common;
    });
    const files = await countSourceCommits({ ...at, client: null, sourceWalDirectory: join(server.dataDirectory, 'pg_wal'), until: new Date() });
    expect(files).toMatchObject({ commits: 12, method: 'files', unread: null });
  });

  test('a large segment is read in pieces, and only as far as it is flushed', async () => {
    await server.withClient('postgres', async (client) => {
      await client.query('SELECT pg_switch_wal()');
      await client.query('CREATE TABLE pieces AS SELECT repeat(md5(n::text), 50) FROM generate_series(1, 200) n');
      const flushed = parseLsn((await client.query('SELECT pg_current_wal_flush_lsn()::text AS lsn')).rows[0].lsn as string);
      const sizes: unknown[] = [];
      const read = (pieceBytes: number, through = spying(client, (values) => sizes.push(values[2]))) => readSegmentsOfServer({ client: through, lineage, segmentSize: MB, flushed, pieceBytes })(flushed / BigInt(MB));
      const whole = await read(MB);
      const left = Number(flushed % BigInt(MB));
      expect(whole).toHaveLength(left);
      expect(await read(100_000)).toEqual(whole);
      expect(sizes).toEqual([left, ...Array.from({ length: Math.floor(left / 100_000) }, () => 100_000), left % 100_000]);
      expect(await read(100_000, without(client, segmentFileName({ timeline: 1, segmentNumber: flushed / BigInt(MB), segmentSize: MB })))).toBeUndefined();
    });
  });

  describe('maintenance is no loss', () => {
    /** Counts what the statements committed: as transactions, and as maintenance. */
    const count = (statements: readonly string[], before: readonly string[] = []) => server.withClient('postgres', async (client) => {
      const segments = { directory: join(server.dataDirectory, 'pg_wal'), segmentSize: MB, lineage };
      await client.query('SELECT pg_switch_wal()');
      const { rows: [start] } = await client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
      await client.query('CHECKPOINT');
      for (const sql of before) await client.query(sql);
      const { rows: [from] } = await client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
      for (const sql of statements) await client.query(sql);
      await client.query('SELECT pg_switch_wal()');
      const common = { readSegment: readSegmentsFrom(segments), segmentSize: MB, timeline: 1 };
      const { nextXid } = await scanWal({ ...common, startLsn: parseLsn(start?.lsn ?? ''), limitLsn: parseLsn(from?.lsn ?? '') });
      expect(nextXid).not.toBeNull();
      const { commits, maintenance } = await scanWal({ ...common, startLsn: parseLsn(from?.lsn ?? ''), nextXid });
      return { commits, maintenance };
    });
    beforeAll(() => server.withClient('postgres', async (client) => {
      await client.query(`CREATE TABLE busy (id int PRIMARY KEY, a text, b text); CREATE STATISTICS busy_both ON a, b FROM busy; CREATE ROLE reader; CREATE UNLOGGED TABLE passing (a int)`);
      await client.query(`INSERT INTO busy SELECT n, repeat(md5(n::text), 60), n % 7 FROM generate_series(1, 3000) AS n`);
    }));

    test.each(['off', 'on'])('ANALYZE and VACUUM, with wal_compression %s', async (compression) => {
      await server.withClient('postgres', (client) => client.query(`ALTER SYSTEM SET wal_compression = ${compression}`).then(() => client.query('SELECT pg_reload_conf()')));
      await new Promise((resolve) => setTimeout(resolve, 200));
      // With a checkpoint right before, whole pages are in the WAL.
      expect(await count(['ANALYZE busy', 'CHECKPOINT', 'ANALYZE', 'UPDATE busy SET b = b WHERE id < 9', 'ANALYZE busy'])).toEqual({ commits: 1, maintenance: expect.toSatisfy((n: number) => n >= 3) as number });
      await server.withClient('postgres', (client) => client.query('DELETE FROM busy WHERE id > 100').then(() => client.query('VACUUM (TRUNCATE off) busy')));
      expect(await count(['VACUUM (TRUNCATE) busy', 'VACUUM (ANALYZE) busy'])).toMatchObject({ commits: 0 });
    });

    test.each([
      ['GRANT', ['GRANT SELECT ON busy TO reader']], ['a view', ['CREATE VIEW seen AS SELECT 1 AS a']], ['a comment', [`COMMENT ON TABLE busy IS 'x'`]], ['an index', ['CREATE INDEX busy_a ON busy (md5(a))']],
      ['TRUNCATE', ['CREATE TABLE gone AS SELECT 1 AS a', 'TRUNCATE gone']], ['a sequence', [`CREATE SEQUENCE counted`, `SELECT nextval('counted')`]], ['rows and ANALYZE together', ['BEGIN; UPDATE busy SET b = b WHERE id = 1; ANALYZE busy; COMMIT']],
      ['rows of a savepoint and ANALYZE', ['BEGIN; SAVEPOINT s; UPDATE busy SET b = b WHERE id = 2; RELEASE s; ANALYZE busy; COMMIT']], ['ANALYZE in two phases', [`BEGIN; ANALYZE busy; PREPARE TRANSACTION 'm'`, `COMMIT PREPARED 'm'`]],
    ])('%s is none of it', async (_what, statements) => {
      const { commits, maintenance } = await count(statements);
      expect({ commits: commits > 0, maintenance }).toEqual({ commits: true, maintenance: 0 });
    });

    test.each([
      ['asked for its id', ['SELECT txid_current()'], []], ['notified', [`NOTIFY somebody`], []], ['wrote to an unlogged table', ['INSERT INTO passing VALUES (1)'], []],
      ['wrote to a temporary table that was there', ['INSERT INTO own VALUES (1)'], ['CREATE TEMPORARY TABLE own (a int PRIMARY KEY)']],
      ['took back what it wrote', ['BEGIN; SELECT txid_current(); SAVEPOINT s; UPDATE busy SET b = b WHERE id = 4; ROLLBACK TO s; COMMIT'], []],
    ])('nor is a transaction that only %s', async (_what, statements, before) => {
      expect(await count(statements, before)).toEqual({ commits: 0, maintenance: 1 });
      expect(await count([...statements, 'UPDATE busy SET b = b WHERE id = 5'], before)).toMatchObject({ commits: 1 });
    });

    test.each([
      ['wrote before', ['INSERT INTO passing VALUES (1)', 'COMMIT'], ['BEGIN', 'UPDATE busy SET b = b WHERE id = 6']],
      ['kept a savepoint', ['BEGIN; SELECT txid_current(); SAVEPOINT s; INSERT INTO passing VALUES (1); RELEASE s; COMMIT'], []], ['came in two phases', [`BEGIN; SELECT txid_current(); PREPARE TRANSACTION 'm'`, `COMMIT PREPARED 'm'`], []],
      ['made a temporary table', ['CREATE TEMPORARY TABLE own (a int)'], []], ['locked a row', ['BEGIN; SELECT FROM busy WHERE id = 7 FOR UPDATE; COMMIT'], []], ['sent a message', [`SELECT pg_logical_emit_message(true, 'test', 'x')`], []],
    ])('one that %s is not known to be empty', async (_what, statements, before) => {
      expect(await count(statements, before)).toEqual({ commits: 1, maintenance: 0 });
    });

    test('an ANALYZE whose transaction began before is not known to be nothing else', async () => {
      expect(await count(['ANALYZE busy', 'COMMIT'], ['BEGIN', 'UPDATE busy SET b = b WHERE id = 3'])).toEqual({ commits: 1, maintenance: 0 });
    });
  });

  describe('what could not be read is not known to be nothing', () => {
    const until = new Date(Date.now() + 3_600_000);
    const live = <T>(work: (client: Client, args: { walDirectory: string; lineage: typeof lineage; segmentSize: number; systemIdentifier: string; fromLsn: bigint; until: Date }) => Promise<T>) => server.withClient('postgres', async (client) => {
      await client.query('SELECT pg_switch_wal()');
      const { rows: [at] } = await client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
      await client.query('INSERT INTO t (body) VALUES (1)');
      return work(client, { walDirectory: '/nonexistent', lineage, segmentSize: MB, systemIdentifier: await identify(client), fromLsn: parseLsn(at?.lsn ?? ''), until });
    });

    test('a failover within the segment, which leaves no whole one of the old timeline', () => live(async (client, args) => {
      const last = segmentFileName({ timeline: 1, segmentNumber: args.fromLsn / BigInt(MB), segmentSize: MB });
      expect(await countSourceCommits({ ...args, client })).toMatchObject({ commits: 1, unread: null });
      const { unread } = await countSourceCommits({ ...args, client: without(client, last) });
      expect(unread).toContain(`${last}: the segment is not there`);
    }));

    test('a failover whose new timeline is on the disk or in the archive', () => live(async (_client, args) => {
      const disk = createPrivateDirectory('failed-over');
      const segmentNumber = args.fromLsn / BigInt(MB);
      const before = segmentFileName({ timeline: 1, segmentNumber, segmentSize: MB });
      cpSync(join(server.dataDirectory, 'pg_wal', before), join(disk, before));
      const count = (over: object) => countSourceCommits({ ...args, client: null, ...over });
      expect(await count({ sourceWalDirectory: disk })).toMatchObject({ commits: 1, unread: null });
      writeFileSync(join(disk, segmentFileName({ timeline: 2, segmentNumber: segmentNumber + 1n, segmentSize: MB })), '');
      for (const over of [{ sourceWalDirectory: disk }, { walDirectory: disk }]) expect((await count(over)).unread).toContain('could be read to');
    }));

    test('a gap on the disk', () => live(async (_client, args) => {
      const disk = createPrivateDirectory('gap');
      writeFileSync(join(disk, segmentFileName({ timeline: 1, segmentNumber: args.fromLsn / BigInt(MB) + 1n, segmentSize: MB })), '');
      expect((await countSourceCommits({ ...args, client: null, sourceWalDirectory: disk })).unread).toContain('the segment is not there');
    }));

    test('WAL that can be read and not listed: where the source has gone on is not seen', ({ skip }) => live(async (_client, args) => {
      const { uid } = runAs();
      if (uid === undefined) return skip('only root can take on another user');
      const disk = createPrivateDirectory('unlisted');
      const name = segmentFileName({ timeline: 1, segmentNumber: args.fromLsn / BigInt(MB), segmentSize: MB });
      cpSync(join(server.dataDirectory, 'pg_wal', name), join(disk, name));
      for (const path of [disk, join(disk, name)]) chownSync(path, 0, 0);
      chmodSync(join(disk, name), 0o644);
      chmodSync(disk, 0o711);
      const count = (over: object) => countSourceCommits({ ...args, client: null, ...over });
      process.seteuid?.(uid);
      try {
        expect(await count({ sourceWalDirectory: disk })).toMatchObject({ commits: 1, unread: `the WAL of the source in ${disk} cannot be read on this host (EACCES)` });
        await expect(count({ walDirectory: disk })).rejects.toMatchObject({ code: 'EACCES' });
      } finally {
        process.seteuid?.(0);
      }
    }));

    test('WAL of another cluster, of which nothing counts', () => live(async (client, args) => {
      const foreign = { ...args, systemIdentifier: '7000000000000000001' };
      for (const from of [{ client }, { client: null, sourceWalDirectory: join(server.dataDirectory, 'pg_wal') }]) {
        const counted = await countSourceCommits({ ...foreign, ...from });
        expect(counted).toMatchObject({ commits: 0, reason: 'foreign', unread: expect.stringContaining(`another cluster (system identifier ${args.systemIdentifier})`) as string });
      }
    }));

    test('a source that is behind what was recovered', () => live(async (client, args) => {
      expect((await countSourceCommits({ ...args, client, fromLsn: args.fromLsn + BigInt(64 * MB) })).unread).not.toBeNull();
    }));
  });
});

async function identify(client: Client): Promise<string> {
  const { rows: [row] } = await client.query<{ id: string }>('SELECT system_identifier::text AS id FROM pg_control_system()');
  return row?.id ?? '';
}

const waldump = spawnSync('sh', ['-c', 'ls /usr/lib/postgresql/15/bin/pg_waldump'], { encoding: 'utf8' }).stdout.trim();

describe.skipIf(waldump === '')('PostgreSQL 15', () => {
  test('the walker sees the records and commits that pg_waldump sees', async () => {
    const binaries = await findPostgres({ major: 15 });
    const root = createPrivateDirectory('pg15');
    const dataDirectory = join(root, 'data');
    mkdirSync(dataDirectory, { mode: 0o700 });
    const { uid, gid } = runAs();
    if (uid !== undefined && gid !== undefined) chownSync(dataDirectory, uid, gid);
    execFileSync(join(binaries.binDirectory, 'initdb'), ['-D', dataDirectory, '-U', 'postgres', '--auth=trust', '--no-sync', '--wal-segsize=1'], { ...runAs(), cwd: root });
    const before = process.env['TEST_POSTGRES_BIN'];
    process.env['TEST_POSTGRES_BIN'] = binaries.binDirectory;
    const { resetModules } = await import('vitest').then(({ vi }) => vi);
    resetModules();
    const support = await import('../support/postgres.ts');
    const server = await support.startServer({ dataDirectory, settings: { ...settings, fsync: 'off' }, owns: root });
    if (before === undefined) delete process.env['TEST_POSTGRES_BIN'];
    try {
      const { start, end } = await makeWal(server);
      const readSegment = readSegmentsFrom({ directory: join(dataDirectory, 'pg_wal'), segmentSize: MB, lineage });
      const xids: number[] = [];
      const scanned = await scanWal({ readSegment, segmentSize: MB, timeline: 1, startLsn: parseLsn(start), limitLsn: parseLsn(end), onCommit: (commit) => xids.push(commit.xid) });
      const dump = execFileSync(waldump, ['-p', join(dataDirectory, 'pg_wal'), '-s', start, '-e', end], { encoding: 'utf8', maxBuffer: 1 << 28 });
      const lines = dump.trim().split('\n');
      const commits = lines.filter((line) => / desc: COMMIT(_PREPARED)? /.test(line));
      expect(scanned.records).toBe(lines.length);
      expect(xids).toEqual(commits.map((line) => Number(/COMMIT_PREPARED (\d+):/.exec(line)?.[1] ?? /tx: +(\d+)/.exec(line)?.[1])));
    } finally {
      await server.stop('immediate');
    }
  });
});
