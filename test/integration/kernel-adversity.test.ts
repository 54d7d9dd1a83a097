import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { LOCK_TYPE, lockId } from '../../contracts/guardian.ts';
import { INTERNAL, type Progress } from '../../contracts/messages.ts';
import { PATIENT } from '../support/patience.ts';
import { toyActivities } from '../support/toy/activities.ts';
import { startKernelEnvironment, withoutEvidenceDirectory, type KernelEnvironment } from '../support/kernel-environment.ts';
import { acting, gateOpens, reset, startToy, until } from '../support/toy-runs.ts';

/** Longer than a healthy run of these tests, short enough to wait for. */
const LEASE_MS = 6_000;

let environment: KernelEnvironment;
/** While it is set, no lock is given back. */
let releaseRefused: string | undefined;
/** While it is true, no place can be closed yet. */
let closingWaits = false;
beforeAll(async () => {
  environment = await startKernelEnvironment({}, { maximum: `${LEASE_MS / 1000}s` }, { gated: { start: { assurance: 'none', requesterMayApprove: true } } });
  const real = environment.kernelActivities(path.join(environment.root, 'evidence'));
  await environment.startWorker({
    releaseLock: async (input) => {
      if (releaseRefused !== undefined) throw ApplicationFailure.nonRetryable(releaseRefused);
      await real.releaseLock(input);
    },
    closeToyPlace: async (input) => {
      if (closingWaits) throw new Error('not yet');
      return toyActivities.closeToyPlace(input);
    },
  });
});
afterAll(() => environment.stop());

const start = (input: Record<string, unknown> = {}) => startToy(environment, { database: 'shop', ...input });

const holders = () => environment.client.workflow.getHandle(lockId('shop')).query<{ holders: { guardianId: string }[]; waiting: unknown[] }>('holders');

/** Asks for the lock as somebody who lives and never lets go, until told to. */
async function takeLock(): Promise<() => Promise<void>> {
  const { client } = environment;
  const standIn = await client.workflow.start(LOCK_TYPE, { workflowId: 'lock/stand-in', taskQueue: 'runbooks' });
  await client.workflow.signalWithStart(LOCK_TYPE, {
    workflowId: lockId('shop'), taskQueue: 'runbooks', signal: INTERNAL.request,
    signalArgs: [{ guardianId: 'lock/stand-in', owner: { workflowId: 'x', firstExecutionRunId: 'y' }, runbook: 'other', sharesTargetWith: [], requestedAtMs: Date.now() }],
  });
  return async () => {
    await client.workflow.getHandle(lockId('shop')).signal(INTERNAL.release, { guardianId: 'lock/stand-in' });
    await standIn.terminate();
  };
}

it('a run whose lease is over is asked to end, undoes, and says why', async () => {
  const run = await start({ stallMs: 120_000 });
  await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'LEASE_OVER', message: 'its lease is over' } });
  await run.guardian.result();
  const evidence = await run.evidence();
  expect(evidence).toMatchObject({ outcome: 'timedOut', failure: { type: 'LEASE_OVER' }, teardown: { outcome: 'done', provenAbsent: true } });
  expect(evidence.compensations.map((entry) => entry.id)).toEqual(['one']);
  expect((await holders()).holders).toEqual([]);
});

it('however many ask for its target, nobody puts off the end of a lease', async () => {
  const run = await start({ stallMs: 120_000 });
  await acting(run);
  const begun = Date.now();
  const ask = (count: number) => Promise.all(Array.from({ length: count }, (_, index) => run.guardian.signal(INTERNAL.take, { place: null, asking: `made up ${index}`, runId: randomUUID() })));
  await ask(200);
  // They wait for the 5 s that the run's step could still act; who comes meanwhile waits once more, which would be beyond the lease, again and again.
  const more = (async () => {
    for (let times = 0; times < 8; times += 1) {
      await sleep(times === 0 ? 1_000 : 3_000);
      await ask(30).catch(() => undefined);
    }
  })();
  await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'LEASE_OVER', message: 'its lease is over' } });
  expect(Date.now() - begun).toBeLessThan(LEASE_MS + 10_000);
  await Promise.all([run.guardian.result(), more]);
  expect(await run.evidence()).toMatchObject({ outcome: 'timedOut', compensations: [{ id: 'one', outcome: 'done' }], teardown: { outcome: 'done', provenAbsent: true } });
});

