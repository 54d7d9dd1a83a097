import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { publishBackup } from '../../activities/archive/base-backup.ts';
import { archiveLayout, readRecoveryPoint } from '../../activities/archive/layout.ts';
import { applicationName } from '../../activities/kernel/names.ts';
import { evidenceSchema } from '../../contracts/evidence.ts';
import { guardianId } from '../../contracts/guardian.ts';
import type { Settlement } from '../../contracts/record.ts';
import { TASK_QUEUE } from '../../contracts/search-attributes.ts';
import { startDemoEnvironment, type DemoEnvironment } from '../../scripts/demo/environment.ts';
import { startWorkerProcess } from '../faults/worker-process.ts';
import { awaitGuardian } from '../support/await-guardian.ts';
import { runDrill, takeBackup } from '../support/drill-run.ts';
import { PATIENT } from '../support/patience.ts';
import { withClient } from '../support/user-clients.ts';

let demo: DemoEnvironment;
let backupId: string;

beforeAll(async () => {
  demo = await startDemoEnvironment({ scale: 0.02, seed: 5, writersPerSecond: 0, log: () => undefined });
  await reconfigure((configuration) => {
    configuration.databases['gone'] = { ...configuration.databases['shop'], connection: { host: '127.0.0.1', port: 1 } };
    configuration.databases['hurried'] = { ...configuration.databases['shop'], manifest: { maxXminAge: '20ms' } };
    configuration.databases['there'] = { ...configuration.databases['shop'], host: 'elsewhere' };
  });
  backupId = (await takeBackup(demo)).id;
});
afterAll(() => demo.stop());

const layout = () => archiveLayout({ root: demo.repository });
const published = (name: string) => join(layout().backups, backupId, name);

interface Settings { drills: Record<string, unknown>; lease?: Record<string, unknown>; databases: Record<string, object> }

async function reconfigure(change: (configuration: Settings) => void): Promise<void> {
  const configuration = parse(await readFile(demo.configurationFile, 'utf8')) as Settings;
  change(configuration);
  await writeFile(demo.configurationFile, stringify(configuration), { mode: 0o600 });
  await demo.endWorker('SIGTERM');
  await demo.startWorker();
}

