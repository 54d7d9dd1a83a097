import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ApplicationFailure, type WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { describeIfKnown } from '../../activities/kernel/describe-if-known.ts';
import { createEndWatch } from '../../activities/kernel/unguarded-ends.ts';
import { evidenceWriterId, GUARDIAN_TYPE, guardianId } from '../../contracts/guardian.ts';
import { startKernelEnvironment, toyConfiguration, withoutEvidenceDirectory, type KernelEnvironment } from '../support/kernel-environment.ts';
import { PATIENT } from '../support/patience.ts';
import { acting, gateOpens, reset, startToy, until, type ToyRun } from '../support/toy-runs.ts';

let environment: KernelEnvironment;
let working: Awaited<ReturnType<KernelEnvironment['startWorker']>>;
beforeAll(async () => {
  const gates = { start: { assurance: 'none', requesterMayApprove: true } };
  // A lock notices only after a while that a guardian was ended by force: who does that has a target alone.
  environment = await startKernelEnvironment(gates, {}, { free: {}, second: {}, own: gates, other: gates, both: gates, last: {} });
  working = await environment.startWorker();
});
afterAll(() => environment.stop());

const start = (input: Record<string, unknown> = {}, options = {}) => startToy(environment, { database: 'shop', ...input }, undefined, options);
const guardianOf = ({ guardian }: ToyRun) => describeIfKnown(environment.client, guardian.workflowId);
/** Of its first life, where no other is named. */
const writerOf = ({ handle: { workflowId, firstExecutionRunId } }: ToyRun, runId = firstExecutionRunId) => describeIfKnown(environment.client, evidenceWriterId({ workflowId, runId }));
/** Waits until workers have seen to it. */
const seenTo = (run: ToyRun, runId?: string) => until(async () => (await writerOf(run, runId))?.status.name === 'COMPLETED', 'its evidence was seen to');
/** Waits until the server lists its newest end. */
const listed = ({ handle: { workflowId } }: { handle: { workflowId: string } }) => until(async () => (await environment.client.workflow.count(`WorkflowId = '${workflowId}' AND ExecutionStatus = 'Terminated'`)).count > 0, 'the server lists it');
const watchOf = () => createEndWatch({ client: environment.client, configuration: toyConfiguration(environment.root, {}, {}), types: ['toy'] });
/** As a worker that has just started. */
const look = () => watchOf()();
const evidenceOf = async ({ handle: { workflowId } }: ToyRun) => (await environment.evidence()).filter((one) => one.workflowId === workflowId);

/** Waits until the gate is open in a new life, which may not have begun yet. */
const opensAgain = (newest: WorkflowHandle) => until(async () => ((await newest.query<{ openGate: object | null }>('progress').catch(() => undefined))?.openGate ?? null) !== null, 'the gate is open again');

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
  await run.guardian.result();
  expect(await run.evidence()).toMatchObject({ outcome: 'rejected', gates: [{ outcome: 'rejected' }], chain: { writtenBy: 'guardian' } });
  await working.stop();
  working = await environment.startWorker();
});

it('one that goes on in what it was reset to gets none; the new life, ended by force at its gate, gets evidence of its own', async () => {
  const run = await start();
  await gateOpens(run);
  const second = await reset(environment, run, 'first');
  const newest = environment.client.workflow.getHandle(run.handle.workflowId);
  await opensAgain(newest);
  await listed(run);
  expect([await look(), await guardianOf(run), await writerOf(run)]).toEqual([[], undefined, undefined]);
  await newest.terminate('test');
  await seenTo(run, second);
  expect((await evidenceOf(run)).map(({ outcome }) => outcome)).toEqual(['terminated']);
  const again = await reset(environment, run, 'first');
  await opensAgain(newest);
  await newest.terminate('test');
  await until(async () => (await evidenceOf(run)).length === 2, 'the life after one with a writer has evidence, too');
  expect((await evidenceOf(run)).map(({ runId }) => runId)).toContain(again);
});

it('where the own guardian of a run was ended by force, no other claims that there was nothing to undo', async () => {
  const run = await start({ database: 'free', stallMs: 60_000 });
  await acting(run);
  await run.guardian.terminate('test');
  await run.handle.terminate('test');
  await listed(run);
  expect([await look(), await evidenceOf(run), (await guardianOf(run))?.status.name]).toEqual([[], [], 'TERMINATED']);
  await writeByHand(run);
  expect(await evidenceOf(run)).toEqual([]);
});

