import { mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { RawValue } from '@temporalio/common';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { guardianId } from '../../contracts/guardian.ts';
import { INTERNAL, SIGNALS, type Progress } from '../../contracts/messages.ts';
import { startKernelEnvironment, withoutEvidenceDirectory, type KernelEnvironment } from '../support/kernel-environment.ts';
import { livesOf } from '../support/toy-lives.ts';
import { acting, reset, resetTo, startToy, toSecondStep, until, type ToyRun } from '../support/toy-runs.ts';

/** What guardians held that were ended by force, and that others come after. */
let environment: KernelEnvironment;
beforeAll(async () => {
  environment = await startKernelEnvironment({}, {}, { queued: {}, fenced: {}, forged: {}, twice: {}, late: {}, waiting: {}, moved: {}, ungranted: {} });
  await environment.startWorker();
});
afterAll(() => environment.stop());

const { newest, newestGuardian } = livesOf(() => environment);
const owner = ({ handle }: ToyRun) => ({ workflowId: handle.workflowId, firstExecutionRunId: handle.firstExecutionRunId });
const evidenceOf = async (run: ToyRun, runId: string) => {
  await newestGuardian(run).result();
  return (await environment.evidence()).find((one) => one.workflowId === run.handle.workflowId && one.runId === runId);
};
const boxes = async ({ root }: ToyRun) => (await readdir(root)).filter((name) => name.startsWith('box-')).sort();

/** A run that acts, and whose guardian and itself are ended by force; its lock gives its target to whoever comes next. */
async function endedByForce(database: string): Promise<ToyRun> {
  const run = await startToy(environment, { database, stallMs: 60_000 });
  await acting(run);
  await run.guardian.terminate('test');
  await run.handle.terminate('test');
  // As the lock finds out by itself, after half a minute.
  await environment.kernelActivities(path.join(environment.root, 'evidence')).releaseLock({ target: database, guardianId: guardianId(owner(run)) });
  return run;
}

async function abort(run: ToyRun): Promise<void> {
  await newest(run).signal(SIGNALS.abort, { by: 'anna' });
  await newest(run).result().catch(() => undefined);
}

const undone = { outcome: 'aborted', compensations: [{ id: 'one', outcome: 'done' }], teardown: { outcome: 'done', provenAbsent: true } };

it('what a former life did is undone where its new life ends in the queue behind another run', async () => {
  const run = await endedByForce('queued');
  const [box] = await boxes(run);
  const other = await startToy(environment, { database: 'queued', stallMs: 60_000 });
  await acting(other);
  const runId = await reset(environment, run, 'first');
  await until(async () => (await newestGuardian(run).query<string>('phase').catch(() => '')) === 'waiting for the lock', 'its guardian waits');
  await newest(run).signal(SIGNALS.abort, { by: 'anna' });
  await other.handle.terminate('test');
  await newest(run).result().catch(() => undefined);
  expect(await evidenceOf(run, runId)).toMatchObject(undone);
  expect([box, await run.undone(), await boxes(run)]).toEqual(['box-1', ['one'], []]);
});

it('the place of a former life is removed, and looked for, where its new life got the target under another fence', async () => {
  const run = await endedByForce('fenced');
  const other = await startToy(environment, { database: 'fenced' });
  await other.handle.result();
  await other.guardian.result();
  const runId = await reset(environment, run, 'first');
  await until(async () => (await run.journal()).filter((line) => line === 'begin one').length > 1, 'the new life acts');
  expect(await boxes(run)).toEqual(['box-1', 'box-3']);
  await abort(run);
  const evidence = await evidenceOf(run, runId);
  // The file that each life wrote lies under the fence of its own.
  expect(evidence).toMatchObject({ ...undone, compensations: [{ id: 'one (2)', outcome: 'done' }, { id: 'one', outcome: 'done' }] });
  expect([evidence?.teardown.proofs.length, await boxes(run)]).toEqual([4, []]);
});

it('what a guardian has undone is not undone again where its run is reset, but for what the new life did itself', async () => {
  const run = await startToy(environment, { database: 'twice', stallMs: 4_000 });
  await until(async () => (await run.journal()).includes('begin two'), 'it is at its second step');
  await run.handle.terminate('test');
  await run.guardian.result();
  expect(await run.undone()).toEqual(['two', 'one']);
  const runId = await reset(environment, run, 'first');
  await until(async () => (await run.journal()).filter((line) => line === 'begin one').length > 1, 'the new life acts');
  await abort(run);
  expect(await evidenceOf(run, runId)).toMatchObject({ outcome: 'aborted', compensations: [{ id: 'one (2)', outcome: 'done' }, { id: 'two', outcome: 'done', detail: 'undid two' }, { id: 'one', outcome: 'done' }], teardown: { outcome: 'done', provenAbsent: true } });
  expect(await run.undone()).toEqual(['two', 'one', 'one']);
});

it('what a life did that was reset to when its guardian had given the target back is undone at its end', async () => {
  const run = await startToy(environment, { database: 'late', stallMs: 60_000 });
  await acting(run);
  // One more task comes to its end, so that a reset to the last copies what is under way, and the server begins that anew.
  for (const signal of ['pause', 'resume']) await run.handle.signal(signal);
  await until(async () => (await run.handle.fetchHistory()).events?.at(-1)?.workflowTaskCompletedEventAttributes !== null, 'it has heard that');
  await run.handle.terminate('test');
  await run.guardian.result();
  expect(await run.undone()).toEqual(['one']);
  const runId = await reset(environment, run, 'last');
  await until(async () => (await run.journal()).filter((line) => line === 'begin one').length > 1, 'the new life acts');
  await abort(run);
  const evidence = await evidenceOf(run, runId);
  expect(evidence).toMatchObject({ outcome: 'aborted', compensations: [{ id: 'one', outcome: 'done' }] });
  expect(await run.undone()).toEqual(['one', 'one']);
});

it('what it did while its guardian waited to write is not denied', async () => {
  const run = await startToy(environment, { database: 'waiting', stallMs: 60_000 });
  await acting(run);
  let runId = '';
  await withoutEvidenceDirectory(environment, async () => {
    await run.handle.terminate('test');
    await until(async () => (await newestGuardian(run).query<string>('phase')) === 'seeing to the evidence', 'its guardian waits for the directory');
    runId = await reset(environment, run, 'last');
    await until(async () => (await run.journal()).filter((line) => line === 'begin one').length > 1, 'the new life acts');
    await newest(run).signal(SIGNALS.abort, { by: 'anna' });
    await until(async () => (await newest(run).query<Progress>('progress')).phase === 'evidence', 'the new life writes');
  });
  await newest(run).result().catch(() => undefined);
  expect(await evidenceOf(run, runId)).toMatchObject({ outcome: 'aborted', teardown: { outcome: 'failed', provenAbsent: false, failure: expect.stringContaining('nobody has undone') as string } });
});

it('places of one fence that lie elsewhere are two, and so are undos of one name that undo something else', async () => {
  const run = await startToy(environment, { database: 'moved', stallMs: 60_000, findsRoot: true }, environment.client, { prepare: async (root) => {
    for (const name of ['a', 'b']) await mkdir(path.join(root, name));
    await writeFile(path.join(root, 'root'), 'a');
  } });
  const at = (name: string) => readdir(path.join(run.root, name));
  await until(async () => (await at('a')).includes('journal'), 'it acts');
  await run.guardian.terminate('test');
  await run.handle.terminate('test');
  await writeFile(path.join(run.root, 'root'), 'b');
  const runId = await reset(environment, run, 'first');
  await until(async () => (await at('b')).includes('journal'), 'the new life acts');
  expect([await at('a'), await at('b')]).toEqual([['box-1', 'journal'], ['box-1', 'journal']]);
  await abort(run);
  expect(await evidenceOf(run, runId)).toMatchObject({ ...undone, compensations: [{ id: 'one (2)', outcome: 'done' }, { id: 'one', outcome: 'done' }] });
  expect([await at('a'), await at('b')]).toEqual([['journal', 'undone'], ['journal', 'undone']]);
});

it('what is made up, or cannot be read, of the fence that a run was told keeps no place from being removed', async () => {
  const run = await startToy(environment, { database: 'forged', stallMs: 60_000, looksFirst: true });
  await acting(run);
  for (const [encoding, data] of [['no such encoding', ''], ['json/plain', 'not JSON']] as const) {
    await run.handle.signal(INTERNAL.owned, RawValue.fromPayload({ metadata: { encoding: Buffer.from(encoding) }, data: Buffer.from(data) }));
  }
  await run.handle.signal(INTERNAL.owned, { owner: owner(run), fence: 4711, leaseExpiresAtMs: 0 });
  await run.guardian.terminate('test');
  await run.handle.terminate('test');
  const runId = await reset(environment, run, 'first');
  await until(async () => (await newest(run).query<Progress>('progress').catch(() => undefined))?.steps.some(({ name }) => name === 'look') ?? false, 'it looks');
  await abort(run);
  expect(await evidenceOf(run, runId)).toMatchObject(undone);
  expect(await boxes(run)).toEqual([]);
});

it('what a life did without the target is undone where the next one asked for that, and ended before it got it', async () => {
  const run = await startToy(environment, { database: 'ungranted', stallMs: 2_000, outside: true });
  const begun = async () => (await run.journal()).filter((line) => line === 'begin two').length;
  await until(async () => (await begun()) > 0, 'it is at its second step');
  await run.handle.terminate('test');
  await run.guardian.result();
  await resetTo(environment, run, toSecondStep);
  await until(async () => (await begun()) > 1, 'its second life acts');
  await newest(run).terminate('test');
  const other = await startToy(environment, { database: 'ungranted', stallMs: 60_000 });
  await acting(other);
  const runId = await reset(environment, run, 'first', run.handle.firstExecutionRunId);
  await until(async () => (await newestGuardian(run).query<string>('phase').catch(() => '')) === 'waiting for the lock', 'its guardian waits');
  await newest(run).cancel();
  await other.handle.terminate('test');
  await newest(run).result().catch(() => undefined);
  expect(await evidenceOf(run, runId)).toMatchObject({ outcome: 'cancelled', compensations: [{ id: 'two', outcome: 'done' }, { id: 'one', outcome: 'done' }] });
  expect(await run.undone()).toEqual(['two', 'one', 'two']);
});
