import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { applicationName } from '../../activities/kernel/names.ts';
import type { Owner } from '../../contracts/ledger.ts';
import { TASK_QUEUE } from '../../contracts/search-attributes.ts';
import { startDemoEnvironment, type DemoEnvironment } from '../../scripts/demo/environment.ts';
import { startWorkerProcess, type WorkerProcess } from '../faults/worker-process.ts';
import { awaitGuardian } from '../support/await-guardian.ts';
import { CREATE_ENDLESS_TABLE } from '../support/slow-type.ts';
import { withClient } from '../support/user-clients.ts';

let demo: DemoEnvironment;
const workers: WorkerProcess[] = [];

beforeAll(async () => {
  demo = await startDemoEnvironment({ scale: 0.01, seed: 8, writersPerSecond: 0, log: () => undefined });
  await demo.endWorker('SIGTERM');
  const configuration = parse(await readFile(demo.configurationFile, 'utf8')) as { drills: Record<string, unknown> };
  // A minute for some sixty megabytes: long enough to be stopped in.
  configuration.drills['copyBytesPerSecond'] = '1MB';
  await writeFile(demo.configurationFile, stringify(configuration), { mode: 0o600 });
  await withClient(demo.production.config, (client) => client.query(CREATE_ENDLESS_TABLE));
});
afterAll(() => demo.stop());
afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.signal('SIGKILL');
});

async function startWorker(): Promise<WorkerProcess> {
  const worker = await startWorkerProcess({ configurationFile: demo.configurationFile, address: demo.server.address, logFile: join(demo.root, 'workers.log') });
  workers.push(worker);
  return worker;
}

async function start(type: 'backup' | 'manifest') {
  const handle = await demo.client.workflow.start(type, { workflowId: `${type}/shop/${randomUUID()}`, taskQueue: TASK_QUEUE, args: [{ database: 'shop' }] });
  return { handle, owner: { workflowId: handle.workflowId, firstExecutionRunId: handle.firstExecutionRunId } };
}

/** Sessions of a run at the source, by their processes. */
const sessionsOf = (owner: Owner, condition = 'true') => withClient(demo.production.config, async (client) => (await client.query<{ pid: number }>(
  `SELECT pid FROM pg_stat_activity WHERE starts_with(application_name, $1) AND ${condition}`, [applicationName(owner)])).rows.map(({ pid }) => pid));

/** The session that does the work of the activity: it reads, or has a base backup open. */
const AT_WORK = { manifest: `wait_event = 'PgSleep'`, backup: `application_name LIKE '% backup' AND query NOT LIKE '%pg_backup_start%'` };

it.each(['manifest', 'backup'] as const)('what a stopped worker has open at the source for a %s is ended by the attempt that comes after it, and the worker opens nothing when it wakes', async (type) => {
  const sleeper = await startWorker();
  const { handle, owner } = await start(type);
  await expect.poll(() => sessionsOf(owner, AT_WORK[type])).toHaveLength(1);
  expect(await sleeper.signal('SIGSTOP')).toBe(true);
  await expect.poll(() => sleeper.isStopped()).toBe(true);
  const before = await sessionsOf(owner);
  await startWorker();
  await expect.poll(async () => (await sessionsOf(owner, AT_WORK[type])).filter((pid) => !before.includes(pid))).toHaveLength(1);
  expect((await sessionsOf(owner)).filter((pid) => before.includes(pid))).toEqual([]);
  const ofSuccessor = await sessionsOf(owner, AT_WORK[type]);
  await sleeper.signal('SIGCONT');
  // Time for what it would do next.
  await sleep(3_000);
  expect(await sessionsOf(owner, AT_WORK[type])).toEqual(ofSuccessor);
  await handle.terminate('test');
  await awaitGuardian(demo.client, handle);
  expect(await sessionsOf(owner)).toEqual([]);
});

it('what a killed worker still reads at the source is ended within seconds, with nobody there to end it', async () => {
  const worker = await startWorker();
  const { handle, owner } = await start('manifest');
  await expect.poll(() => sessionsOf(owner, AT_WORK.manifest)).toHaveLength(1);
  await worker.signal('SIGKILL');
  await expect.poll(() => sessionsOf(owner), { timeout: 30_000 }).toEqual([]);
  await handle.terminate('test');
  await startWorker();
  await awaitGuardian(demo.client, handle);
});
