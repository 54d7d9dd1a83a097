import { randomUUID } from 'node:crypto';
import { Client, WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError, type WorkflowClientInterceptor, type WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createKernelActivities } from '../../activities/kernel/create-kernel-activities.ts';
import type { KernelActivities } from '../../activities/kernel/kernel-activities.ts';
import { latestRun } from '../../activities/kernel/run-end.ts';
import type { Configuration } from '../../contracts/configuration.ts';
import { guardianId, lockId } from '../../contracts/guardian.ts';
import type { LockState } from '../../contracts/lock-state.ts';
import { INTERNAL, type Progress } from '../../contracts/messages.ts';
import { toyConfiguration } from '../support/kernel-environment.ts';
import { PATIENT } from '../support/patience.ts';
import { startTimeSkipping, type TimeSkipping } from '../support/time-skipping.ts';

const HOUR_MS = 3_600_000;
let time: TimeSkipping;
let configuration: Configuration;

beforeEach(async () => {
  time = await startTimeSkipping('30m');
  configuration = toyConfiguration(time.root, {}, { maximum: '3h' });
});
afterEach(() => time.stop());

// A server that skips time has no lists of workflows to look for a former lock in.
const startWorker = (instead: Partial<KernelActivities> = {}) => time.startWorker(configuration, { describeLock: () => Promise.resolve({ holders: [], waiting: [] }), findFormerLock: () => Promise.resolve(null), ...instead });

/** A workflow that lives and does nothing, in a guardian's place. */
const startDummy = async (): Promise<string> => (await time.environment.client.workflow.start('lock', { workflowId: `dummy/${randomUUID()}`, taskQueue: 'runbooks' })).workflowId;

async function request(target: string, id: string): Promise<void> {
  const asked = { guardianId: id, owner: { workflowId: id, firstExecutionRunId: id }, runbook: 'toy', sharesTargetWith: [], requestedAtMs: 0, priority: 'normal' };
  await time.environment.client.workflow.signalWithStart('lock', { workflowId: lockId(target), taskQueue: 'runbooks', signal: INTERNAL.request, signalArgs: [asked] });
}

const release = (target: string, id: string) => time.environment.client.workflow.getHandle(lockId(target)).signal(INTERNAL.release, { guardianId: id });

const stateOf = (target: string) => time.environment.client.workflow.getHandle(lockId(target)).query<LockState>(INTERNAL.holders);

it('a guardian that asks again while it is looked at has come back: what it holds is not given to another', async () => {
  let looks = 0;
  const [back, waiting] = ['', ''];
  const ids = { back, waiting };
  await startWorker({
    async findDeadGuardians() {
      looks += 1;
      // It was dead when it was looked for, and is begun again before the lock learns that.
      await request('shop', ids.back);
      return [ids.back, ids.waiting];
    },
  });
  ids.back = await startDummy();
  ids.waiting = await startDummy();
  await request('shop', ids.back);
  await request('shop', ids.waiting);
  await vi.waitUntil(async () => (await stateOf('shop')).waiting.length === 1, PATIENT);
  const [before] = (await stateOf('shop')).holders;
  await time.environment.sleep('31s');
  await vi.waitUntil(async () => looks > 0 && (await stateOf('shop')).waiting.length === 0, PATIENT);
  // The other one was dead and did not come back.
  expect((await stateOf('shop')).holders.map(({ guardianId: id, fence }) => [id, fence])).toEqual([[ids.back, before?.fence]]);
});

it.each<[string, (id: string) => Promise<void>]>([
  ['lets go who neither holds nor waits', () => release('shop', 'nobody')],
  ['asks once more who waits', async () => { for (const { guardianId: id } of (await stateOf('shop')).waiting) await request('shop', id); }],
  ['asks and lets go who lives', async (id) => { await request('shop', id); await release('shop', id); }],
])('a holder that is dead is noticed as soon while, again and again, %s', async (_, send) => {
  await startWorker();
  const [holder, next, other] = [await startDummy(), await startDummy(), await startDummy()];
  await request('shop', holder);
  await request('shop', next);
  await vi.waitUntil(async () => (await stateOf('shop')).waiting.length === 1, PATIENT);
  await time.environment.client.workflow.getHandle(holder).terminate();
  for (let sent = 0; sent < 4; sent += 1) {
    await send(other);
    await stateOf('shop');
    await time.environment.sleep('20s');
  }
  await vi.waitFor(async () => expect((await stateOf('shop')).holders.map(({ guardianId: id }) => id)).toEqual([next]), { timeout: 20_000 });
});