it('one that was reset to its gate, while its former life held the target, is asked, too', async () => {
  const run = await start({ database: 'gated', stallMs: 120_000 });
  await gateOpens(run);
  await run.handle.signal('approve', { gate: 'start', by: 'anna' });
  await acting(run);
  await reset(environment, run, 'first');
  await expect(environment.client.workflow.getHandle(run.handle.workflowId).result()).rejects.toMatchObject({ cause: { type: 'LEASE_OVER', message: 'its lease is over' } });
  await run.guardian.result();
  expect(await run.evidence()).toMatchObject({ outcome: 'timedOut', chain: { writtenBy: 'run' }, compensations: [{ id: 'one', outcome: 'done' }], teardown: { outcome: 'done', provenAbsent: true } });
});

it('a run whose last step goes on to its end when its lease is over does not succeed', async () => {
  const run = await start({ stallMs: LEASE_MS * 0.6, whenCancelled: 'go on' });
  await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'LEASE_OVER' } });
  await run.guardian.result();
  const evidence = await run.evidence();
  expect(evidence).toMatchObject({ outcome: 'timedOut', teardown: { outcome: 'done', provenAbsent: true } });
  expect(evidence.compensations.map((entry) => entry.id)).toEqual(['two', 'one']);
});

it('a run that does not end when its lease is over is ended by force, and its evidence says why', async () => {
  const run = await start({ stallMs: 25_000, whenCancelled: 'go on' });
  await run.handle.result().catch(() => undefined);
  const result: unknown = await run.guardian.result();
  expect((await run.handle.describe()).status.name).toBe('TERMINATED');
  expect(await run.evidence()).toMatchObject({ outcome: 'timedOut', failure: { type: 'LEASE_OVER', message: 'its lease is over' }, chain: { writtenBy: 'guardian' }, teardown: { outcome: 'done', provenAbsent: true } });
  // No result of its own tells the head.
  expect(result).toMatchObject({ teardown: { provenAbsent: true }, head: (await run.evidence()).chain.seal?.head });
});

it('a wait for the lock that is longer than a lease ends the run, with evidence that is true, and leaves the queue', async () => {
  const letGo = await takeLock();
  const run = await start();
  await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'LEASE_OVER', message: expect.stringContaining('waited for the lock of shop') as string } });
  await run.guardian.result();
  expect(await run.evidence()).toMatchObject({ outcome: 'timedOut', steps: [], teardown: { outcome: 'notNeeded' } });
  expect((await holders()).waiting).toEqual([]);
  await letGo();
});

it('a run that was told so, and has ended, can be reset to its start: what its former life was told does not end the new one', async () => {
  const letGo = await takeLock();
  const run = await start();
  await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'LEASE_OVER' } });
  await run.guardian.result();
  await letGo();
  const runId = await reset(environment, run, 'first');
  await environment.client.workflow.getHandle(run.handle.workflowId).result();
  await environment.client.workflow.getHandle(run.guardian.workflowId).result();
  expect((await environment.evidence()).find((one) => one.runId === runId)).toMatchObject({ outcome: 'succeeded', teardown: { outcome: 'done', provenAbsent: true } });
});

it('one whose lease ended while it acted can be reset to its gate, where people decide again; what anybody says of its lease does not end it', async () => {
  const run = await start({ database: 'gated', stallMs: 120_000 });
  const newest = environment.client.workflow.getHandle(run.handle.workflowId);
  await gateOpens(run);
  await run.handle.signal('approve', { gate: 'start', by: 'anna' });
  await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'LEASE_OVER' } });
  await run.guardian.result();
  const runId = await reset(environment, run, 'first');
  await until(async () => ((await newest.query<Progress>('progress').catch(() => undefined))?.openGate ?? null) !== null, 'the gate is open again');
  const owner = { workflowId: run.handle.workflowId, firstExecutionRunId: run.handle.firstExecutionRunId };
  for (const asking of [{}, { asking: randomUUID() }]) await newest.signal(INTERNAL.overdue, { owner, reason: 'somebody says so', ...asking });
  await newest.signal('reject', { gate: 'start', by: 'anna' });
  await expect(newest.result()).rejects.toMatchObject({ cause: { type: 'REJECTED' } });
  expect((await environment.evidence()).find((one) => one.runId === runId)).toMatchObject({ outcome: 'rejected' });
});

