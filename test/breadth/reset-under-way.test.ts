import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startKernelEnvironment, type KernelEnvironment } from '../support/kernel-environment.ts';
import { livesOf } from '../support/toy-lives.ts';
import { reset, resetTo, startToy, toSecondStep, until, type ToyRun } from '../support/toy-runs.ts';

/** Runs that are reset to where they held their target, while their guardian undoes or when it is over: what evidence says then of what was undone. */
let environment: KernelEnvironment;
beforeAll(async () => {
  environment = await startKernelEnvironment({}, {}, { asked: {}, killed: {}, again: {}, last: {}, kept: {}, unsaid: {}, between: {}, queued: {}, always: {}, stays: {} });
  await environment.startWorker();
});
afterAll(() => environment.stop());

const { newest, phaseOf, evidenceOf } = livesOf(() => environment);
const times = async ({ journal }: ToyRun, line: string) => (await journal()).filter((one) => one === line).length;
/** Ends a run by force at its last step, and waits until all is undone. */
async function undoAtLastStep(run: ToyRun): Promise<void> {
  await until(async () => (await phaseOf(run)) === 'look last', 'it is at its last step');
  await run.handle.terminate('test');
  await run.guardian.result();
}
const toTimer = (nanos: number) => (events: Parameters<typeof toSecondStep>[0]) =>
  events.map((event) => event.timerStartedEventAttributes).find((one) => one?.startToFireTimeout?.nanos === nanos)?.workflowTaskCompletedEventId;
const NOT_UNDONE = { teardown: { outcome: 'failed', provenAbsent: false, failure: expect.stringContaining('nobody has undone') as string } };
const ROLLED_BACK = { outcome: 'failed', failure: { type: 'FENCED', message: expect.stringContaining('is no result of this one either') as string } };

const resetToTwo = (run: ToyRun, life?: string) => resetTo(environment, run, toSecondStep, life);

/** One whose guardian has undone, and removes its place until a file is gone. */
async function beingTornDown(database: string, input: object = {}): Promise<{ run: ToyRun; runId: string; removed: () => Promise<void> }> {
  const slow = (root: string) => path.join(root, 'slow');
  const run = await startToy(environment, { database, failAt: 'two', ...input }, environment.client, { prepare: (root) => writeFile(slow(root), '') });
  await until(async () => (await times(run, 'undo one')) > 0, 'it is undone');
  const runId = await resetToTwo(run);
  await until(async () => (await times(run, 'begin two')) > 1, 'its new life acts');
  return { run, runId, removed: () => rm(slow(run.root)) };
}

it('what a former life asked to settle is no answer to a life that did more meanwhile', async () => {
  const { run, runId, removed } = await beingTornDown('asked');
  await until(async () => (await phaseOf(run)) === 'tearing down', 'it has asked');
  await removed();
  expect(await evidenceOf(run, runId)).toMatchObject(NOT_UNDONE);
});

it('nor is it what is written of one that was ended by force', async () => {
  const { run, runId, removed } = await beingTornDown('killed', { stallMs: 2_000 });
  await newest(run).terminate('test');
  await removed();
  expect(await evidenceOf(run, runId)).toMatchObject({ outcome: 'terminated', ...NOT_UNDONE });
});

it('a life that did anew what had been undone, and succeeds, has that undone, and has failed: it did it without the target', async () => {
  const run = await startToy(environment, { database: 'again', stallMs: 2_000, outside: true });
  await until(async () => (await times(run, 'begin two')) > 0, 'it is at its second step');
  await run.handle.terminate('test');
  await run.guardian.result();
  const runId = await resetToTwo(run);
  expect(await evidenceOf(run, runId)).toMatchObject({ ...ROLLED_BACK, compensations: [{ id: 'two', outcome: 'done' }, { id: 'one', outcome: 'done' }] });
  expect(await run.undone()).toEqual(['two', 'one', 'two']);
});

it('a life that did nothing anew has not succeeded with what had been undone', async () => {
  const run = await startToy(environment, { database: 'last', looksLastMs: 4_000, outside: true });
  await undoAtLastStep(run);
  const runId = await reset(environment, run, 'last');
  expect(await evidenceOf(run, runId)).toMatchObject({ ...ROLLED_BACK, compensations: [{ id: 'two', outcome: 'done' }, { id: 'one', outcome: 'done' }] });
  expect(await run.undone()).toEqual(['two', 'one']);
});