it('what changes nothing does not wake a lock', async () => {
  await startWorker();
  await request('shop', await startDummy());
  await request('shop', await startDummy());
  await vi.waitUntil(async () => (await stateOf('shop')).waiting.length === 1, PATIENT);
  const timers = async () => ((await time.environment.client.workflow.getHandle(lockId('shop')).fetchHistory()).events ?? []).filter((event) => event.timerStartedEventAttributes).length;
  for (let sent = 0; sent < 5; sent += 1) {
    await release('shop', 'nobody');
    await stateOf('shop');
  }
  expect(await timers()).toBe(1);
});

it('a run that was ended by a person while it waited is not called overdue by a guardian that looks only later', async () => {
  await startWorker();
  await request('shop', await startDummy());
  const handle = await time.startToy();
  await vi.waitUntil(async () => (await handle.query<Progress>('progress')).phase === 'waiting for the lock', PATIENT);
  // After the last look before the deadline.
  await time.environment.sleep(2.8 * HOUR_MS);
  await handle.terminate('by a person');
  const [evidence] = await time.evidenceOf(handle, configuration);
  expect(evidence).toMatchObject({ outcome: 'terminated', failure: { type: 'TERMINATED' } });
});

it('a lock that is ended before it has learnt what the one before it held does not lose that for the next', async () => {
  const real = time.kernelActivities(configuration);
  let isSilent = false;
  await startWorker({
    async findFormerLock(input) {
      if (isSilent) throw new Error('the server is away');
      return input.runId === undefined ? null : real.findFormerLock(input);
    },
  });
  const [holder, released, second, third] = [await startDummy(), await startDummy(), await startDummy(), await startDummy()];
  const ask = (id: string, sharesTargetWith: string[] = []) => real.requestLock({ target: 'shop', request: { guardianId: id, owner: { workflowId: id, firstExecutionRunId: id }, runbook: 'toy', sharesTargetWith, requestedAtMs: 0, priority: 'normal' } });
  const lock = () => time.environment.client.workflow.getHandle(lockId('shop'));
  await ask(holder);
  await ask(released, ['toy']);
  await vi.waitUntil(async () => (await stateOf('shop')).holders.length === 2, PATIENT);
  const [before] = (await stateOf('shop')).holders;
  await lock().terminate('by a person');
  isSilent = true;
  await ask(second);
  await real.releaseLock({ target: 'shop', guardianId: released });
  // Who let go asks again: that came later, and is not undone by the letting go.
  await ask(released, ['toy']);
  await vi.waitUntil(async () => (await stateOf('shop')).waiting.length === 2, PATIENT);
  await lock().terminate('by a person, since it hangs');
  isSilent = false;
  await ask(third);
  await vi.waitUntil(async () => (await stateOf('shop')).adopting === undefined, PATIENT);
  const { holders, waiting, nextFence } = await stateOf('shop');
  expect([holders.map(({ guardianId: id, fence }) => [id, fence]), waiting.map(({ guardianId: id }) => id), nextFence]).toEqual([[[holder, before?.fence]], [second, released, third], 3]);
});

it('a lock that is ended by force while somebody waits goes on with them when its holder lets go, and not when they look', async () => {
  const real = time.kernelActivities(configuration);
  await startWorker({ findFormerLock: (input) => (input.runId === undefined ? Promise.resolve(null) : real.findFormerLock(input)) });
  const [holder, next] = [await startDummy(), await startDummy()];
  const ask = (id: string) => real.requestLock({ target: 'wiki', request: { guardianId: id, owner: { workflowId: id, firstExecutionRunId: id }, runbook: 'toy', sharesTargetWith: [], requestedAtMs: 0, priority: 'normal' } });
  await ask(holder);
  await ask(next);
  await vi.waitUntil(async () => (await stateOf('wiki')).waiting.length === 1, PATIENT);
  await time.environment.client.workflow.getHandle(lockId('wiki')).terminate('by a person');
  await real.releaseLock({ target: 'wiki', guardianId: holder });
  await vi.waitUntil(async () => (await stateOf('wiki')).holders[0]?.guardianId === next, PATIENT);
  expect(await stateOf('wiki')).toMatchObject({ holders: [{ guardianId: next, fence: 2 }], waiting: [] });
});

/** What the kernel does on a host whose calls to the server are altered. */
const activitiesWith = (interceptor: WorkflowClientInterceptor): KernelActivities => createKernelActivities({
  client: new Client({ connection: time.environment.connection, interceptors: { workflow: [interceptor] } }), configuration, codeVersion: 'test', searchAttributes: [],
});
const asking = (id: string) => ({ target: 'shop', request: { guardianId: id, owner: { workflowId: id, firstExecutionRunId: id }, runbook: 'toy', sharesTargetWith: [], requestedAtMs: 0, priority: 'normal' as const } });

