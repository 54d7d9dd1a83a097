import { mkdirSync, readdirSync, readFileSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { segmentsBehind } from '../../activities/archive/archive-lag.ts';
import { takeBaseBackup } from '../../activities/archive/base-backup.ts';
import { takeManifest } from '../../activities/manifest/take-manifest.ts';
import { parseSegmentFileName, segmentFileName } from '../../activities/archive/wal.ts';
import { databaseSchema, type DatabaseSettings } from '../../contracts/configuration.ts';
import { Findings, type Finding } from '../../scripts/cli/doctor-finding.ts';
import { examineSource } from '../../scripts/cli/doctor-source.ts';
import { type ArchivedSource, startArchivedSource } from '../support/archived-source.ts';
import { PATIENT } from '../support/patience.ts';
import { closeSegment } from '../support/wal-segments.ts';

let source: ArchivedSource;
/** As the how-to makes the role. */
const grants = /```sql\n(CREATE ROLE runbook[^`]*)```/.exec(readFileSync(new URL('../../docs/how-to/drill-your-own-database.md', import.meta.url), 'utf8'))?.[1] ?? '';
const execute = (sql: string) => source.server.withClient('postgres', (client) => client.query(sql));

beforeAll(async () => {
  source = await startArchivedSource();
  await execute(grants);
});
afterAll(() => source.server.stop());

async function examine(over: Partial<DatabaseSettings> = {}): Promise<Finding[]> {
  const findings = new Findings('shop');
  await examineSource({ ...settings(), ...over }, findings);
  return findings.all;
}
function settings(): DatabaseSettings {
  const connection = { host: '127.0.0.1', port: source.server.port, user: 'runbook' };
  return databaseSchema.parse({ connection, provider: { kind: 'archive', repository: source.layout.root, walDirectory: source.layout.wal } });
}
const problems = async () => (await examine()).filter(({ outcome }) => outcome === 'problem').map(({ name, detail, todo }) => [name, detail, todo]);

test('the role that the how-to makes lacks nothing, and can take a base backup', async () => {
  expect(await problems()).toEqual([]);
  const incoming = join(source.layout.incoming, 'role');
  mkdirSync(incoming);
  const connection = { ...source.server.config(), user: 'runbook' };
  expect(await takeBaseBackup({ id: 'b', connection, applicationName: 'test', incoming, walDirectory: source.layout.wal, archiveTimeoutMs: 20_000 })).toMatchObject({ id: 'b' });
});

test('a base backup is taken where templates are closed to the role, and where queries have a time limit that a checkpoint does not keep', async () => {
  for (const sql of ['REVOKE CONNECT ON DATABASE template1 FROM PUBLIC', `ALTER ROLE runbook SET statement_timeout = '200ms'`, `ALTER ROLE runbook SET lock_timeout = '200ms'`]) await execute(sql);
  const { rows: [checkpointer] } = await execute(`SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'`) as { rows: { pid: number }[] };
  const isWaiting = async () => (await execute(`SELECT FROM pg_stat_activity WHERE application_name = 'limited' AND query LIKE '%pg_backup_start%' AND state = 'active'`)).rows.length > 0;
  const incoming = join(source.layout.incoming, 'limited');
  mkdirSync(incoming);
  process.kill(checkpointer!.pid, 'SIGSTOP');
  try {
    expect(await problems()).toEqual([]);
    const taking = takeBaseBackup({ id: 'l', connection: { ...source.server.config(), user: 'runbook' }, applicationName: 'limited', incoming, walDirectory: source.layout.wal, archiveTimeoutMs: 20_000 }).catch((error: Error) => error);
    await expect.poll(isWaiting).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 400));
    process.kill(checkpointer!.pid, 'SIGCONT');
    expect(await taking).toMatchObject({ id: 'l', databases: expect.arrayContaining([expect.objectContaining({ name: 'template1', sizeBytes: 0 })]) as unknown });
  } finally {
    process.kill(checkpointer!.pid, 'SIGCONT');
    for (const sql of ['GRANT CONNECT ON DATABASE template1 TO PUBLIC', 'ALTER ROLE runbook RESET ALL']) await execute(sql);
  }
});

test('a role that may not read settings is told, since it cannot ask where the data directory is', async () => {
  await execute('REVOKE pg_read_all_settings FROM runbook');
  try {
    expect(await problems()).toEqual([['role', 'runbook may not ask where the data directory is, which a backup copies', 'GRANT pg_read_all_settings TO "runbook"']]);
  } finally {
    await execute('GRANT pg_read_all_settings TO runbook');
  }
});

