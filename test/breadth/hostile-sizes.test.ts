import { randomUUID } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { defineSearchAttributeKey } from '@temporalio/common';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { listedById } from '../../activities/kernel/listed.ts';
import { lockId } from '../../contracts/guardian.ts';
import { INTERNAL, SIGNALS, type Progress } from '../../contracts/messages.ts';
import { startKernelEnvironment, withoutEvidenceDirectory, type KernelEnvironment } from '../support/kernel-environment.ts';
import { acting, reset, startToy, until, type ToyRun } from '../support/toy-runs.ts';

/** What anybody who can reach the server can send, as much as the server takes of it: it stops nobody. */
let environment: KernelEnvironment;
beforeAll(async () => {
  environment = await startKernelEnvironment({}, {}, { flooded: {}, steered: {}, named: {} }, { each: { failedSteps: { wait: '60s' } } });
  await environment.startWorker();
});
afterAll(() => environment.stop());

/** How often its guardian signalled the run. */
async function answersTo({ handle }: ToyRun): Promise<{ owned: number; settled: number }> {
  const { events } = await handle.fetchHistory();
  const count = (signal: string) => (events ?? []).filter((event) => event.workflowExecutionSignaledEventAttributes?.signalName === signal).length;
  return { owned: count(INTERNAL.owned), settled: count(INTERNAL.settled) };
}

it('requests that are more than a lock can carry on are dropped, and who means it is heard', async () => {
  const first = await startToy(environment, { database: 'flooded', stallMs: 2_000 });
  await acting(first);
  const lock = environment.client.workflow.getHandle(lockId('flooded'));
  const flood = (index: number) => ({ guardianId: `${'\u0001'.repeat(990)}${index}`, owner: { workflowId: '\u0001'.repeat(990), firstExecutionRunId: 'x' }, runbook: 'toy', sharesTargetWith: [], requestedAtMs: 0, priority: 'normal' });
  await Promise.all(Array.from({ length: 150 }, (_, index) => lock.signal(INTERNAL.request, flood(index))));
  const { waiting } = await lock.query<{ waiting: object[] }>(INTERNAL.holders);
  expect([JSON.stringify(waiting).length < 600_000, waiting.length > 20]).toEqual([true, true]);
  // None of them lives: each look removes them, and nobody waits for ever behind them.
  const second = await startToy(environment, { database: 'flooded' });
  for (const run of [first, second]) {
    await run.handle.result();
    await run.guardian.result();
  }
  expect((await lock.query<{ holders: object[] }>(INTERNAL.holders)).holders).toEqual([]);
});

it('an input for a step that is too large, or wrong in thousands of ways, is refused in one sentence, and the run hears what comes after it', async () => {
  const run = await startToy(environment, { database: 'steered', failAt: 'one' });
  await until(async () => (await run.handle.query<Progress>('progress')).waitingStep !== null, 'it waits');
  const retry = (input: unknown) => run.handle.executeUpdate('retryStep', { args: [{ step: 'write one', by: 'mallory', reason: 'x', input }] });
  const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, 1]));
  await expect(retry(many(120_000))).rejects.toMatchObject({ cause: { message: 'step "write one" does not take this input: it has more than 100000 characters' } });
  await expect(retry(many(5_000))).rejects.toMatchObject({ cause: { message: expect.stringMatching(/^step "write one" does not take this input: .*there is no "k0".{0,2000}$/) as string } });
  await run.handle.signal(SIGNALS.abort);
  await expect(run.handle.result()).rejects.toThrow('Workflow execution failed');
  expect(await run.evidence()).toMatchObject({ outcome: 'aborted' });
});

it('a message between workflows that is as large as the server takes, or has more parts than any of ours, stops neither run nor guardian nor lock', async () => {
  const run = await startToy(environment, { database: 'steered', stallMs: 1_500 });
  await acting(run);
  const owner = { workflowId: 'a', firstExecutionRunId: 'b' };
  for (const count of [600_000, 150_000]) {
    const huge = Array.from({ length: count }, () => ({}));
    await run.handle.signal(INTERNAL.settled, { owner, compensations: huge });
    await run.guardian.signal(INTERNAL.finish, { outcome: 'x', undoAnyway: huge });
    await environment.client.workflow.getHandle(lockId('steered')).signal(INTERNAL.request, { sharesTargetWith: huge, guardianId: 1 });
  }
  await run.handle.result();
  await run.guardian.result();
  expect(await run.evidence()).toMatchObject({ outcome: 'succeeded', teardown: { provenAbsent: true } });
});