it('a pause before the target is taken lasts as long as a lease at most', async () => {
  const run = await start({ looksFirst: true });
  await vi.waitUntil(async () => (await run.handle.query<Progress>('progress')).phase === 'look', PATIENT);
  await run.handle.signal('pause');
  await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'LEASE_OVER', message: 'it was paused before "look again" for as long as a lease lasts' } });
  await run.guardian.result();
  expect(await run.evidence()).toMatchObject({ outcome: 'timedOut', steps: [{ name: 'look', outcome: 'done' }], operations: [{ operation: 'pause' }], teardown: { outcome: 'notNeeded' } });
});

it('tears down after an abort only when the activities of the run have ended', async () => {
  const run = await start({ stallMs: 60_000 });
  await acting(run);
  await run.handle.signal('abort', { by: 'ben' });
  await run.handle.result().catch(() => undefined);
  const events = (await run.handle.fetchHistory()).events ?? [];
  const ended = events.findIndex((event) => event.activityTaskCanceledEventAttributes);
  const finish = events.findIndex((event) => event.signalExternalWorkflowExecutionInitiatedEventAttributes?.signalName === INTERNAL.finish);
  expect(ended).toBeGreaterThan(-1);
  expect(finish).toBeGreaterThan(ended);
});

it('cancelling the lock makes it forget nothing', async () => {
  const run = await start({ stallMs: 1_000 });
  await acting(run);
  await environment.client.workflow.getHandle(lockId('shop')).cancel();
  expect((await holders()).holders).toHaveLength(1);
  await run.handle.result();
  await run.guardian.result();
  expect((await holders()).holders).toEqual([]);
});

it('a guardian that is cancelled with its run still tears down, and gives the lock back', async () => {
  const run = await start({ stallMs: 60_000 });
  await acting(run);
  await run.guardian.cancel();
  await run.handle.cancel();
  await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'CANCELLED' } });
  await run.guardian.result();
  const evidence = await run.evidence();
  expect(evidence).toMatchObject({ outcome: 'cancelled', teardown: { outcome: 'done', provenAbsent: true } });
  expect(evidence.compensations.map((entry) => entry.id)).toEqual(['one']);
  expect((await holders()).holders).toEqual([]);
});

it('a guardian that is cancelled alone goes on watching: a run that is then ended by force is undone', async () => {
  const run = await start({ stallMs: 60_000 });
  await acting(run);
  await run.guardian.cancel();
  await run.handle.terminate('test');
  await run.guardian.result();
  expect(await run.evidence()).toMatchObject({ outcome: 'terminated', teardown: { outcome: 'done', provenAbsent: true } });
  expect((await holders()).holders).toEqual([]);
});

it.each([['that succeeded otherwise', {}, 'TEARDOWN_FAILED'], ['that failed before', { failAt: 'two' }, 'PREFLIGHT']])('a run %s and whose teardown failed says so loudly, with the cause, and what was looked at', async (_title, input, type) => {
  const run = await start({ stallMs: 1_000, ...input });
  await acting(run);
  await writeFile(path.join(run.root, 'immutable'), '');
  const left = expect.stringContaining("closeToyPlace: the box cannot be removed: EPERM: operation not permitted, unlink 'one'") as string;
  await expect(run.handle.result()).rejects.toMatchObject({ cause: { type, details: [{ verdict: { restore: null }, teardown: { outcome: 'failed', provenAbsent: false, left } }] } });
  await run.guardian.result();
  const evidence = await run.evidence();
  expect(evidence).toMatchObject({ outcome: 'failed', failure: { type }, teardown: { outcome: 'failed', provenAbsent: false, failure: left } });
  expect(evidence.teardown.proofs.map(({ looked, found }) => [looked, found.includes('one')])).toEqual([[['the box'], true], [['the box'], true]]);
  expect((await holders()).holders).toEqual([]);
});

it('what could not be removed, and cannot be looked at either, is not proven to be gone', async () => {
  const run = await start({ stallMs: 1_000 });
  await acting(run);
  for (const trouble of ['immutable', 'stale']) await writeFile(path.join(run.root, trouble), '');
  await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'TEARDOWN_FAILED' } });
  await run.guardian.result();
  expect((await run.evidence()).teardown).toMatchObject({ outcome: 'failed', provenAbsent: false, failure: expect.stringMatching(/closeToyPlace: the box cannot be removed.*; proveToyAbsent: ESTALE/) as string, proofs: [] });
});

