import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Progress } from '../../contracts/messages.ts';
import { startKernelEnvironment, type KernelEnvironment } from '../support/kernel-environment.ts';
import { livesOf } from '../support/toy-lives.ts';
import { acting, gateOpens, reset, startToy, until, type ToyRun } from '../support/toy-runs.ts';

let environment: KernelEnvironment;
let working: Awaited<ReturnType<KernelEnvironment['startWorker']>>;
beforeAll(async () => {
  const gates = { start: { assurance: 'none', requesterMayApprove: true } };
  environment = await startKernelEnvironment(gates, {}, { free: {}, unknown: {}, taken: gates, again: gates, left: gates });
  working = await environment.startWorker();
});
afterAll(() => environment.stop());

const start = (input: Record<string, unknown> = {}) => startToy(environment, { stallMs: 60_000, ...input });
const { newest, newestGuardian } = livesOf(() => environment);
const opensAgain = (run: ToyRun) => until(async () => ((await newest(run).query<Progress>('progress').catch(() => undefined))?.openGate ?? null) !== null, 'the gate is open again');
const evidenceOf = async ({ handle: { workflowId } }: ToyRun, runId: string) => (await environment.evidence()).find((one) => one.workflowId === workflowId && one.runId === runId);

async function reject(run: ToyRun): Promise<void> {
  await newest(run).signal('reject', { gate: 'start', by: 'anna' });
  await newest(run).result().catch(() => undefined);
}

async function actAfterTheGate(run: ToyRun): Promise<void> {
  await newest(run).signal('approve', { gate: 'start', by: 'anna' });
  await acting(run);
}

/** What is said by the evidence of a life about what a former one did. */
async function settled(run: ToyRun, runId: string) {
  await newestGuardian(run).result();
  return { evidence: await evidenceOf(run, runId), undone: await run.undone() };
}

/** What a life did is undone, once, and the last one says so. */
const undone = (outcome: string) => ({ evidence: { outcome, compensations: [{ id: 'one', outcome: 'done' }], teardown: { outcome: 'done', provenAbsent: true } }, undone: ['one'] });

const looks = (run: ToyRun) => until(async () => (await newest(run).query<Progress>('progress').catch(() => undefined))?.steps.some(({ name }) => name === 'look') ?? false, 'it looks');

async function abort(run: ToyRun): Promise<void> {
  await newest(run).signal('abort', { by: 'anna' });
  await newest(run).result().catch(() => undefined);
}

it('a run and its guardian that were ended by force, and whose new life ends before it takes the target: what the former did is undone', async () => {
  const run = await start({ database: 'free', looksFirst: true });
  await acting(run);
  await run.guardian.terminate('test');
  await run.handle.terminate('test');
  const runId = await reset(environment, run, 'first');
  await looks(run);
  await abort(run);
  expect(await settled(run, runId)).toMatchObject(undone('aborted'));
});

it('a guardian that is ended by force while a life that took nothing relies on it is begun anew for the life that did', async () => {
  const run = await start({ database: 'free', looksFirst: true });
  await acting(run);
  const runId = await reset(environment, run, 'first');
  await looks(run);
  await run.guardian.terminate('test');
  await abort(run);
  expect(await settled(run, runId)).toMatchObject(undone('aborted'));
});

it('a new life that ends before it knows its target does not claim that there was nothing', async () => {
  const run = await start({ database: 'unknown' });
  await acting(run);
  await run.guardian.terminate('test');
  await run.handle.terminate('test');
  await working.stop();
  const runId = await reset(environment, run, 'first');
  await newest(run).signal('abort', { by: 'anna' });
  working = await environment.startWorker();
  await newest(run).result().catch(() => undefined);
  expect(await evidenceOf(run, runId)).toMatchObject({ outcome: 'aborted', teardown: { outcome: 'failed', provenAbsent: false, failure: expect.stringContaining('nobody has looked') as string } });
});

it('what a life did is undone where the run is reset once more, to what came before that life', async () => {
  const run = await start({ database: 'again' });
  await gateOpens(run);
  const second = await reset(environment, run, 'first');
  await opensAgain(run);
  await actAfterTheGate(run);
  await until(async () => (await environment.client.workflow.count(`RunId = '${second}'`)).count > 0, 'the server lists it');
  const third = await reset(environment, run, 'first', run.handle.firstExecutionRunId);
  await opensAgain(run);
  await reject(run);
  expect(await settled(run, third)).toMatchObject(undone('rejected'));
});

it('what a life did is undone, and written down, where its workflow id has become another run’s', async () => {
  const run = await start({ database: 'taken' });
  await gateOpens(run);
  const second = await reset(environment, run, 'first');
  await opensAgain(run);
  await actAfterTheGate(run);
  const other = await environment.client.workflow.start('toy', { workflowId: run.handle.workflowId, taskQueue: 'runbooks', workflowIdConflictPolicy: 'TERMINATE_EXISTING', args: [{ root: run.root, database: 'left' }] });
  expect(await settled(run, second)).toMatchObject(undone('terminated'));
  await other.terminate('test');
});

it('what a guardian could not remove is not denied by what its run is reset to', async () => {
  const run = await start({ database: 'left' });
  await gateOpens(run);
  await actAfterTheGate(run);
  await writeFile(path.join(run.root, 'stale'), '');
  await newest(run).terminate('test');
  await run.guardian.result();
  const runId = await reset(environment, run, 'first');
  await opensAgain(run);
  await reject(run);
  expect(await evidenceOf(run, runId)).toMatchObject({ outcome: 'rejected', compensations: [{ id: 'one', outcome: 'done' }], teardown: { outcome: 'failed', provenAbsent: false, failure: expect.stringContaining('ESTALE') as string } });
});
