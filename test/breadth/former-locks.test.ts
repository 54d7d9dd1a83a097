import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { Client, type WorkflowClientInterceptor } from '@temporalio/client';
import proto from '@temporalio/proto';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createKernelActivities } from '../../activities/kernel/create-kernel-activities.ts';
import type { KernelActivities } from '../../activities/kernel/kernel-activities.ts';
import { LOCK_TYPE, lockId } from '../../contracts/guardian.ts';
import type { LockState } from '../../contracts/lock-state.ts';
import { INTERNAL } from '../../contracts/messages.ts';
import { startKernelEnvironment, toyConfiguration, type KernelEnvironment } from '../support/kernel-environment.ts';
import { until } from '../support/toy-runs.ts';

const { WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE: UNHANDLED } = proto.temporal.api.enums.v1.WorkflowTaskFailedCause;

let environment: KernelEnvironment;
let activities: KernelActivities;
let worker: { stop(): Promise<void> };
beforeEach(async () => {
  environment = await startKernelEnvironment();
  activities = environment.kernelActivities(path.join(environment.root, 'evidence'));
  worker = await environment.startWorker();
});
afterEach(() => environment.stop());

const lock = () => environment.client.workflow.getHandle(lockId('shop'));
const stateOf = () => lock().query<LockState>(INTERNAL.holders);
const end = () => lock().terminate('by a person');

/** A workflow that lives and does nothing, in a guardian's place. */
const startDummy = async (name: string): Promise<string> => (await environment.client.workflow.start(LOCK_TYPE, { workflowId: `dummy/${name}/${randomUUID()}`, taskQueue: 'runbooks' })).workflowId;
const requestOf = (id: string, sharesTargetWith: string[] = []) => ({ guardianId: id, owner: { workflowId: id, firstExecutionRunId: id }, runbook: 'toy', sharesTargetWith, requestedAtMs: 0, priority: 'normal' as const });
const ask = (id: string, sharesTargetWith?: string[], by = activities) => by.requestLock({ target: 'shop', request: requestOf(id, sharesTargetWith) });
const release = (id: string) => activities.releaseLock({ target: 'shop', guardianId: id });

/** What the kernel does on a host whose calls to the server are altered. */
const activitiesWith = (interceptor: WorkflowClientInterceptor) => createKernelActivities({
  client: new Client({ connection: environment.client.connection, interceptors: { workflow: [interceptor] } }), configuration: toyConfiguration(environment.root, {}, {}), codeVersion: 'test', searchAttributes: [],
});

/** As a worker does which cannot go on with the lock. */
async function failTasks(times: number): Promise<void> {
  const { connection, workflowService } = environment.client;
  for (let failed = 0; failed < times;) {
    const { taskToken, workflowExecution } = await connection.withDeadline(Date.now() + 30_000, () => workflowService.pollWorkflowTaskQueue({ namespace: 'default', taskQueue: { name: 'runbooks' }, identity: 'broken' }));
    if (workflowExecution?.workflowId !== lockId('shop')) continue;
    await workflowService.respondWorkflowTaskFailed({ namespace: 'default', taskToken, cause: UNHANDLED });
    failed += 1;
  }
}

/** Who holds the target, with their fences, and who waits, once the lock knows what the one before it held. */
async function settled(holding: number): Promise<[holders: [string, number][], waiting: string[]]> {
  await until(async () => { const { adopting, holders } = await stateOf(); return adopting === undefined && holders.length === holding; }, `${holding} hold the target`);
  const { holders, waiting } = await stateOf();
  return [holders.map(({ guardianId: id, fence }) => [id, fence]), waiting.map(({ guardianId: id }) => id)];
}

it('a lock that is ended, and again before a worker came to the one that followed, goes on with what both heard', async () => {
  const [first, second, third, fourth, fifth] = [await startDummy('1'), await startDummy('2'), await startDummy('3'), await startDummy('4'), await startDummy('5')];
  await ask(first);
  await ask(second);
  await until(async () => (await stateOf()).waiting.length === 1, 'the second waits');
  await worker.stop();
  await end();
  // Begins it anew, and so does the fourth.
  await release(first);
  await ask(third);
  await end();
  await ask(fourth);
  await release(third);
  await end();
  worker = await environment.startWorker();
  await ask(fifth);
  expect(await settled(1)).toEqual([[[second, 2]], [fourth, fifth]]);
  expect(await activities.describeLock({ target: 'shop' })).toMatchObject({ holders: [{ workflowId: second }] });
});

it('who came to their turn in a lock that was ended before it could tell them are told by the next one', async () => {
  const [first, second, third] = [await startDummy('1'), await startDummy('2'), await startDummy('3')];
  await ask(first);
  await until(async () => (await stateOf()).holders.length === 1, 'the first holds');
  await worker.stop();
  await release(first);
  await ask(second);
  await end();
  worker = await environment.startWorker();
  await ask(third);
  expect(await settled(1)).toEqual([[[second, 2]], [third]]);
  const grants = async () => ((await environment.client.workflow.getHandle(second).fetchHistory()).events ?? []).filter((event) => event.workflowExecutionSignaledEventAttributes?.signalName === INTERNAL.granted);
  await until(async () => (await grants()).length > 0, 'the second is told');
});

