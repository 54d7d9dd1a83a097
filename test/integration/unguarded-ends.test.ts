import { ApplicationFailure, WorkflowNotFoundError } from '@temporalio/client';
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
/** Waits until the server lists its newest end. */
const listed = ({ handle: { workflowId } }: { handle: { workflowId: string } }) => until(async () => (await environment.client.workflow.count(`WorkflowId = '${workflowId}' AND ExecutionStatus = 'Terminated'`)).count > 0, 'the server lists it');
const watchOf = () => createEndWatch({ client: environment.client, configuration: toyConfiguration(environment.root, {}, {}), types: ['toy'] });
/** As a worker that has just started. */
const look = () => watchOf()();
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

it('one that cannot write its evidence leaves that to a guardian', async () => {
  await working.stop();
  working = await environment.startWorker({ writeEvidence: () => Promise.reject(ApplicationFailure.nonRetryable('no disk takes it', 'UNAVAILABLE')) });
  const run = await start();
  await gateOpens(run);
  await run.handle.signal('reject', { gate: 'start', by: 'anna' });
  await expect(run.handle.result()).rejects.toMatchObject({ cause: { message: expect.stringContaining('Activity') as string } });
  await seenTo(run);
  expect(await run.evidence()).toMatchObject({ outcome: 'rejected', gates: [{ outcome: 'rejected' }], chain: { writtenBy: 'guardian' } });
  await working.stop();
  working = await environment.startWorker();
});

it('one that goes on in what it was reset to gets none; the new life, ended by force at its gate, gets evidence of its own', async () => {
  const run = await start();
  await gateOpens(run);
  await reset(environment, run, 'first');
  const newest = environment.client.workflow.getHandle(run.handle.workflowId);
  const open = (what: string) => until(async () => ((await newest.query<{ openGate: object | null }>('progress').catch(() => undefined))?.openGate ?? null) !== null, what);
  await open('the gate is open again');
  await listed(run);
  expect([await look(), await guardianOf(run)]).toEqual([[], undefined]);
  await newest.terminate('test');
  await seenTo(run);
  expect((await evidenceOf(run)).map(({ outcome }) => outcome)).toEqual(['terminated']);
  const again = await reset(environment, run, 'first');
  await open('the gate is open once more');
  await newest.terminate('test');
  await until(async () => (await evidenceOf(run)).length === 2, 'the life after a guardian has evidence, too');
  expect((await evidenceOf(run)).map(({ runId }) => runId)).toContain(again);
});

it('where the own guardian of a run was ended by force, no other claims that there was nothing to undo', async () => {
  const run = await start({ database: 'free', stallMs: 60_000 });
  await acting(run);
  await run.guardian.terminate('test');
  await run.handle.terminate('test');
  await listed(run);
  expect([await look(), await evidenceOf(run), (await guardianOf(run))?.status.name]).toEqual([[], [], 'TERMINATED']);
});

it('whatever else ends on the queue, by a mistyped name too, is none of ours', async () => {
  const handle = await environment.client.workflow.start('toi', { workflowId: 'mistyped', taskQueue: 'runbooks', args: [{}] });
  await handle.terminate('test');
  await listed({ handle });
  expect(await look()).toEqual([]);
  expect((await environment.evidence()).filter(({ workflowId }) => workflowId === 'mistyped')).toEqual([]);
});

it('several workers that look at once give one guardian; a run that nobody had begun has evidence, too, and what a server refuses is tried again', async () => {
  const { client } = environment;
  await environment.stopLooking();
  await working.stop();
  const [run, other] = [await start(), await start()];
  for (const one of [run, other]) {
    await one.handle.terminate('test');
    await listed(one);
  }
  const watches = Array.from({ length: 4 }, watchOf);
  const starting = vi.spyOn(client.workflow, 'start').mockRejectedValueOnce(new Error('the server is busy'));
  await expect(watches[0]!()).rejects.toThrow('the server is busy');
  expect(starting, 'one that fails keeps no other').toHaveBeenCalledTimes(2);
  starting.mockRestore();
  expect((await Promise.all(watches.map((watch) => watch()))).flat()).toHaveLength(1);
  working = await environment.startWorker();
  for (const one of [run, other]) {
    await seenTo(one);
    expect(await one.evidence()).toMatchObject({ outcome: 'terminated', target: null, steps: [], notVerified: ['the run was ended before it began'], chain: { writtenBy: 'guardian' } });
  }
  // Once more where somebody was at it, and then never again.
  await watches[0]!();
  const looking = vi.spyOn(client.workflow, 'getHandle');
  expect([await watches[0]!(), looking.mock.calls]).toEqual([[], []]);
  looking.mockRestore();
});