it('a life of a run that had succeeded succeeds as well, since nothing of it was undone', async () => {
  const run = await startToy(environment, { database: 'kept', looksLastMs: 700, outside: true });
  await run.handle.result();
  await run.guardian.result();
  const runId = await resetTo(environment, run, toTimer(700_000_000));
  expect(await evidenceOf(run, runId)).toMatchObject({ outcome: 'succeeded', compensations: [] });
});

it('nor with what a guardian had undone that was ended by force before it could say so', async () => {
  const run = await startToy(environment, { database: 'unsaid', looksLastMs: 2_000, outside: true }, environment.client, { prepare: (root) => writeFile(path.join(root, 'slow'), '') });
  await until(async () => (await phaseOf(run)) === 'look last', 'it is at its last step');
  await run.handle.terminate('test');
  await until(async () => (await times(run, 'undo one')) > 0, 'it is undone');
  await run.guardian.terminate('test');
  await rm(path.join(run.root, 'slow'));
  const runId = await reset(environment, run, 'last');
  expect(await evidenceOf(run, runId)).toMatchObject({ ...ROLLED_BACK, compensations: [{ id: 'two', outcome: 'done' }, { id: 'one', outcome: 'done' }] });
});

it('nor with what was undone before a life between had taken the target anew', async () => {
  const run = await startToy(environment, { database: 'between', looksLastMs: 3_000, outside: true });
  const first = run.handle.firstExecutionRunId;
  await undoAtLastStep(run);
  const { events } = await environment.client.workflow.getHandle(run.handle.workflowId, first).fetchHistory();
  const last = events?.findLast((event) => event.workflowTaskCompletedEventAttributes)?.eventId;
  await reset(environment, run, 'first');
  await until(async () => (await times(run, 'begin one')) > 1, 'its second life acts');
  const runId = await resetTo(environment, run, () => last, first);
  expect(await evidenceOf(run, runId)).toMatchObject(ROLLED_BACK);
});

it('nor beside what it did anew, under the guardian that a life between had left', async () => {
  const run = await startToy(environment, { database: 'queued', stallMs: 25_000, stallsAt: 'two', outside: true });
  const first = run.handle.firstExecutionRunId;
  await until(async () => (await times(run, 'begin two')) > 0, 'it is at its second step');
  await run.handle.terminate('test');
  await run.guardian.result();
  const begun = await times(run, 'begin two');
  const other = await startToy(environment, { database: 'queued', looksLastMs: 60_000 });
  await until(async () => (await phaseOf(other)) === 'look last', 'another holds the target');
  await reset(environment, run, 'first', first);
  await until(async () => (await phaseOf(run)) === 'waiting for the lock', 'its second life waits');
  const runId = await resetToTwo(run, first);
  await until(async () => (await times(run, 'begin two')) > begun, 'its third life acts');
  await other.handle.cancel();
  expect(await evidenceOf(run, runId)).toMatchObject({ ...ROLLED_BACK, compensations: [{ id: 'one', outcome: 'done' }], teardown: { outcome: 'failed', failure: expect.stringContaining('this was not done: record that two is undone') as string } });
});

it('but with what is for the run only, and is undone in any case', async () => {
  const run = await startToy(environment, { database: 'always', looksLastMs: 2_000, outside: true, undoesWhen: 'always' });
  await undoAtLastStep(run);
  const runId = await reset(environment, run, 'last');
  expect(await evidenceOf(run, runId)).toMatchObject({ outcome: 'succeeded', compensations: [{ id: 'two', outcome: 'done' }, { id: 'one', outcome: 'done' }] });
});

it('what was kept when a run had succeeded is not denied by a life of it that is aborted', async () => {
  const run = await startToy(environment, { database: 'stays', looksLastMs: 3_700, outside: true });
  await run.handle.result();
  await run.guardian.result();
  const runId = await resetTo(environment, run, toTimer(700_000_000));
  await until(async () => (await phaseOf(run)) === 'look last', 'it is at its last step');
  await newest(run).signal('abort');
  expect(await evidenceOf(run, runId)).toMatchObject({ outcome: 'aborted', teardown: { outcome: 'failed', provenAbsent: false, failure: expect.stringContaining('this was not done: record that one is undone, record that two is undone') as string } });
  expect(await run.undone()).toEqual([]);
});
