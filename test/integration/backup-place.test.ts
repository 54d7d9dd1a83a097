import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { publishBackup } from '../../activities/archive/base-backup.ts';
import { backupPlace, closeBackupPlace, openBackupPlace, proveBackupPlaceAbsent } from '../../activities/backup/backup-place.ts';
import type { BackupRef } from '../../activities/backup/backup-activities.ts';
import { createBackupActivities } from '../../activities/backup/create-backup-activities.ts';
import { sweepAbandonedBackups } from '../../activities/backup/sweep-incoming.ts';
import { configurationSchema } from '../../contracts/configuration.ts';
import { describedBackup } from '../support/described-backup.ts';
import { PATIENT } from '../support/patience.ts';
import { createSlowType } from '../support/slow-type.ts';
import { startCluster } from '../support/postgres.ts';

const FILES = 3_000;
/** As long as the workflow gives such an activity, about. */
const DAY_MS = 86_400_000;
const call = { database: 'shop', fence: 3, owner: { workflowId: 'backup/shop/1', firstExecutionRunId: 'run' } };
let root: string;
let incoming: string;
let place: string;
let attempt: string;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'drb-place-'));
  incoming = join(root, 'incoming');
  place = backupPlace(incoming, call);
  attempt = join(place, 'attempt-1');
  await openBackupPlace(incoming, call);
  mkdirSync(attempt);
  for (let number = 0; number < FILES; number += 1) writeFileSync(join(attempt, String(number)), '');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** A directory may go between two looks. */
const left = (directory: string): number => {
  try {
    return readdirSync(directory).length;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return 0;
  }
};

test('what is being removed cannot be published half way: it has lost its name before its first file', async () => {
  const closing = closeBackupPlace(incoming, call);
  // What a publishing predecessor does that wakes up meanwhile. At once: a call that waits comes behind those of the removal.
  while (left(attempt) === FILES) await turn();
  expect(left(attempt)).toBe(0);
  expect(() => renameSync(attempt, join(root, 'published'))).toThrow(/ENOENT/);
  expect(await closing).toEqual([`a half-written backup in ${place}: attempt-1`]);
  expect(readdirSync(incoming)).toEqual([]);
});

test('a removal that was cut off is found by the proof of absence, and finished by the next one and by a sweep', async () => {
  const server = await startCluster();
  try {
    const prove = async () => (await proveBackupPlaceAbsent(incoming, call, server.config())).found;
    const aside = `${place}.removed`;
    await rename(place, aside);
    expect(await prove()).toEqual([aside]);
    expect(await closeBackupPlace(incoming, call)).toEqual([`a half-written backup in ${place}: attempt-1`]);
    expect(await prove()).toEqual([]);

    // Its record may be the first that went.
    mkdirSync(join(aside, 'attempt-1'), { recursive: true });
    mkdirSync(join(incoming, 'mine.removed'));
    const configuration = configurationSchema.parse({ version: 1, databases: { shop: { connection: {}, provider: { kind: 'archive', repository: root, walDirectory: root } } } });
    const onStuck = (path: string, error: Error) => { throw new Error(path, { cause: error }); };
    expect(await sweepAbandonedBackups({ client: {} as Client, configuration, onStuck })).toEqual([`what was left of ${aside}`]);
    expect(readdirSync(incoming)).toEqual(['mine.removed']);
  } finally {
    await server.stop();
  }
});

test('a place whose run was begun anew while a sweep looked at it keeps its name and its files', async () => {
  const states = ['COMPLETED', 'RUNNING'];
  const client = { workflow: { getHandle: () => ({ describe: () => Promise.resolve({ status: { name: states.shift() ?? 'RUNNING' } }) }) } } as unknown as Client;
  const configuration = configurationSchema.parse({ version: 1, databases: { shop: { connection: {}, provider: { kind: 'archive', repository: root, walDirectory: root } } } });
  const stuck: string[] = [];
  expect(await sweepAbandonedBackups({ client, configuration, onStuck: (path, { message }) => stuck.push(`${path}: ${message}`) })).toEqual([]);
  expect(stuck).toEqual([`${place}: its run was begun anew while this was removed; its guardian removes what is left`]);
  expect(left(attempt)).toBe(FILES);
});

test('an attempt that slept while its files were brought to the disk publishes nothing', async () => {
  const point = describedBackup();
  const abort = new AbortController();
  const stalled = new Error('stalled');
  const { signal } = abort;
  signal.throwIfAborted = () => {
    abort.abort(stalled);
    AbortSignal.prototype.throwIfAborted.call(signal);
  };
  const backups = join(root, 'backups');
  mkdirSync(backups);
  writeFileSync(join(attempt, 'backup.json'), JSON.stringify(point));
  await expect(publishBackup({ incoming: attempt, backups, id: point.id, signal })).rejects.toBe(stalled);
  expect(existsSync(join(backups, point.id))).toBe(false);
  await publishBackup({ incoming: attempt, backups, id: point.id });
  expect(existsSync(join(backups, point.id, 'backup.json'))).toBe(true);
});