describe('everything that a backup was published with is part of it', () => {
  const flip = async (path: string) => {
    const content = await readFile(path, 'utf8');
    // Still of the same form: only a hash can tell.
    await writeFile(path, path.endsWith('.json') ? content.replace(/"fingerprint":"(-?)(\d)/, (_, sign: string, digit: string) => `"fingerprint":"${sign}${(Number(digit) % 8) + 1}`) : `${content}\n`);
    expect(await readFile(path, 'utf8')).not.toBe(content);
  };
  const damages: [string, string, (path: string) => Promise<void>][] = [
    ['a changed', 'backup_label', flip], ['a missing', 'backup_label', (path) => rm(path)],
    ['a changed', 'tablespace_map', flip], ['a missing', 'tablespace_map', (path) => rm(path)],
    ['a changed', 'manifest.json', flip], ['a missing', 'manifest.json', (path) => rm(path)],
    ['a changed', 'files.json', (path) => writeFile(path, '{}')],
  ];
  async function damaged<T>(file: string, work: () => Promise<T>): Promise<T> {
    const [path, saved] = [published(file), join(demo.root, 'saved')];
    await copyFile(path, saved);
    return work().finally(() => copyFile(saved, path));
  }

  it.each(damages)('%s %s is damage that is named before anything is created', (_, file, damage) => damaged(file, async () => {
    await damage(published(file));
    const { evidence, failure } = await runDrill(demo);
    expect(evidence.failure, failure).toMatchObject({ type: 'BACKUP_DAMAGED', message: expect.stringContaining(file) as string });
    expect(evidence.verdict.restore).toBe('unsound');
    expect(evidence.teardown.outcome).toBe('notNeeded');
  }));

  it.each(damages)('%s %s that was sound when the drill was planned is found when the plan is looked at once more, before anything is created', (_, file, damage) => damaged(file, async () => {
    const { evidence, failure } = await runDrill(demo, {}, { atGate: () => damage(published(file)) });
    expect(evidence.failure, failure).toMatchObject({ type: 'BACKUP_DAMAGED', message: expect.stringContaining(file) as string });
    expect(evidence.verdict.restore).toBe('unsound');
    expect(evidence.teardown).toMatchObject({ outcome: 'notNeeded', provenAbsent: true });
  }));

  it('publishing is repeatable, and a manifest that was not there then is damage', async () => {
    const { backups, incoming } = layout();
    const again = async () => {
      const half = join(incoming, 'again');
      await rename(join(backups, backupId), half);
      for (let round = 0; round < 2; round += 1) await publishBackup({ incoming: half, backups, id: backupId });
      return (await readRecoveryPoint({ layout: layout(), id: backupId })).manifestSha256;
    };
    const { manifestSha256 } = await readRecoveryPoint({ layout: layout(), id: backupId });
    expect(manifestSha256).toMatch(/^[0-9a-f]{64}$/);
    expect(await again()).toBe(manifestSha256);
    await rename(published('manifest.json'), join(demo.root, 'aside'));
    expect(await again()).toBeNull();
    await rename(join(demo.root, 'aside'), published('manifest.json'));
    expect((await runDrill(demo)).evidence.failure).toMatchObject({ type: 'BACKUP_DAMAGED', message: expect.stringContaining('manifest.json') as string });
    expect(await again()).toBe(manifestSha256);
    expect((await runDrill(demo)).evidence.verdict.restore).toBe('sound');
  });
});

it('a source that is down is named with its address and the settings to look at', async () => {
  const handle = await demo.client.workflow.start('backup', { workflowId: `backup/gone/${randomUUID()}`, taskQueue: TASK_QUEUE, args: [{ database: 'gone' }] });
  const failure = await handle.result().then(() => undefined, (error: { cause?: object }) => error.cause);
  expect(failure).toMatchObject({ type: 'UNAVAILABLE', message: expect.stringMatching(/127\.0\.0\.1:1 does not answer \(ECONNREFUSED\).*connection\.host and connection\.port/) as string });
});

it('a source whose data directory is not what lies at its path here is refused before anything is created', async () => {
  const file = join(demo.production.dataDirectory, 'postmaster.pid');
  const text = await readFile(file, 'utf8');
  const execute = (type: string) => demo.client.workflow.execute(type, { workflowId: `${type}/shop/${randomUUID()}`, taskQueue: TASK_QUEUE, args: [{ database: 'shop' }] });
  try {
    // As that of a standby that started an hour earlier.
    await writeFile(file, text.replace(/^(.*\n.*\n)(\d+)/, (_, head: string, started: string) => head + String(Number(started) - 3600)));
    const failure = await execute('backup').then(() => undefined, (error: { cause?: object }) => error.cause);
    expect(failure).toMatchObject({ type: 'PREFLIGHT', message: expect.stringMatching(/another server of the same cluster.*run the worker on the source's host/) as string });
    expect(await readdir(layout().incoming)).toEqual([]);
    // A manifest is read through the server alone, from any host.
    expect(await execute('manifest')).toMatchObject({ tables: expect.any(Number) as number });
  } finally {
    await writeFile(file, text);
  }
});

it('a host that the configuration names is the one that plans and works, whichever others there are', async () => {
  const handle = await demo.client.workflow.start('manifest', { workflowId: `manifest/there/${randomUUID()}`, taskQueue: TASK_QUEUE, args: [{ database: 'there' }] });
  const elsewhere = await startWorkerProcess({ configurationFile: demo.configurationFile, address: demo.server.address, logFile: join(demo.root, 'there.log'), host: 'elsewhere' });
  try {
    await handle.result();
    expect(await handle.query('plan')).toMatchObject({ plan: { taskQueue: 'runbooks@elsewhere' } });
    await awaitGuardian(demo.client, handle);
  } finally {
    await elsewhere.signal('SIGTERM');
  }
});

it('a manifest that gives up does not cost the backup: it is published without one, and says why', async () => {
  const { id, manifest, evidence } = await takeBackup(demo, 'hurried');
  expect(manifest).toBeNull();
  expect((await readRecoveryPoint({ layout: layout(), id })).manifestSha256).toBeNull();
  const { outcome, notVerified, steps } = evidenceSchema.parse(JSON.parse(await readFile(evidence, 'utf8')));
  expect(outcome).toBe('succeeded');
  expect(notVerified).toContainEqual(expect.stringMatching(/^no exact manifest: the reading held back vacuum for \d+ ms, the limit is 20/));
  expect(steps.map((step) => [step.name, step.outcome])).toContainEqual(['manifest', 'failed']);
});

describe('a backup that is given up half way', () => {
  beforeAll(() => reconfigure((configuration) => {
    // Slow enough to be struck; and a host is given up soon.
    configuration.drills['copyBytesPerSecond'] = '1MB';
    configuration.lease = { hostLoss: '4s' };
  }));

  type Handle = WorkflowHandleWithFirstExecutionRunId;
  const ownerOf = ({ workflowId, firstExecutionRunId }: Handle) => ({ workflowId, firstExecutionRunId });
  const guardianOf = (handle: Handle) => demo.client.workflow.getHandle(guardianId(ownerOf(handle)));
  const sessions = async () => (await withClient(demo.production.config, (client) => client.query<{ name: string }>(
    `SELECT application_name AS name FROM pg_stat_activity WHERE application_name LIKE '% backup'`))).rows.map(({ name }) => name);

  /** Of the one worker of this environment. */
  async function workerPid(): Promise<number> {
    for (const pid of await readdir('/proc')) {
      const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
      const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      if (command.includes('workers/main.js') && environment.includes(`RUNBOOKS_CONFIG=${demo.configurationFile}`)) return Number(pid);
    }
    throw new Error('there is no worker');
  }

  async function copies(): Promise<boolean> {
    for (const place of await readdir(layout().incoming)) {
      for (const attempt of await readdir(join(layout().incoming, place))) if (existsSync(join(layout().incoming, place, attempt, 'data'))) return true;
    }
    return false;
  }

  /** Starts a backup and waits until it copies. */
  async function startSlowBackup(): Promise<Handle> {
    const handle = await demo.client.workflow.start('backup', { workflowId: `backup/shop/${randomUUID()}`, taskQueue: TASK_QUEUE, args: [{ database: 'shop' }] });
    await until(async () => (await sessions()).length > 0 && await copies(), async () => (await handle.describe()).status.name);
    return handle;
  }

  async function until(met: () => Promise<boolean>, instead: () => Promise<string> = () => Promise.resolve('no')): Promise<void> {
    // A task that a killed worker took with it comes back after a minute.
    for (const end = Date.now() + PATIENT.timeout; Date.now() < end; await sleep(100)) if (await met()) return;
    throw new Error(`did not come: ${await instead()}`);
  }

  it('by a stalled worker: its session at the source is ended, and only then is absence proven', async () => {
    const handle = await startSlowBackup();
    expect(await sessions()).toEqual([`${applicationName(ownerOf(handle))} backup`]);
    const stalled = await workerPid();
    process.kill(stalled, 'SIGSTOP');
    try {
      await demo.startWorker();
      await handle.terminate();
      const { teardown } = await guardianOf(handle).result() as Settlement;
      expect(teardown.destroyed).toContainEqual(expect.stringMatching(/^1 sessions/));
      expect(teardown).toMatchObject({ outcome: 'done', provenAbsent: true });
      expect(await sessions()).toEqual([]);
    } finally {
      process.kill(stalled, 'SIGKILL');
    }
  });

  it('while its source is silent: closing its place tells that it is alive', async () => {
    const handle = await startSlowBackup();
    process.kill(demo.production.pid, 'SIGSTOP');
    try {
      await handle.cancel();
      let beats = false;
      for (const end = Date.now() + 15_000; !beats && Date.now() < end; await sleep(100)) {
        const { raw } = await guardianOf(handle).describe();
        beats = raw.pendingActivities?.some(({ activityType, lastHeartbeatTime }) => activityType?.name === 'closeBackupPlace' && Boolean(lastHeartbeatTime)) ?? false;
      }
      expect(beats).toBe(true);
    } finally {
      process.kill(demo.production.pid, 'SIGCONT');
    }
    expect((await guardianOf(handle).result() as Settlement).teardown.provenAbsent).toBe(true);
  });

  it('by a lost host: its worker removes it when it is back', async () => {
    const handle = await startSlowBackup();
    await demo.endWorker('SIGKILL');
    const elsewhere = await startWorkerProcess({ configurationFile: demo.configurationFile, address: demo.server.address, logFile: join(demo.root, 'elsewhere.log'), host: 'elsewhere' });
    try {
      await handle.terminate();
      expect((await guardianOf(handle).result() as Settlement).teardown.outcome).toBe('failed');
      const [place, ...others] = await readdir(layout().incoming);
      expect(others).toEqual([]);
      expect((await readdir(join(layout().incoming, place ?? ''))).sort()).toEqual(['attempt-1', 'place.json']);
      await demo.startWorker();
      await until(async () => (await readdir(layout().incoming)).length === 0);
    } finally {
      await elsewhere.signal('SIGKILL');
    }
  });

  it('a living one is left alone by a worker that starts', async () => {
    // However long it takes to start: a host that is given up meanwhile would end the backup.
    await reconfigure((configuration) => { configuration.lease = { hostLoss: '2m' }; });
    const handle = await startSlowBackup();
    const places = await readdir(layout().incoming);
    expect(places).toHaveLength(1);
    await demo.endWorker('SIGTERM');
    await demo.startWorker();
    await sleep(2_000);
    expect(await readdir(layout().incoming)).toEqual(places);
    await handle.cancel();
    await guardianOf(handle).result();
    expect(await readdir(layout().incoming)).toEqual([]);
  });
});