it('made-up messages beside those of the run keep neither it nor its guardian from the answer that it waits for', async () => {
  const holder = await startToy(environment, { database: 'named', stallMs: 2_500 });
  await acting(holder);
  const waiting = await startToy(environment, { database: 'named' });
  await until(async () => (await waiting.guardian.query('phase').catch(() => '')) === 'waiting for the lock', 'it waits for the target');
  for (const message of [{ place: null }, { place: null, asking: 'made up' }]) await waiting.guardian.signal(INTERNAL.take, message);
  await holder.handle.result();
  await waiting.handle.result();
  for (const run of [holder, waiting]) {
    await run.guardian.result();
    expect(await run.evidence()).toMatchObject({ outcome: 'succeeded', teardown: { provenAbsent: true } });
  }
  const settling = await startToy(environment, { database: 'named', stallMs: 500 });
  await writeFile(path.join(settling.root, 'slow'), '');
  await until(async () => (await settling.handle.query<Progress>('progress').catch(() => undefined))?.phase === 'tearing down', 'its guardian settles');
  await settling.guardian.signal(INTERNAL.finish, { outcome: 'failed' });
  await rm(path.join(settling.root, 'slow'));
  await settling.handle.result();
  await settling.guardian.result();
  expect(await settling.evidence()).toMatchObject({ outcome: 'succeeded' });
  // Nobody but who says what he asks can hear an answer: to others there is none, which would fill the history of a run.
  expect(await answersTo(waiting)).toEqual({ owned: 2, settled: 1 });
});

it('nor is a finish answered that does not say what it asks', async () => {
  const run = await withoutEvidenceDirectory(environment, async () => {
    const begun = await startToy(environment, { database: 'named' });
    await until(async () => (await begun.handle.query<Progress>('progress').catch(() => undefined))?.phase === 'evidence', 'it is settled, and waits for its disk');
    for (let count = 0; count < 5; count += 1) await begun.guardian.signal(INTERNAL.finish, { outcome: 'failed' });
    await begun.guardian.signal(INTERNAL.finish, { outcome: 'failed', asking: 'made up' });
    await until(async () => (await answersTo(begun)).settled === 2, 'the last of them is answered');
    return begun;
  });
  await run.handle.result();
  await run.guardian.result();
  expect(await answersTo(run)).toEqual({ owned: 1, settled: 2 });
});

it('one made-up take beside a healthy run does not put off its end', async () => {
  const secondsFor = async (beside: (run: ToyRun) => Promise<void>): Promise<number> => {
    const run = await startToy(environment, { database: 'named', stallMs: 1_500 });
    await acting(run);
    const begun = Date.now();
    await sleep(1_000);
    await beside(run);
    await run.handle.result();
    const seconds = (Date.now() - begun) / 1_000;
    await run.guardian.result();
    return seconds;
  };
  const alone = await secondsFor(() => Promise.resolve());
  const beside = await secondsFor((run) => run.guardian.signal(INTERNAL.take, { place: null, asking: 'made up', runId: randomUUID() }));
  // Two steps of 1.5 s, and no wait of 5 s for what the first may still do.
  expect(beside - alone).toBeLessThan(2.5);
});

it('a run that is reset has its target as soon beside hundreds of made-up takes as beside none', async () => {
  const run = await startToy(environment, { database: 'named', stallMs: 120_000 });
  await acting(run);
  const takes = Array.from({ length: 450 }, (_, index) => ({ place: null, asking: `made up ${index}`, runId: randomUUID() }));
  await Promise.all(takes.map((take) => run.guardian.signal(INTERNAL.take, take)));
  await reset(environment, run, 'first');
  const newest = environment.client.workflow.getHandle(run.handle.workflowId);
  const begun = Date.now();
  await until(async () => ((await newest.fetchHistory()).events ?? []).some((event) => event.activityTaskScheduledEventAttributes?.activityType?.name === 'writeToy'), 'it acts again');
  // One wait for those before it, and one for it: 5 s each, and not one for each of the hundreds.
  expect(Date.now() - begun).toBeLessThan(45_000);
  await newest.terminate();
  await run.guardian.result();
});