/** What a worker starts, as somebody may do who can reach the server; waits until it has ended. */
async function writeByHand({ handle: { workflowId, firstExecutionRunId } }: ToyRun, changes: { workflowId?: string } = {}): Promise<unknown> {
  const runId = firstExecutionRunId;
  const input = { owner: { workflowId, firstExecutionRunId }, runbook: 'toy', target: 'shop', sharesTargetWith: [], lease: { maximumMs: 1, hostLossMs: 1 }, forEvidence: { runId } };
  return environment.client.workflow.execute(GUARDIAN_TYPE, { workflowId: evidenceWriterId({ workflowId, runId }), taskQueue: 'runbooks', args: [input], ...changes });
}

it('whoever starts what writes evidence by hand gets none before the guardian has settled, and none under another name', async () => {
  const run = await start({ database: 'second', stallMs: 60_000 });
  await acting(run);
  await run.handle.terminate('test');
  await writeByHand(run);
  await expect(writeByHand(run, { workflowId: 'mine' })).rejects.toMatchObject({ cause: { type: 'INVALID_INPUT', message: expect.stringContaining('a guardian with this input has to be evidence/toy/') as string } });
  await expect(writeByHand(run, { workflowId: guardianId(run.handle) })).rejects.toThrow('already started');
  expect(await evidenceOf(run)).toEqual([]);
  await run.guardian.result();
  expect(await run.evidence()).toMatchObject({ outcome: 'terminated', compensations: [{ id: 'one', outcome: 'done' }], teardown: { outcome: 'done', provenAbsent: true } });
});

/** A run that acted, and was reset to its gate: its former life did something, and its new one has no guardian of its own. */
async function actedAndReset(database = 'shop', input: Record<string, unknown> = {}): Promise<{ run: ToyRun; newest: WorkflowHandle; runId: string }> {
  const run = await start({ database, stallMs: 60_000, ...input });
  await gateOpens(run);
  await run.handle.signal('approve', { gate: 'start', by: 'anna' });
  await acting(run);
  const runId = await reset(environment, run, 'first');
  const newest = environment.client.workflow.getHandle(run.handle.workflowId);
  await opensAgain(newest);
  return { run, newest, runId };
}

it('a run that acted, and is rejected after a reset to its gate, has undone what it did', async () => {
  const { run, newest } = await actedAndReset();
  await newest.signal('reject', { gate: 'start', by: 'anna' });
  await newest.result().catch(() => undefined);
  await run.guardian.result();
  expect(await run.evidence()).toMatchObject({
    outcome: 'rejected', chain: { writtenBy: 'run' }, compensations: [{ id: 'one', outcome: 'done' }], teardown: { outcome: 'done', provenAbsent: true },
  });
  expect(await run.undone()).toEqual(['one']);
});

it('where that guardian was ended by force, it is begun anew and undoes it', async () => {
  const { run, newest } = await actedAndReset('own');
  await run.guardian.terminate('test');
  await newest.signal('reject', { gate: 'start', by: 'anna' });
  await newest.result().catch(() => undefined);
  await run.guardian.result();
  expect(await run.evidence()).toMatchObject({ outcome: 'rejected', chain: { writtenBy: 'run' }, compensations: [{ id: 'one', outcome: 'done' }], teardown: { outcome: 'done', provenAbsent: true } });
  expect(await run.undone()).toEqual(['one']);
});

it('where the server has forgotten that guardian, such a run does not claim that there was nothing', async () => {
  // With its place alone to tell that there was something.
  const { run, newest } = await actedAndReset('other', { undoes: false });
  const { runId } = await run.guardian.describe();
  await run.guardian.terminate('test');
  await environment.client.workflowService.deleteWorkflowExecution({ namespace: 'default', workflowExecution: { workflowId: run.guardian.workflowId, runId } });
  await vi.waitUntil(async () => await guardianOf(run) === undefined, { ...PATIENT, interval: 200 });
  await newest.signal('reject', { gate: 'start', by: 'anna' });
  await newest.result().catch(() => undefined);
  expect(await run.evidence()).toMatchObject({ outcome: 'rejected', teardown: { outcome: 'failed', provenAbsent: false, failure: expect.stringContaining('nobody has looked') as string } });
});

