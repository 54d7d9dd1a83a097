import path from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import type { Evidence } from '../../contracts/evidence.ts';
import { lockId } from '../../contracts/guardian.ts';
import { INTERNAL, type Progress } from '../../contracts/messages.ts';
import { NOTHING_SETTLED } from '../../contracts/record.ts';
import { startKernelEnvironment, withoutEvidenceDirectory, type KernelEnvironment } from '../support/kernel-environment.ts';
import { PATIENT } from '../support/patience.ts';
import { livesOf } from '../support/toy-lives.ts';
import { acting, gateOpens, reset, startToy, until, type ToyRun } from '../support/toy-runs.ts';

let environment: KernelEnvironment;
beforeAll(async () => {
  environment = await startKernelEnvironment({ start: { assurance: 'none', requesterMayApprove: true } }, {}, { free: {} });
  await environment.startWorker();
});
afterAll(() => environment.stop());

/** Of the target without a gate. */
const start = (input: Record<string, unknown> = {}) => startToy(environment, { database: 'free', ...input });
const { newest } = livesOf(() => environment);
const holders = (target: string) => environment.client.workflow.getHandle(lockId(target)).query<{ holders: { guardianId: string; fence: number }[]; waiting: unknown[] }>('holders');

async function deleteHistory(workflowId: string, runId: string): Promise<void> {
  await environment.client.workflowService.deleteWorkflowExecution({ namespace: 'default', workflowExecution: { workflowId, runId } });
  await vi.waitUntil(() => environment.client.workflow.getHandle(workflowId, runId).describe().then(() => false, () => true), { ...PATIENT, interval: 200 });
}

async function evidenceOf({ handle }: ToyRun, runId: string): Promise<Evidence> {
  const found = (await environment.evidence()).filter((one) => one.workflowId === handle.workflowId && one.runId === runId);
  expect(found).toHaveLength(1);
  return found[0] as Evidence;
}

/** Timers with which a guardian waits until a former life of its run can no longer act. */
const waitsForFormerLife = (events: Awaited<ReturnType<WorkflowHandle['fetchHistory']>>['events']) =>
  (events ?? []).filter((event) => event.timerStartedEventAttributes && Buffer.from(event.userMetadata?.summary?.data ?? []).toString().includes('of the former run can no longer act'));

it('a run that was over is reset to its beginning: it takes the target anew, and its evidence proves its own teardown', async () => {
  const run = await start();
  const former = await run.handle.result() as { fence: number };
  await run.guardian.result();
  const begunAtMs = Date.now();
  const runId = await reset(environment, run, 'first');
  const result = await newest(run).result() as { fence: number };
  await run.guardian.result();
  expect(result.fence).toBeGreaterThan(former.fence);
  const evidence = await evidenceOf(run, runId);
  expect(evidence).toMatchObject({ outcome: 'succeeded', teardown: { outcome: 'done', provenAbsent: true, destroyed: ['one', 'two'] } });
  for (const { at } of evidence.teardown.proofs) expect(Date.parse(at)).toBeGreaterThan(begunAtMs);
  expect((await holders('free')).holders).toEqual([]);
});

it('a run that is reset after everything was torn down is told so, and does not wait for ever', async () => {
  const run = await start({ stallMs: 1_000 });
  await acting(run);
  const runId = await withoutEvidenceDirectory(environment, async () => {
    await vi.waitUntil(async () => (await run.handle.query<Progress>('progress')).phase === 'evidence', PATIENT);
    return reset(environment, run, 'first');
  });
  await expect(newest(run).result()).rejects.toMatchObject({ cause: { type: 'UNAVAILABLE', message: expect.stringContaining('torn down and given the target back already; start another run') as string } });
  await run.guardian.result();
  expect((await evidenceOf(run, runId)).outcome).toBe('failed');
});

it('a run and its guardian that were ended by force while they owned go on after a reset: the lock tells the new guardian what it holds', async () => {
  const run = await start({ stallMs: 1_500 });
  await acting(run);
  const before = await holders('free');
  await run.guardian.terminate('test');
  await run.handle.terminate('test');
  const runId = await reset(environment, run, 'first');
  const result = await newest(run).result() as { fence: number };
  await environment.client.workflow.getHandle(run.guardian.workflowId).result();
  expect(result.fence).toBe(before.holders[0]?.fence);
  expect(await evidenceOf(run, runId)).toMatchObject({ outcome: 'succeeded', teardown: { outcome: 'done', provenAbsent: true } });
  expect((await holders('free')).holders).toEqual([]);
});

it('a guardian that was begun anew waits for what its run did before the reset, too', async () => {
  const run = await start({ stallMs: 60_000, whenCancelled: 'go on' });
  await acting(run);
  await run.guardian.terminate('test');
  await run.handle.terminate('test');
  await reset(environment, run, 'first');
  await until(async () => (await run.journal()).filter((line) => line === 'begin one').length === 2, 'the second life begins');
  const { events } = await environment.client.workflow.getHandle(run.guardian.workflowId).fetchHistory();
  expect(waitsForFormerLife(events)).toHaveLength(1);
  await newest(run).terminate();
  await environment.client.workflow.getHandle(run.guardian.workflowId).result();
});