const LONG_ID = '\u0001'.repeat(990);
const asks = (guardianId: string) => [INTERNAL.request, { guardianId, owner: { workflowId: LONG_ID, firstExecutionRunId: 'x' }, runbook: 'toy', sharesTargetWith: [], requestedAtMs: 0, priority: 'normal' }] as const;
it.each([
  ['who ask than a lock has room for', Array.from({ length: 220 }, (_, index) => asks(`${LONG_ID}${index}`))],
  ['releases of one who asked once than a payload can carry', [asks(LONG_ID), ...Array.from({ length: 400 }, () => [INTERNAL.release, { guardianId: LONG_ID }] as const)]],
])('a former lock with more %s does not keep its target from the next', async (_, messages) => {
  const id = lockId('flooded');
  await environment.client.workflow.getHandle(id).terminate().catch(() => undefined);
  const lock = await environment.client.workflow.start('lock', { workflowId: id, taskQueue: 'nobody' });
  for (let next = 0; next < messages.length; next += 100) await Promise.all(messages.slice(next, next + 100).map(([name, message]) => lock.signal(name, message)));
  await lock.terminate();
  const run = await startToy(environment, { database: 'flooded' });
  await run.handle.result();
  await run.guardian.result();
  expect(await run.evidence()).toMatchObject({ outcome: 'succeeded' });
});

it.each([
  ['lock', [{ nextFence: 1, holders: [], waiting: [], adopting: { startedAtMs: 0, released: Array.from({ length: 900_000 }, () => 1) } }]],
  ['toy', [Object.fromEntries(Array.from({ length: 140_000 }, (_, index) => [`k${index}`, 1]))]],
  ['guardian', [{ alarm: Array.from({ length: 900_000 }, () => 1) }]],
  ['notification', [{ notice: { gate: { approvers: Array.from({ length: 900_000 }, () => 1) } } }]],
  ['toy', [{ database: 'x'.repeat(2_000_000), root: '/tmp' }]],
])('a %s that is started by hand with as much as the server takes fails at once, and its id is free again', async (type, args) => {
  const handle = await environment.client.workflow.start(type, { workflowId: `${type}/${randomUUID()}`, taskQueue: 'runbooks', args, workflowRunTimeout: '30s' });
  await expect(handle.result()).rejects.toMatchObject({ cause: { type: 'INVALID_INPUT', message: expect.stringContaining('is not valid: it has more than ') as string } });
});

it('workflows are found in lists by whatever id they have, and by none that is only like it', async () => {
  const ids = ['a\\', String.raw`q\'x`, `it's`, 'a\\b', String.raw`a\\b`, 'tab\there'];
  for (const id of ids) {
    const handle = await environment.client.workflow.start('lock', { workflowId: id, taskQueue: 'nobody', staticSummary: 'test' });
    await handle.terminate();
  }
  const found = async (id: string) => {
    const names: string[] = [];
    for await (const { workflowId } of listedById(environment.client, id)) names.push(workflowId);
    return names;
  };
  for (const id of ids) await until(async () => (await found(id)).join() === id, `${id} is listed`);
  expect([await found('nul\0'), await found('a'), await found('\\a')]).toEqual([[], [], []]);
});

it('a run whose starter gave it a name for a target that is none has evidence when it is ended before it began', async () => {
  const run = await startToy(environment, { database: 'named' }, environment.client, { startDelay: '1h', typedSearchAttributes: [{ key: defineSearchAttributeKey('RunbookTarget', 'KEYWORD'), value: 'x'.repeat(300) }] });
  await run.handle.terminate('before it began');
  await until(async () => (await environment.evidence()).some(({ workflowId }) => workflowId === run.handle.workflowId), 'it has evidence');
  expect(await run.evidence()).toMatchObject({ outcome: 'terminated', target: null });
});