it('what removing ended with is said, also where two looks then find nothing', async () => {
  const run = await start({ stallMs: 1_000 });
  await acting(run);
  await writeFile(path.join(run.root, 'complains'), '');
  await run.handle.result();
  await run.guardian.result();
  expect(await run.evidence()).toMatchObject({ outcome: 'succeeded', teardown: { outcome: 'done', provenAbsent: true, failure: expect.stringContaining('something else was not') as string, proofs: [{ found: [] }, { found: [] }] } });
});

it('a run that cannot write its evidence keeps nobody else from the target', async () => {
  const run = await start({ stallMs: 1_000 });
  await acting(run);
  await withoutEvidenceDirectory(environment, async () => {
    await vi.waitUntil(async () => (await run.handle.query<Progress>('progress')).phase === 'evidence', PATIENT);
    await vi.waitUntil(async () => (await holders()).holders.length === 0, PATIENT);
    expect((await run.handle.describe()).status.name).toBe('RUNNING');
    // What is over can neither be aborted nor wait: nobody is told that it will.
    await expect(run.handle.executeUpdate('abort', { args: [{ by: 'ben' }] })).rejects.toMatchObject({ cause: { message: 'the run is ending (it is at: evidence); abort changes nothing any more' } });
    await run.handle.signal('pause');
  });
  await run.handle.result();
  expect(await run.evidence()).toMatchObject({ outcome: 'succeeded', operations: [] });
});

it('a lock that cannot be given back keeps neither the run from its evidence nor the next one from the target', async () => {
  releaseRefused = 'the server says no';
  const run = await start();
  await run.handle.result();
  await expect(run.guardian.result()).rejects.toMatchObject({ cause: { cause: { message: 'the server says no' } } });
  releaseRefused = undefined;
  expect(await run.evidence()).toMatchObject({ outcome: 'succeeded', teardown: { outcome: 'done', provenAbsent: true } });
  expect((await holders()).holders).toMatchObject([{ guardianId: run.guardian.workflowId }]);
  const letGo = await takeLock();
  // The lock looks every 30 s whether those who keep others waiting still live.
  await vi.waitUntil(async () => (await holders()).holders.some((holder) => holder.guardianId === 'lock/stand-in'), { ...PATIENT, interval: 500 });
  await letGo();
});

it('a run whose guardian is ended by force begins it anew at its end: what is for a failure is kept, and its place is gone', async () => {
  const run = await start({ stallMs: 1_500 });
  await acting(run);
  await run.guardian.terminate('test');
  await run.handle.result();
  await run.guardian.result();
  expect(await run.evidence()).toMatchObject({ outcome: 'succeeded', chain: { writtenBy: 'run' }, compensations: [], teardown: { outcome: 'done', provenAbsent: true, destroyed: ['one', 'two'] } });
  expect(await run.undone()).toEqual([]);
  expect((await holders()).holders).toEqual([]);
});

it('one whose guardian is ended by force again and again ends with evidence that does not claim a teardown', async () => {
  const run = await start({ stallMs: 1_500 });
  await acting(run);
  closingWaits = true;
  await run.guardian.terminate('test');
  await until(async () => await run.guardian.query<string>('phase').catch(() => '') === 'settling', 'there is one again');
  await run.guardian.terminate('test');
  closingWaits = false;
  await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'TEARDOWN_FAILED' } });
  expect((await run.evidence()).teardown).toMatchObject({ outcome: 'failed', provenAbsent: false, proofs: [], failure: expect.stringContaining('guardian of this run was ended by force') as string });
});

it('an undo that any worker can do waits until there is one again, for however long a host may be silent', async () => {
  const alone = await startKernelEnvironment({}, { hostLoss: '2s' });
  try {
    let tried = false;
    const dying = await alone.startWorker({ undoToy: () => {
      tried = true;
      return Promise.reject(new Error('the database is away'));
    } });
    const run = await startToy(alone, { failAt: 'two' });
    await until(() => Promise.resolve(tried), 'undoing was tried');
    await dying.stop();
    await sleep(5_000);
    await alone.startWorker();
    await run.guardian.result();
    const { compensations, teardown } = await run.evidence();
    expect(compensations.map(({ id, outcome, detail }) => [id, outcome, detail])).toEqual([['two', 'done', 'undid two'], ['one', 'done', 'undid one']]);
    expect(teardown).toMatchObject({ outcome: 'done', provenAbsent: true });
  } finally {
    await alone.stop();
  }
});