test('an attempt that slept while it read the manifest writes none: a successor may have published its own', async () => {
  const server = await startCluster({ logical: true });
  // No heartbeat, which would find the stall too, and a clock of our own.
  vi.useFakeTimers({ toFake: ['setInterval', 'Date'] });
  try {
    const connection = { host: server.socketDirectory, port: server.port, database: 'postgres', user: server.superuser };
    const configuration = configurationSchema.parse({ version: 1, databases: { shop: { connection, provider: { kind: 'archive', repository: root, walDirectory: root } } } });
    const activities = createBackupActivities({ configuration, resolvePassword: () => Promise.resolve(undefined) });
    const take = () => new MockActivityEnvironment({ heartbeatTimeoutMs: 10_000, startToCloseTimeoutMs: DAY_MS }).run((input: { backup: BackupRef }) => activities.takeManifest(input), { backup: { ...call, id: 'b1', part: 'attempt-1' } });
    const { manifest } = configuration.databases['shop']!;
    const { dutyCycle } = manifest;
    // It is looked up when the reading begins.
    Object.defineProperty(manifest, 'dutyCycle', { configurable: true, get: () => { vi.setSystemTime(Date.now() + 60_000); return dutyCycle; } });
    await expect(take()).rejects.toThrow(/stalled for 60\.0 s/);
    expect(existsSync(join(attempt, 'manifest.json'))).toBe(false);
    Object.defineProperty(manifest, 'dutyCycle', { value: dutyCycle });
    await take();
    expect(existsSync(join(attempt, 'manifest.json'))).toBe(true);
  } finally {
    vi.useRealTimers();
    await server.stop();
  }
});

test('a cluster without a database "postgres" gets a manifest: it is asked through the one that is configured', async () => {
  const server = await startCluster({ logical: true });
  try {
    await server.withClient('postgres', (client) => client.query('CREATE DATABASE orders'));
    await server.withClient('orders', (client) => client.query('DROP DATABASE postgres'));
    const connection = { host: server.socketDirectory, port: server.port, database: 'orders', user: server.superuser };
    const configuration = configurationSchema.parse({ version: 1, databases: { shop: { connection, provider: { kind: 'archive', repository: root, walDirectory: root } } } });
    const activities = createBackupActivities({ configuration, resolvePassword: () => Promise.resolve(undefined) });
    const taken = await new MockActivityEnvironment({ startToCloseTimeoutMs: DAY_MS }).run((input: { backup: BackupRef }) => activities.takeManifest(input), { backup: { ...call, id: 'b1', part: 'attempt-1' } });
    expect(taken).toMatchObject({ lsns: [expect.any(String) as string], attempts: 1 });
    expect(existsSync(join(attempt, 'manifest.json'))).toBe(true);
  } finally {
    await server.stop();
  }
});

test('what the configuration allows a manifest to keep others waiting is what they wait', async () => {
  const server = await startCluster({ logical: true });
  const run = (sql: string) => server.withClient('postgres', (client) => client.query(sql));
  try {
    // Eight seconds for one bucket.
    await run(`${createSlowType(0.1)}
      CREATE TABLE items (v slow); INSERT INTO items SELECT 'x' FROM generate_series(1, 80)`);
    const connection = { host: server.socketDirectory, port: server.port, database: 'postgres', user: server.superuser };
    const configuration = configurationSchema.parse({ version: 1, databases: { shop: { connection, provider: { kind: 'archive', repository: root, walDirectory: root }, manifest: { maxBlocking: '300ms' } } } });
    const activities = createBackupActivities({ configuration, resolvePassword: () => Promise.resolve(undefined) });
    const taken = new MockActivityEnvironment({ startToCloseTimeoutMs: DAY_MS }).run((input: { backup: BackupRef }) => activities.takeManifest(input), { backup: { ...call, id: 'b1', part: 'attempt-1' } });
    await vi.waitFor(async () => expect((await run(`SELECT FROM pg_locks WHERE relation = 'items'::regclass AND granted`)).rowCount).toBe(1), { ...PATIENT, interval: 50 });
    const started = performance.now();
    await run('ALTER TABLE items ADD COLUMN more int');
    expect(performance.now() - started).toBeLessThan(300 + 1_000 + 4_000);
    expect(await taken).toMatchObject({ rows: 80 });
  } finally {
    await server.stop();
  }
});