it('where both were ended by force, nobody claims it for them', async () => {
  const { run, newest, runId } = await actedAndReset('both');
  await run.guardian.terminate('test');
  await newest.terminate('test');
  await until(async () => (await environment.client.workflow.count(`RunId = '${runId}' AND ExecutionStatus = 'Terminated'`)).count > 0, 'the server lists it');
  expect([await look(), await evidenceOf(run), await writerOf(run, runId)]).toEqual([[], [], undefined]);
});

it('the guardian of the former life, which undid it, is the only one to write it down', async () => {
  const { run, newest, runId } = await actedAndReset();
  await newest.terminate('test');
  await run.guardian.result();
  await until(async () => (await environment.client.workflow.count(`RunId = '${runId}' AND ExecutionStatus = 'Terminated'`)).count > 0, 'the server lists it');
  expect([await look(), await writerOf(run, runId)]).toEqual([[], undefined]);
  expect(await run.evidence()).toMatchObject({ outcome: 'terminated', compensations: [{ id: 'one', outcome: 'done' }], teardown: { outcome: 'done', provenAbsent: true } });
});

/** The one piece of evidence of a life. */
async function evidenceOfLife(run: ToyRun, runId: string) {
  const found = (await evidenceOf(run)).filter((one) => one.runId === runId);
  expect(found).toHaveLength(1);
  return found[0];
}

it('a life at its gate after a guardian that had ended has evidence, too', async () => {
  const run = await start();
  await gateOpens(run);
  await run.handle.signal('approve', { gate: 'start', by: 'anna' });
  await run.handle.result();
  await run.guardian.result();
  const runId = await reset(environment, run, 'first');
  const newest = environment.client.workflow.getHandle(run.handle.workflowId);
  await opensAgain(newest);
  await newest.terminate('test');
  await seenTo(run, runId);
  expect(await evidenceOfLife(run, runId)).toMatchObject({ outcome: 'terminated', chain: { writtenBy: 'guardian' }, compensations: [], teardown: { outcome: 'notNeeded', provenAbsent: true } });
});

/** A run that acted and was ended by force, reset to its gate while its guardian still undoes what it did; that ends before this does. */
async function resetWhileSettling({ isLeft = false } = {}): Promise<{ run: ToyRun; runId: string }> {
  const run = await start({ stallMs: 60_000 });
  await gateOpens(run);
  await run.handle.signal('approve', { gate: 'start', by: 'anna' });
  await acting(run);
  for (const trouble of isLeft ? ['immutable', 'stale'] : []) await writeFile(path.join(run.root, trouble), '');
  await run.handle.terminate('test');
  await until(async () => await run.guardian.query<string>('phase') === 'settling', 'its guardian settles');
  const runId = await reset(environment, run, 'first');
  const newest = environment.client.workflow.getHandle(run.handle.workflowId);
  await opensAgain(newest);
  await run.guardian.result();
  expect(await evidenceOfLife(run, run.handle.firstExecutionRunId)).toMatchObject({ compensations: [{ id: 'one', outcome: 'done' }], teardown: { outcome: isLeft ? 'failed' : 'done' } });
  await newest.terminate('test');
  return { run, runId };
}

it('so has one that began while that guardian still settled', async () => {
  const { run, runId } = await resetWhileSettling();
  await seenTo(run, runId);
  expect(await evidenceOfLife(run, runId)).toMatchObject({ outcome: 'terminated', compensations: [], teardown: { outcome: 'notNeeded', provenAbsent: true } });
});

it('what that guardian could not undo, it does not deny', async () => {
  const { run, runId } = await resetWhileSettling({ isLeft: true });
  await seenTo(run, runId);
  expect(await evidenceOfLife(run, runId)).toMatchObject({ outcome: 'terminated', teardown: { outcome: 'failed', provenAbsent: false, failure: expect.stringContaining('the box cannot be removed') as string } });
});

it('where a life acted when its guardian had ended, none that it is reset to denies that', async () => {
  const run = await start({ stallMs: 60_000 });
  const newest = environment.client.workflow.getHandle(run.handle.workflowId);
  await gateOpens(run);
  await run.handle.signal('approve', { gate: 'start', by: 'anna' });
  await acting(run);
  await run.handle.terminate('test');
  await run.guardian.result();
  await reset(environment, run, 'last');
  await until(async () => (await run.journal()).filter((line) => line === 'begin one').length === 2, 'the second life acts');
  const runId = await reset(environment, run, 'first');
  await opensAgain(newest);
  await newest.terminate('test');
  await until(async () => (await environment.client.workflow.count(`RunId = '${runId}' AND ExecutionStatus = 'Terminated'`)).count > 0, 'the server lists it');
  expect([await look(), await writerOf(run, runId)]).toEqual([[], undefined]);
});