it('a release is heard by a lock that somebody else begins anew at this very moment, with who releases in it', async () => {
  const real = time.kernelActivities(configuration);
  await startWorker({ findFormerLock: (input) => (input.runId === undefined ? Promise.resolve(null) : real.findFormerLock(input)) });
  const [holder, next] = [await startDummy(), await startDummy()];
  await real.requestLock(asking(holder));
  await vi.waitUntil(async () => (await stateOf('shop')).holders.length === 1, PATIENT);
  await time.environment.client.workflow.getHandle(lockId('shop')).terminate('by a person');
  const overtaken = activitiesWith({ async signal(input, go) {
    try {
      await go(input);
    } catch (error) {
      await real.requestLock(asking(next));
      throw error;
    }
  } });
  await overtaken.releaseLock({ target: 'shop', guardianId: holder });
  await vi.waitUntil(async () => (await stateOf('shop')).holders[0]?.guardianId === next, PATIENT);
  expect(await stateOf('shop')).toMatchObject({ holders: [{ guardianId: next, fence: 2 }], waiting: [] });
});

it('a lock that is ended between the look whether it lives and the request is not begun anew with nothing', async () => {
  const real = time.kernelActivities(configuration);
  // Nothing is listed yet.
  await startWorker({ findFormerLock: (input) => (input.runId === undefined ? Promise.resolve(null) : real.findFormerLock(input)) });
  const [holder, next] = [await startDummy(), await startDummy()];
  await real.requestLock(asking(holder));
  await vi.waitUntil(async () => (await stateOf('shop')).holders.length === 1, PATIENT);
  const [before] = (await stateOf('shop')).holders;
  let isEnded = false;
  const late = activitiesWith({ async describe(input, look) {
    const seen = await look(input);
    if (!isEnded) await time.environment.client.workflow.getHandle(lockId('shop')).terminate('by a person');
    isEnded = true;
    return seen;
  } });
  await expect(late.requestLock(asking(next))).rejects.toThrow(WorkflowExecutionAlreadyStartedError);
  // As an activity is tried again.
  await late.requestLock(asking(next));
  await vi.waitUntil(async () => (await stateOf('shop')).adopting === undefined && (await stateOf('shop')).waiting.length === 1, PATIENT);
  expect(await stateOf('shop')).toMatchObject({ holders: [{ guardianId: holder, fence: before?.fence }], waiting: [{ guardianId: next }] });
});

it('a release to a lock that never was begins none', async () => {
  await time.kernelActivities(configuration).releaseLock({ target: 'nobody', guardianId: 'guardian/x' });
  await expect(time.environment.client.workflow.getHandle(lockId('nobody')).describe()).rejects.toThrow(WorkflowNotFoundError);
});

it('a run that ends while its guardian looks whether it lives has ended, whatever the look saw', async () => {
  configuration = toyConfiguration(time.root, {}, { maximum: '4s' });
  const real = time.kernelActivities(configuration);
  let started: ((handle: WorkflowHandleWithFirstExecutionRunId) => void) | undefined;
  const run = new Promise<WorkflowHandleWithFirstExecutionRunId>((resolve) => { started = resolve; });
  let [isEnded, isTold] = [false, false];
  await startWorker({
    async awaitRunEnd({ owner }) {
      await vi.waitUntil(() => isEnded, PATIENT);
      const closed = await latestRun(time.environment.client, owner);
      isTold = true;
      return { status: 'terminated', runId: closed?.runId ?? '', closedAtMs: closed?.closeTime?.getTime() ?? Date.now() };
    },
    async findRunEnd(input) {
      const found = await real.findRunEnd(input);
      if (found || isEnded) return found;
      await (await run).terminate('by a person');
      isEnded = true;
      await vi.waitUntil(() => isTold, PATIENT);
      // The answer of the watch is there first.
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      return found;
    },
  });
  const handle = await time.startToy({ stallMs: 12_000, whenCancelled: 'go on' });
  started?.(handle);
  const guardian = time.environment.client.workflow.getHandle(guardianId({ workflowId: handle.workflowId, firstExecutionRunId: handle.firstExecutionRunId }));
  await vi.waitUntil(() => guardian.query<string>('phase').then((phase) => phase === 'guarding', () => false), PATIENT);
  await time.environment.sleep('5s');
  expect((await time.evidenceOf(handle, configuration)).map(({ outcome }) => outcome)).toEqual(['terminated']);
});
