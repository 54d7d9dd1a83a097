import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '@temporalio/client';
import { bundleWorkflowCode, NativeConnection, Worker } from '@temporalio/worker';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createKernelActivities } from '../../activities/kernel/create-kernel-activities.ts';
import { configurationSchema, type Configuration } from '../../contracts/configuration.ts';
import { guardianId } from '../../contracts/guardian.ts';
import type { CompensationView, Progress } from '../../contracts/messages.ts';
import { resolveTemporalCli } from '../../scripts/embedded/temporal-cli.ts';
import { startTemporalServer, type TemporalServer } from '../../scripts/embedded/temporal-server.ts';
import { bundleOptions } from '../../workers/workflow-bundle.ts';
import { readEvidence } from '../support/kernel-environment.ts';
import { startCluster, type Server } from '../support/postgres.ts';
import { until } from '../support/toy-runs.ts';
import { createWindowActivities } from '../tutorial/read-only-window/activities.ts';
import { connectClient } from '../../scripts/client-connection.ts';

/** The runbook of docs/tutorial/first-runbook.md, on a real database. */
let temporal: TemporalServer;
let database: Server;
let client: Client;
let configuration: Configuration;
let worker: Worker;
let root: string;
const stops: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'first-runbook-'));
  database = await startCluster();
  await database.withClient('postgres', (sql) => sql.query('CREATE DATABASE shop CONNECTION LIMIT 40'));
  const cli = await resolveTemporalCli({ log: () => undefined });
  temporal = await startTemporalServer({ cliPath: cli.path, searchAttributes: {}, logFile: path.join(root, 'server.log') });
  const [connection, native] = await Promise.all([connectClient({ address: temporal.address }), NativeConnection.connect({ address: temporal.address })]);
  client = new Client({ connection });
  configuration = configurationSchema.parse({
    version: 1, evidence: { directory: path.join(root, 'evidence') },
    databases: { shop: { connection: {}, provider: { kind: 'archive', repository: root, walDirectory: root }, gates: { start: { approvers: ['anna'] } } } },
  });
  worker = await Worker.create({
    connection: native, taskQueue: 'runbooks',
    workflowBundle: await bundleWorkflowCode(bundleOptions({ workflowsPath: fileURLToPath(new URL('../tutorial/workflows.ts', import.meta.url)) })),
    activities: { ...createKernelActivities({ client: new Client({ connection: native }), configuration, codeVersion: 'test', searchAttributes: [] }), ...createWindowActivities((name) => database.config(name)) },
  });
  const running = worker.run();
  stops.push(async () => { worker.shutdown(); await running; await native.close(); await connection.close(); }, () => temporal.stop(), () => database.stop(), () => rm(root, { recursive: true, force: true }));
});
afterAll(async () => {
  for (const stop of stops) await stop();
});

async function startWindow(minutes: number) {
  const handle = await client.workflow.start('read-only-window', { workflowId: `read-only-window/shop/${randomUUID()}`, taskQueue: 'runbooks', args: [{ minutes, requester: 'rita' }] });
  const progress = () => handle.query<Progress>('progress');
  await until(async () => (await progress()).openGate !== null, 'the gate is open');
  await handle.executeUpdate('decide', { args: [{ gate: 'start', decision: 'approve', by: 'anna' }] });
  await until(async () => (await progress()).phase === 'hold the window', 'the window is open');
  const guardian = client.workflow.getHandle(guardianId({ workflowId: handle.workflowId, firstExecutionRunId: handle.firstExecutionRunId }));
  return { handle, guardian, evidence: async () => (await readEvidence(configuration)).find(({ workflowId }) => workflowId === handle.workflowId) };
}

/** What a new session of the database finds. */
const found = () => database.withClient('shop', async (sql) => (await sql.query(`SELECT current_setting('default_transaction_read_only') AS "readOnly", datconnlimit AS "limit" FROM pg_database WHERE datname = 'shop'`)).rows[0] as object);

const setting = (what: string) => database.withClient('postgres', (sql) => sql.query(`ALTER DATABASE shop ${what}`));
/** What the database itself is set to, whatever a session finds elsewhere. */
const ownSettings = () => database.withClient('postgres', async (sql) => (await sql.query<{ set: string[] }>(`SELECT setconfig AS "set" FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase WHERE datname = 'shop'`)).rows[0]?.set);

it('holds the window, and gives everything back when it is over, newest first', async () => {
  const { handle, evidence } = await startWindow(0.05);
  expect(await found()).toEqual({ readOnly: 'on', limit: 5 });
  expect((await handle.query<CompensationView[]>('compensations')).map(({ title }) => title)).toEqual(['read-only back to what it is by default', 'connection limit back to 40']);
  expect(await handle.result()).toMatchObject({ minutes: 0.05 });
  expect(await found()).toEqual({ readOnly: 'off', limit: 40 });
  expect((await evidence())?.compensations.map(({ title, outcome }) => [title, outcome])).toEqual([['read-only back to what it is by default', 'done'], ['connection limit back to 40', 'done']]);
});

it.each(['terminate', 'cancel', 'abort'] as const)('gives everything back after a %s in the middle, and says how it ended', async (how) => {
  const { handle, guardian, evidence } = await startWindow(60);
  if (how === 'abort') await handle.executeUpdate('abort', { args: [{ by: 'anna' }] });
  else await handle[how]();
  await guardian.result();
  expect(await found()).toEqual({ readOnly: 'off', limit: 40 });
  expect((await evidence())?.outcome).toBe({ terminate: 'terminated', cancel: 'cancelled', abort: 'aborted' }[how]);
});

it.each(['on', 'off'])('gives back a database that was set to read-only "%s" before as it was', async (before) => {
  await setting(`SET default_transaction_read_only = ${before}`);
  try {
    const { handle } = await startWindow(0.02);
    await handle.result();
    expect(await ownSettings()).toEqual([`default_transaction_read_only=${before}`]);
  } finally {
    await setting('RESET default_transaction_read_only');
  }
});