it.concurrent('a run whose former life the server has deleted settles all the same, and says what nobody can know', async () => {
  const run = await startToy(environment, { database: 'shop' });
  await gateOpens(run);
  const runId = await reset(environment, run, 'first');
  await deleteHistory(run.handle.workflowId, run.handle.firstExecutionRunId);
  await until(async () => (await newest(run).query<Progress>('progress')).openGate !== null, 'the gate is open again');
  await newest(run).signal('approve', { gate: 'start', by: 'anna' });
  const said = expect.stringContaining(`undo what run ${run.handle.firstExecutionRunId} registered (the server no longer has its history`) as string;
  await expect(newest(run).result()).rejects.toMatchObject({ cause: { type: 'TEARDOWN_FAILED', message: said } });
  await run.guardian.result();
  expect(await evidenceOf(run, runId)).toMatchObject({ outcome: 'failed', teardown: { outcome: 'done', provenAbsent: true }, compensations: [{ outcome: 'failed' }] });
  expect((await holders('shop')).holders).toEqual([]);
});

it.concurrent('a run that is deleted while it acts is torn down, and its guardian writes what it knows', async () => {
  const run = await start({ stallMs: 60_000 });
  await acting(run);
  await deleteHistory(run.handle.workflowId, run.handle.firstExecutionRunId);
  await run.guardian.result();
  const evidence = await run.evidence();
  expect(evidence).toMatchObject({ outcome: 'terminated', teardown: { outcome: 'done', provenAbsent: true }, compensations: [{ outcome: 'failed' }] });
  expect(Date.parse(evidence.startedAt)).toBeLessThanOrEqual(Date.parse(evidence.finishedAt));
  expect((await holders('free')).holders).toEqual([]);
});

it.concurrent('a record that nobody can be asked for now is asked for again, before evidence is written without it', async () => {
  // Only after a minute the server says that nobody is there to be asked.
  const nobodyWorks = await startKernelEnvironment();
  try {
    const working = await nobodyWorks.startWorker();
    const run = await startToy(nobodyWorks, { stallMs: 60_000 });
    const { handle } = run;
    await acting(run);
    await working.stop();
    await handle.terminate('test');
    const owner = { workflowId: handle.workflowId, firstExecutionRunId: handle.firstExecutionRunId };
    const end = { status: 'terminated', runId: handle.firstExecutionRunId, closedAtMs: Date.now() } as const;
    const activities = nobodyWorks.kernelActivities(path.join(nobodyWorks.root, 'evidence'));
    const write = (attempt: number) => new MockActivityEnvironment({ attempt }).run(() => activities.writeEvidenceOfDeadRun({ owner, runbook: 'toy', target: 'shop', outcome: 'terminated', end, settlement: NOTHING_SETTLED }));
    await expect(write(1)).rejects.toThrow('Failed to query Workflow');
    expect(await nobodyWorks.evidence()).toEqual([]);
    await write(10);
    expect((await nobodyWorks.evidence()).map(({ outcome }) => outcome)).toEqual(['terminated']);
  } finally {
    await nobodyWorks.stop();
  }
});

it.concurrent('a guardian that is ended by force while it waits leaves the queue, and those behind it go on', async () => {
  const { client } = environment;
  const holder = await client.workflow.start('lock', { workflowId: 'lock/holder', taskQueue: 'runbooks' });
  const request = (guardianId: string, sharesTargetWith: string[]) => client.workflow.signalWithStart('lock', {
    workflowId: lockId('queue'), taskQueue: 'runbooks', signal: INTERNAL.request,
    signalArgs: [{ guardianId, owner: { workflowId: 'x', firstExecutionRunId: 'y' }, runbook: 'other', sharesTargetWith, requestedAtMs: Date.now() }],
  });
  const waiter = await client.workflow.start('lock', { workflowId: 'lock/waiter', taskQueue: 'runbooks' });
  const sharer = await client.workflow.start('lock', { workflowId: 'lock/sharer', taskQueue: 'runbooks' });
  await request('lock/holder', []);
  await request('lock/waiter', []);
  await request('lock/sharer', ['other']);
  await vi.waitUntil(async () => (await holders('queue')).waiting.length === 2, PATIENT);
  expect((await holders('queue')).holders.map(({ guardianId }) => guardianId)).toEqual(['lock/holder']);
  await waiter.terminate('test');
  // It looks every 30 s.
  await vi.waitUntil(async () => (await holders('queue')).holders.length === 2, { ...PATIENT, interval: 500 });
  for (const handle of [holder, sharer]) await handle.terminate('test');
});

it('a run that is reset while its activities work gets its place again only when those can no longer act in it', async () => {
  const run = await start({ stallMs: 60_000, whenCancelled: 'go on' });
  await acting(run);
  await reset(environment, run, 'first');
  // The first life's activity ignores that it was cancelled; a heartbeat time-out, and what it takes to stop, have to pass.
  await until(async () => (await run.journal()).filter((line) => line === 'begin one').length === 2, 'the second life begins');
  const { events } = await run.guardian.fetchHistory();
  const told = (events ?? []).filter((event) => event.signalExternalWorkflowExecutionInitiatedEventAttributes?.signalName === INTERNAL.owned);
  expect([waitsForFormerLife(events).length, told.length]).toEqual([1, 2]);
  await newest(run).terminate();
  await run.guardian.result();
});
