import { execFile } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { archiveProvider } from '../../activities/archive-provider/archive-provider.ts';
import { drillPlace, recallDrill } from '../../activities/archive-provider/drill-place.ts';
import { createDrillActivities } from '../../activities/dr-test/create-drill-activities.ts';
import type { DrillPlaceCall, DrillRef } from '../../activities/dr-test/drill-activities.ts';
import { findServer } from '../../activities/drill/server.ts';
import { configurationSchema } from '../../contracts/configuration.ts';
import type { DrillPlan } from '../../contracts/dr-test.ts';
import type { RecoveryPoint } from '../../contracts/recovery-point.ts';
import { type ArchivedSource, startBackedUpSource } from '../support/archived-source.ts';

const MIB = 2 ** 20;
const RESERVE = 60 * MIB;
const isRoot = process.getuid?.() === 0;
/** An application that writes a megabyte at a time, and never has enough. */
const GREEDY = `const { Client } = require('pg'); (async () => { const client = new Client(); await client.connect(); await client.query('CREATE TABLE spam (body text)');
  for (;;) { await client.query('INSERT INTO spam SELECT repeat(md5(random()::text), 30) FROM generate_series(1, 1000)'); await new Promise((resolve) => setTimeout(resolve, 20)); } })();`;

let source: ArchivedSource;
let point: RecoveryPoint;
let small: string;
let mounted = false;
let drill: DrillRef & DrillPlaceCall;
let configuration: ReturnType<typeof configurationSchema.parse>;
let plan: DrillPlan;

beforeAll(async () => {
  ({ source, point } = await startBackedUpSource());
});
afterAll(() => source.server.stop());

const provider = () => archiveProvider({ settings: configuration.databases['shop']!, configuration });
const free = () => { const { bavail, bsize } = statfsSync(small); return bavail * bsize; };
/** Others leave only so much above the reserve. */
const leave = (bytes: number) => writeFileSync(join(small, 'of others'), Buffer.alloc(free() - RESERVE - bytes, 1));

beforeEach(async () => {
  small = join(source.drillsDirectory, '..', 'small');
  mkdirSync(small);
  mounted = isRoot && await promisify(execFile)('mount', ['-t', 'tmpfs', '-o', `size=${Math.ceil(point.sizeBytes / MIB) + 400}m,mode=0711`, 'small', small]).then(() => true, () => false);
  if (!mounted) return;
  const { port } = source.server;
  configuration = configurationSchema.parse({
    version: 1, drills: { directory: small, reserve: '60MiB' },
    databases: { shop: { connection: { host: '127.0.0.1', port }, provider: { kind: 'archive', repository: source.layout.root, walDirectory: source.layout.wal } } },
  });
  drill = { database: 'shop', recoveryPointId: point.id, fence: 1, owner: { workflowId: `dr-test/shop/${process.pid}`, firstExecutionRunId: 'reserve' } };
  const declaredAt = new Date().toISOString();
  const { lastPiece, pieces, bytes } = await provider().supply(point.id, declaredAt);
  plan = {
    database: 'shop', declaredAt, recoverTo: null, source: null, recoveryPoint: { id: point.id }, archive: { lastSegment: lastPiece, segments: pieces, bytes }, manifest: null,
    checks: [{ name: 'slow', sql: 'SELECT pg_sleep(100)', expect: '' }], probe: { command: [process.execPath, '-e', GREEDY], timeout: 60_000 },
  } as unknown as DrillPlan;
  const tools = { signal: new AbortController().signal, onProgress: () => undefined };
  await provider().openPlace(drill);
  await provider().restore(drill, plan, tools);
  await provider().recoverToEnd(drill, tools);
});
afterEach(async () => {
  if (mounted) await provider().closePlace(drill).finally(() => promisify(execFile)('umount', ['-l', small]));
  rmSync(small, { recursive: true });
});

const activities = () => createDrillActivities({ client: undefined as never, configuration, providerOf: provider, resolvePassword: () => Promise.resolve(undefined), pastDrills: () => Promise.resolve([]), probeEnvironment: { PATH: process.env['PATH'] ?? '' } });
const run = <T>(work: () => Promise<T>): Promise<T> => new MockActivityEnvironment({ startToCloseTimeoutMs: 86_400_000 }).run(work) as Promise<T>;
const diskFull = { type: 'DISK_FULL', nonRetryable: true, message: expect.stringContaining('60 MiB are to stay free') as string };
const findDrillServer = async () => findServer((await recallDrill(drillPlace(small, drill))).drill);

it('an application that fills the copy is ended, and the copy stopped, before the reserve is gone', async ({ skip }) => {
  if (!mounted) return skip('only root can mount a small file system, and not on every host');
  leave(40 * MIB);
  await expect(run(() => activities().probeApplication({ drill, plan, hasFailed: false }))).rejects.toMatchObject(diskFull);
  expect(free(), 'stopped in time').toBeGreaterThan(RESERVE / 2);
  expect(await findDrillServer()).toBeUndefined();
});

it("while the owner's checks run, others who fill the file system end them, too", async ({ skip }) => {
  if (!mounted) return skip('only root can mount a small file system, and not on every host');
  const recovered = { endLsn: point.stopLsn, lastCommitAt: null, stoppedBeforeLater: false, replaySeconds: 0, promotionSeconds: 0, repeatedSeconds: 0 };
  const began = performance.now();
  const checking = run(() => activities().runChecks({ drill, plan, recovered, hasFailed: false })).catch((error: unknown) => error);
  await expect.poll(async () => await findDrillServer() !== undefined).toBe(true);
  await sleep(1000);
  leave(-10 * MIB);
  expect(await checking).toMatchObject(diskFull);
  expect(performance.now() - began).toBeLessThan(30_000);
  expect(await findDrillServer()).toBeUndefined();
});
