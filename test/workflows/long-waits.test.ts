import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ApplicationFailure } from '@temporalio/activity';
import { Client } from '@temporalio/client';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createKernelActivities } from '../../activities/kernel/create-kernel-activities.ts';
import type { KernelActivities, RunEnd } from '../../activities/kernel/kernel-activities.ts';
import { latestRun } from '../../activities/kernel/run-end.ts';
import type { Configuration } from '../../contracts/configuration.ts';
import type { Evidence } from '../../contracts/evidence.ts';
import { guardianId } from '../../contracts/guardian.ts';
import type { Owner } from '../../contracts/ledger.ts';
import type { Progress } from '../../contracts/messages.ts';
import { resolveTimeSkippingServer } from '../../scripts/embedded/time-skipping.ts';
import { bundleToy, readEvidence, toyConfiguration } from '../support/kernel-environment.ts';
import { toyActivities } from '../support/toy/activities.ts';

const DAY_MS = 86_400_000;
let environment: TestWorkflowEnvironment;
let configuration: Configuration;
let worker: Worker;
let running: Promise<void>;
let root: string;

// A server for each, so that each begins at the time of this machine.
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'long-waits-'));
  configuration = toyConfiguration(root, { start: { expiresAfter: '3d' } }, { maximum: '30d' });
  const server = await resolveTimeSkippingServer({ log: console.log });
  environment = await TestWorkflowEnvironment.createTimeSkipping({ server: { executable: { type: 'existing-path', path: server.path } } });
  await startWorker();
});
afterEach(async () => {
  await stopWorker();
  await environment.teardown();
  await rm(root, { recursive: true, force: true });
});

async function startWorker(instead: Partial<KernelActivities> = {}): Promise<void> {
  // Activities look at the server as it is; only a test that waits for a result lets time pass.
  const client = new Client({ connection: environment.connection });
  const kernelActivities = createKernelActivities({ client, configuration, codeVersion: 'test', searchAttributes: [] });
  worker = await Worker.create({
    connection: environment.nativeConnection, taskQueue: 'runbooks', workflowBundle: await bundleToy(),
    activities: { ...kernelActivities, ...toyActivities, awaitRunEnd: ({ owner }: { owner: Owner }) => lookForRunEnd(client, owner), ...instead },
  });
  running = worker.run();
}

async function stopWorker(): Promise<void> {
  worker.shutdown();
  await running;
}

/** This server's time stands still while an activity is at work: one that watches for days has to be many short looks. */
async function lookForRunEnd(client: Client, owner: Owner): Promise<RunEnd> {
  const run = await latestRun(client, owner);
  if (!run || run.status.name === 'RUNNING') throw ApplicationFailure.create({ message: 'it still runs', nextRetryDelay: '5 days' });
  return { status: run.status.name === 'COMPLETED' ? 'completed' : 'failed', runId: run.runId, closedAtMs: run.closeTime?.getTime() ?? Date.now() };
}

async function startToy() {
  const handle = await environment.client.workflow.start('toy', { workflowId: `toy/${randomUUID()}`, taskQueue: 'runbooks', args: [{ root: await mkdtemp(path.join(root, 'run-')) }] });
  await vi.waitUntil(async () => (await handle.query<Progress>('progress')).openGate, { timeout: 10_000 });
  const evidence = async (): Promise<Evidence> => {
    await environment.client.workflow.getHandle(guardianId({ workflowId: handle.workflowId, firstExecutionRunId: handle.firstExecutionRunId })).result();
    const found = (await readEvidence(configuration)).filter((one) => one.workflowId === handle.workflowId);
    expect(found).toHaveLength(1);
    return found[0] as Evidence;
  };
  return { handle, evidence };
}

it('a wait of days for the lock does not fill the history of the run', async () => {
  await stopWorker();
  configuration = toyConfiguration(root, {}, { maximum: '2d' });
  // A lock that never answers.
  await startWorker({ requestLock: () => Promise.resolve() });
  const handle = await environment.client.workflow.start('toy', { workflowId: `toy/${randomUUID()}`, taskQueue: 'runbooks', args: [{ root }] });
  await expect(handle.result()).rejects.toMatchObject({ cause: { type: 'LEASE_OVER' } });
  // A look every minute would be more than 30,000; the server ends a run at 51,200.
  expect((await handle.fetchHistory()).events?.length).toBeLessThan(1_500);
});

const daysBetween = (from: string | undefined, to: string | null | undefined) => (Date.parse(to ?? '') - Date.parse(from ?? '')) / DAY_MS;

it('a gate that nobody answers for 3 days ends the run as rejected, with evidence', async () => {
  const run = await startToy();
  await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'REJECTED', message: expect.stringMatching(/^gate "start" expired at .* without enough approvals$/) as string } });
  const evidence = await run.evidence();
  expect(evidence).toMatchObject({ outcome: 'rejected', gates: [{ outcome: 'expired', decisions: [] }], steps: [], teardown: { outcome: 'notNeeded' } });
  expect(daysBetween(evidence.gates[0]?.openedAt, evidence.gates[0]?.closedAt)).toBeCloseTo(3, 1);
});

// The time-skipping server has been seen to stand still here, never to say something else: the run is then tried again.
it('a run that owns its target and is paused for good is ended and torn down when its lease of 30 days is over', { retry: 2 }, async () => {
  const run = await startToy();
  await run.handle.signal('pause');
  await run.handle.signal('approve', { gate: 'start', by: 'anna' });
  // Before time passes: the server would skip to the end of the gate.
  await vi.waitUntil(async () => (await run.handle.query<Progress>('progress')).phase === 'paused before: write one', { timeout: 10_000 });
  await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'LEASE_OVER' } });
  const evidence = await run.evidence();
  expect(evidence).toMatchObject({ outcome: 'timedOut', steps: [], teardown: { outcome: 'done', provenAbsent: true } });
  expect(daysBetween(evidence.startedAt, evidence.finishedAt)).toBeCloseTo(30, 1);
});