test('a database that the role may not connect to is named, since no manifest can be taken of the cluster', async () => {
  await execute('CREATE DATABASE hr');
  await execute('REVOKE CONNECT ON DATABASE hr FROM PUBLIC');
  try {
    expect(await problems()).toEqual([['role', 'may not connect to database "hr", so that no manifest can be taken', 'GRANT CONNECT ON DATABASE "hr" TO "runbook"']]);
    const take = () => takeManifest({ connect: (database) => ({ ...source.server.config(database), user: 'runbook' }), applicationName: 'test', signal: new AbortController().signal });
    await expect(take()).rejects.toMatchObject({ type: 'permission', message: 'permission denied for database "hr": GRANT CONNECT ON DATABASE "hr" TO "runbook"' });
    await execute('GRANT CONNECT ON DATABASE "hr" TO "runbook"');
    expect((await take()).databases.map(({ database }) => database)).toContain('hr');
    expect(await problems()).toEqual([]);
  } finally {
    await execute('DROP DATABASE hr');
  }
});

test('a data directory that is not the source\'s on this host is a problem, unless another host is to copy it', async () => {
  const file = join(source.server.dataDirectory, 'postmaster.pid');
  const text = readFileSync(file, 'utf8');
  expect(await examine()).toContainEqual(expect.objectContaining({ name: 'data directory', outcome: 'ok' }));
  try {
    writeFileSync(file, text.replace(/^(.*\n.*\n)\d+/, (_, head: string) => `${head}1`));
    expect(await problems()).toEqual([['data directory', expect.stringMatching(/another server of the same cluster on this host/), expect.stringMatching(/by a worker on the source's host/)]]);
    expect(await examine({ host: 'elsewhere' })).toContainEqual(expect.objectContaining({ name: 'data directory', outcome: 'skipped', detail: 'backups are taken on elsewhere: run this there' }));
  } finally {
    writeFileSync(file, text);
  }
});

test('what lies in a data directory and cannot be copied is a problem before a backup ends of it', async () => {
  const link = join(source.server.dataDirectory, 'base', 'notes');
  symlinkSync('/nowhere', link);
  try {
    expect(await problems()).toEqual([['data directory', expect.stringMatching(/holds base\/notes, which is neither a file nor a directory/), expect.stringMatching(/^move out of it/)]]);
  } finally {
    unlinkSync(link);
  }
});

test('how much a backup would copy is counted by the files, or is what the databases say where those are elsewhere', async () => {
  const toCopy = async (over: Partial<DatabaseSettings> = {}) => (await examineSource({ ...settings(), ...over }, new Findings('shop')))?.toCopy;
  const sum = async () => (await execute('SELECT sum(pg_database_size(oid))::float8 AS bytes FROM pg_database WHERE datallowconn') as { rows: { bytes: number }[] }).rows[0]!.bytes;
  await execute(`CREATE UNLOGGED TABLE cache AS SELECT repeat('x', 1000) AS value FROM generate_series(1, 20000)`);
  await execute('CHECKPOINT');
  try {
    const all = await sum();
    expect(await toCopy({ host: 'elsewhere' })).toEqual({ bytes: all, of: 'databases' });
    const counted = await toCopy();
    expect(counted?.of).toBe('files');
    expect(counted!.bytes).toBeGreaterThan(10_000_000);
    // What the databases have in common, and the template that nobody may connect to, take a few megabytes.
    expect(counted!.bytes).toBeLessThan(all);
  } finally {
    await execute('DROP TABLE cache');
  }
});

test('an archive that lags behind this source is known as its own', async () => {
  const closed = await source.server.withClient('postgres', async (client) => {
    await client.query(`SELECT pg_create_restore_point('something to archive')`);
    return closeSegment(client);
  });
  const facts = await vi.waitFor(async () => {
    const found = await examineSource(settings(), new Findings('shop'));
    if (found?.lastArchived !== closed) throw new Error(`${closed} is not archived yet`);
    return found;
  }, { ...PATIENT, interval: 100 });
  const names = readdirSync(source.layout.wal);
  expect(await segmentsBehind(source.layout.wal, names, facts)).toBe(0n);
  const last = parseSegmentFileName(closed, facts.segmentSize)!;
  const later = segmentFileName({ timeline: last.timeline, segmentNumber: last.segmentNumber + 2n, segmentSize: facts.segmentSize });
  expect(await segmentsBehind(source.layout.wal, names, { ...facts, lastArchived: later })).toBe(2n);
});