it('who lets go and asks again, before a worker comes to the lock, comes to his turn again', async () => {
  const [again, next] = [await startDummy('again'), await startDummy('next')];
  await worker.stop();
  await environment.client.workflow.start(LOCK_TYPE, { workflowId: lockId('shop'), taskQueue: 'runbooks', args: [{ nextFence: 2, holders: [{ ...requestOf(again), fence: 1, grantedAtMs: 1 }], waiting: [] }] });
  await release(again);
  await ask(again);
  worker = await environment.startWorker();
  await ask(next);
  expect(await settled(1)).toEqual([[[again, 2]], [next]]);
  // The same, while the lock does not know yet what the one before it held.
  await worker.stop();
  await end();
  await release(again);
  await ask(again);
  worker = await environment.startWorker();
  await until(async () => (await stateOf()).holders[0]?.guardianId === next, 'the next holds');
  expect(await settled(1)).toEqual([[[next, 3]], [again]]);
});

it('a lock that is ended right after it continued as new goes on with what it carried', async () => {
  const [holder, released, next] = [await startDummy('holder'), await startDummy('released'), await startDummy('next')];
  await worker.stop();
  const carried: LockState = { nextFence: 9, holders: [{ ...requestOf(holder), fence: 7, grantedAtMs: 1 }, { ...requestOf(released, ['toy']), fence: 8, grantedAtMs: 2 }], waiting: [] };
  await environment.client.workflow.start(LOCK_TYPE, { workflowId: lockId('shop'), taskQueue: 'runbooks', args: [carried] });
  await lock().signal(INTERNAL.release);
  await release(released);
  await end();
  expect((await activities.describeLock({ target: 'shop' })).holders.map(({ workflowId }) => workflowId)).toEqual([holder]);
  worker = await environment.startWorker();
  await ask(next);
  expect(await settled(1)).toEqual([[[holder, 7]], [next]]);
});

it('a lock that is ended while its tasks fail, so that the server asks nobody for its state, loses nothing either', async () => {
  const [older, holder, gone, sharer, next, late] = [await startDummy('older'), await startDummy('holder'), await startDummy('gone'), await startDummy('sharer'), await startDummy('next'), await startDummy('late')];
  await ask(older, ['toy']);
  await until(async () => (await stateOf()).holders.length === 1, 'the first holds');
  await end();
  await ask(holder, ['toy']);
  await environment.client.workflow.getHandle(gone).terminate();
  await ask(gone, ['toy']);
  await ask(sharer, ['toy']);
  await until(async () => (await stateOf()).nextFence === 5, 'three more were granted, one of them to nobody');
  await release(older);
  await ask(next);
  await until(async () => (await stateOf()).holders.map(({ guardianId: id }) => id).join() === [holder, sharer, next].join(), 'the first has let go, and the next has come');
  await worker.stop();
  await release(sharer);
  await failTasks(3);
  // While it lives it may still answer: nobody is told half of it.
  await expect(activities.describeLock({ target: 'shop' })).rejects.toMatchObject({ cause: { message: expect.stringContaining('Workflow Task in failed state') as string } });
  await end();
  worker = await environment.startWorker();
  await expect(stateOf()).rejects.toMatchObject({ cause: { details: expect.stringContaining('Workflow Task in failed state') as string } });
  await ask(late);
  expect(await settled(2)).toEqual([[[holder, 2], [next, 5]], [late]]);
});

it('a lock that is begun anew by who was held up since he looked goes on with the one that lived meanwhile', async () => {
  const [first, second, third] = [await startDummy('1'), await startDummy('2'), await startDummy('3')];
  await ask(first);
  await until(async () => (await stateOf()).holders.length === 1, 'the first holds');
  await end();
  const heldUp = activitiesWith({ async signalWithStart(input, next) {
    await release(first);
    await ask(second);
    await until(async () => (await stateOf()).holders[0]?.guardianId === second, 'the second holds');
    const { runId } = await lock().describe();
    await end();
    await until(async () => {
      for await (const listed of environment.client.workflow.list({ query: `WorkflowId = '${lockId('shop')}' AND ExecutionStatus = 'Terminated'` })) if (listed.runId === runId) return true;
      return false;
    }, 'it is listed as ended');
    return next(input);
  } });
  await ask(third, [], heldUp);
  expect(await settled(1)).toEqual([[[second, 2]], [third]]);
});

it('a lock that a person begins with no run in the place of one comes to be', async () => {
  const holder = await startDummy('holder');
  await environment.client.workflow.start(LOCK_TYPE, { workflowId: lockId('shop'), taskQueue: 'runbooks', args: [null, 'no run'] });
  await ask(holder);
  const [[granted]] = await settled(1);
  expect(granted?.[0]).toBe(holder);
});
