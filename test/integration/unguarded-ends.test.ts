import { WorkflowNotFoundError } from '@temporalio/client';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { createEndWatch } from '../../activities/kernel/unguarded-ends.ts';
import { startKernelEnvironment, toyConfiguration, type KernelEnvironment } from '../support/kernel-environment.ts';
import { acting, gateOpens, reset, startToy, until, type ToyRun } from '../support/toy-runs.ts';

let environment: KernelEnvironment;
let working: Awaited<ReturnType<KernelEnvironment['startWorker']>>;
beforeAll(async () => {
  environment = await startKernelEnvironment({ start: { assurance: 'none', requesterMayApprove: true } }, {}, { free: {} });
  working = await environment.startWorker();
});
afterAll(() => environment.stop());

const start = (input: Record<string, unknown> = {}, options = {}) => startToy(environment, { database: 'shop', ...input }, undefined, options);
const guardianOf = ({ guardian }: ToyRun) => guardian.describe().catch((error: unknown) => {
  if (!(error instanceof WorkflowNotFoundError)) throw error;
  return undefined;
});
/** Waits until workers have seen to it. */
const seenTo = (run: ToyRun) => until(async () => (await guardianOf(run))?.status.name === 'COMPLETED', 'a guardian came and went');
const evidenceOf = async ({ handle: { workflowId } }: ToyRun) => (await environment.evidence()).filter((one) => one.workflowId === workflowId);

it('a run that waits for people has no guardian; ended by force there, it gets one, and with it evidence', async () => {
  const run = await start({ requester: 'carol' });
  await gateOpens(run);
  expect(await guardianOf(run)).toBeUndefined();
  await run.handle.terminate('test');
  await seenTo(run);
  expect(await run.evidence()).toMatchObject({
    outcome: 'terminated', requester: 'carol', target: 'shop', chain: { writtenBy: 'guardian' }, gates: [{ name: 'start', outcome: 'cancelled' }], compensations: [], teardown: { outcome: 'notNeeded', provenAbsent: true },
  });
});

it('one that timed out there does, too', async () => {
  const run = await start({}, { workflowExecutionTimeout: '2s' });
  await seenTo(run);
  expect(await run.evidence()).toMatchObject({ outcome: 'timedOut', chain: { writtenBy: 'guardian' } });
});

it('one that people end by themselves writes its own evidence, and needs none', async () => {
  const run = await start();
  await gateOpens(run);
  await run.handle.signal('reject', { gate: 'start', by: 'anna' });
  await run.handle.result().catch(() => undefined);
  expect(await run.evidence()).toMatchObject({ outcome: 'rejected', chain: { writtenBy: 'run' }, teardown: { outcome: 'notNeeded' } });
  expect(await guardianOf(run)).toBeUndefined();
});

it('one that goes on in what it was reset to gets none; the new life, ended by force at its gate, gets evidence of its own', async () => {
  const run = await start();
  await gateOpens(run);
  await reset(environment, run, 'first');
  const newest = environment.client.workflow.getHandle(run.handle.workflowId);
  await until(async () => (await newest.query<{ openGate: object | null }>('progress')).openGate !== null, 'the gate is open again');
  // Several looks later.
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect(await guardianOf(run)).toBeUndefined();
  await newest.terminate('test');
  await seenTo(run);
  expect((await evidenceOf(run)).map(({ outcome }) => outcome)).toEqual(['terminated']);
  const again = await reset(environment, run, 'first');
  await until(async () => (await newest.query<{ openGate: object | null }>('progress')).openGate !== null, 'and again');
  await newest.terminate('test');
  await until(async () => (await evidenceOf(run)).length === 2, 'the life after a guardian has evidence, too');
  expect((await evidenceOf(run)).map(({ runId }) => runId)).toContain(again);
});

it('where a guardian was itself ended by force, no other claims that there was nothing to undo', async () => {
  const run = await start({ database: 'free', stallMs: 60_000 });
  await acting(run);
  await run.guardian.terminate('test');
  await run.handle.terminate('test');
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  expect([(await guardianOf(run))?.status.name, await evidenceOf(run)]).toEqual(['TERMINATED', []]);
});

it('several workers that look at once give one guardian; a run that nobody had begun has evidence, too, and what a server refuses is tried again', async () => {
  const { client } = environment;
  environment.stopLooking();
  await working.stop();
  const run = await start();
  await run.handle.terminate('test');
  await until(async () => (await client.workflow.count(`WorkflowId = '${run.handle.workflowId}' AND ExecutionStatus = 'Terminated'`)).count === 1, 'the server lists it');
  const starting = vi.spyOn(client.workflow, 'start');
  const watches = Array.from({ length: 4 }, () => createEndWatch({ client, configuration: toyConfiguration(environment.root, {}, {}) }));
  starting.mockRejectedValueOnce(new Error('the server is busy'));
  await expect(watches[0]!()).rejects.toThrow('the server is busy');
  expect((await Promise.all(watches.map((watch) => watch()))).flat()).toEqual([run.handle.workflowId]);
  const looking = vi.spyOn(client.workflow, 'getHandle');
  expect((await Promise.all(watches.map((watch) => watch()))).flat()).toEqual([]);
  expect(looking.mock.calls, 'nobody looks at a run twice').toEqual([]);
  looking.mockRestore();
  starting.mockRestore();
  working = await environment.startWorker();
  await seenTo(run);
  expect(await run.evidence()).toMatchObject({ outcome: 'terminated', steps: [], notVerified: ['the run was ended before it began'], chain: { writtenBy: 'guardian' } });
});