it('where what writes evidence is itself ended by force, another does', async () => {
  const run = await start();
  await gateOpens(run);
  await withoutEvidenceDirectory(environment, async () => {
    await run.handle.terminate('test');
    const works = () => until(async () => (await writerOf(run))?.status.name === 'RUNNING', 'its evidence is being written');
    await works();
    await environment.client.workflow.getHandle((await writerOf(run))!.workflowId).terminate('test');
    await works();
  });
  await seenTo(run);
  expect(await run.evidence()).toMatchObject({ outcome: 'terminated', chain: { writtenBy: 'guardian' } });
});

it.each([
  ['something else that completed', async ({ handle }: ToyRun, workflowId: string) => void await environment.client.workflow.execute('contender', { workflowId, taskQueue: 'runbooks', args: [{ lockId: handle.workflowId, turns: 0 }] })],
  ['one that refused its input', async (_run: ToyRun, workflowId: string) => void await environment.client.workflow.execute(GUARDIAN_TYPE, { workflowId, taskQueue: 'runbooks', args: [{}] }).catch(() => undefined)],
  ['one that was started too early', async (run: ToyRun) => void await writeByHand(run)],
])('%s under the name of what writes a run\'s evidence keeps it from none', async (_title, squat) => {
  const run = await start();
  await gateOpens(run);
  await squat(run, evidenceWriterId({ workflowId: run.handle.workflowId, runId: run.handle.firstExecutionRunId }));
  await run.handle.terminate('test');
  await until(async () => (await evidenceOf(run)).length === 1, 'there is evidence');
  expect(await run.evidence()).toMatchObject({ outcome: 'terminated', chain: { writtenBy: 'guardian' } });
});

it('while evidence cannot be written, what the run was reset to goes its own way', async () => {
  const run = await start();
  await gateOpens(run);
  await withoutEvidenceDirectory(environment, async () => {
    await run.handle.terminate('test');
    await until(async () => (await writerOf(run))?.status.name === 'RUNNING', 'its evidence is being written');
    await reset(environment, run, 'first');
    const newest = environment.client.workflow.getHandle(run.handle.workflowId);
    await opensAgain(newest);
    await newest.signal('approve', { gate: 'start', by: 'anna' });
    await until(async () => (await run.journal()).includes('begin two'), 'the new life took the target');
  });
  await environment.client.workflow.getHandle(run.handle.workflowId).result();
  await run.guardian.result();
  expect((await evidenceOf(run)).find(({ outcome }) => outcome === 'succeeded')).toMatchObject({ teardown: { outcome: 'done', provenAbsent: true } });
});

it('one that is reset while the guardian of its former life cannot write evidence is told to start anew', async () => {
  const run = await start({ database: 'last', stallMs: 60_000 });
  await acting(run);
  await withoutEvidenceDirectory(environment, async () => {
    await run.handle.terminate('test');
    await until(async () => await run.guardian.query<string>('phase') === 'seeing to the evidence', 'its guardian has undone everything');
    await reset(environment, run, 'first');
    const newest = environment.client.workflow.getHandle(run.handle.workflowId);
    await until(async () => (await newest.query<{ phase: string }>('progress').catch(() => undefined))?.phase === 'evidence', 'it was told');
  });
  await expect(environment.client.workflow.getHandle(run.handle.workflowId).result()).rejects.toMatchObject({ cause: { type: 'UNAVAILABLE', message: expect.stringContaining('start another run') as string } });
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
  const looking = vi.spyOn(client.workflow, 'getHandle');
  // What the tests before have ended may be listed only now, or be written still.
  await until(async () => {
    looking.mockClear();
    await watches[0]!();
    return looking.mock.calls.length === 0;
  }, 'all is seen to');
  expect([await watches[0]!(), looking.mock.calls]).toEqual([[], []]);
  looking.mockRestore();
});

it('what writes evidence says nothing of another life than its own', async () => {
  const run = await start();
  await gateOpens(run);
  await reset(environment, run, 'first');
  const newest = environment.client.workflow.getHandle(run.handle.workflowId);
  await opensAgain(newest);
  await environment.stopLooking();
  await newest.terminate('test');
  await writeByHand(run);
  expect(await evidenceOf(run)).toEqual([]);
});
