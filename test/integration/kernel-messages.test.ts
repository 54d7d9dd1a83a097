import { randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { RawValue } from '@temporalio/common';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { drillPlace } from '../../activities/archive-provider/drill-place.ts';
import { backupPlace } from '../../activities/backup/backup-place.ts';
import { lockId } from '../../contracts/guardian.ts';
import type { Owner } from '../../contracts/ledger.ts';
import { INTERNAL, SIGNALS, type Progress } from '../../contracts/messages.ts';
import type { RunRecord } from '../../contracts/record.ts';
import { startKernelEnvironment, type KernelEnvironment } from '../support/kernel-environment.ts';
import { acting, startToy, until } from '../support/toy-runs.ts';

/** What anybody who can reach the server can send: it changes nothing, and stops nobody. */
let environment: KernelEnvironment;
beforeAll(async () => {
  environment = await startKernelEnvironment();
  await environment.startWorker();
});
afterAll(() => environment.stop());

const start = (input: Record<string, unknown> = {}) => startToy(environment, input);

const holders = () => environment.client.workflow.getHandle(lockId('shop')).query<{ holders: { guardianId: string }[]; waiting: unknown[] }>('holders');

it('an internal signal with an empty form, to the run, its guardian or the lock, changes nothing', async () => {
  const run = await start({ stallMs: 1_500 });
  await acting(run);
  for (const signal of [INTERNAL.owned, INTERNAL.settled, INTERNAL.overdue]) await run.handle.signal(signal);
  for (const signal of [INTERNAL.granted, INTERNAL.finish, INTERNAL.take]) await run.guardian.signal(signal);
  const lock = environment.client.workflow.getHandle(lockId('shop'));
  for (const signal of [INTERNAL.request, INTERNAL.release]) await lock.signal(signal);
  for (const signal of [INTERNAL.request, INTERNAL.release]) await lock.signal(signal, { guardianId: 7 });
  await run.handle.result();
  await run.guardian.result();
  expect(await run.evidence()).toMatchObject({ outcome: 'succeeded', teardown: { provenAbsent: true } });
  expect(await holders()).toMatchObject({ holders: [], waiting: [] });
});

/** Arguments that the SDK cannot decode, or decodes to bytes: the web UI's forms and Temporal's CLI send the first. */
const UNREADABLE = [['json/protobuf', '{}'], ['no such encoding', ''], ['json/plain', 'not JSON'], ['binary/plain', 'bytes'], ['', ''], ['json/plain', `${'['.repeat(201)}${']'.repeat(201)}`]] as const;
const payloadOf = ([encoding, data]: (typeof UNREADABLE)[number]) => RawValue.fromPayload({ metadata: encoding === '' ? {} : { encoding: Buffer.from(encoding) }, data: Buffer.from(data) });

it.each([
  [UNREADABLE[0], 'its encoding is "json/protobuf"'], [UNREADABLE[2], 'it is no JSON'], [UNREADABLE[3], 'its encoding is "binary/plain"'], [UNREADABLE[4], 'it names no encoding'], [UNREADABLE[5], 'it is nested more than 200 levels deep'],
] as const)('a run that is started with an argument that cannot be decoded (%j) fails at once', async (argument, reason) => {
  const handle = await environment.client.workflow.start('toy', { workflowId: `toy/${randomUUID()}`, taskQueue: 'runbooks', args: [payloadOf(argument)], workflowRunTimeout: '10s' });
  await expect(handle.result()).rejects.toMatchObject({ cause: { type: 'INVALID_INPUT', message: `the input of toy cannot be read: ${reason}; give one JSON object, with the encoding json/plain` } });
});

it.each([
  ['lock', lockId('other'), [{ nextFence: 'x' }], 'nextFence: must be a number; holders: must be a list; waiting: must be a list'],
  ['lock', lockId('other'), [payloadOf(UNREADABLE[0])], 'cannot be read'],
  ['guardian', 'guardian/x', [], 'owner: must be a JSON object'],
  ['guardian', 'guardian/x', [null], 'owner: must be a JSON object'],
])('a %s that is started by hand with what is no input of one fails at once, and its id %s is free again', async (type, workflowId, args, problem) => {
  const handle = await environment.client.workflow.start(type, { workflowId, taskQueue: 'runbooks', args, workflowRunTimeout: '10s' });
  await expect(handle.result()).rejects.toMatchObject({ cause: { type: 'INVALID_INPUT', message: expect.stringContaining(problem) as string } });
});

it('a message that cannot be decoded stops nobody: the run says so, its guardian and the lock drop it', async () => {
  const run = await start({ stallMs: 1_500 });
  await acting(run);
  const lock = environment.client.workflow.getHandle(lockId('shop'));
  for (const argument of UNREADABLE.map(payloadOf)) {
    for (const signal of [SIGNALS.approve, INTERNAL.owned, INTERNAL.settled, INTERNAL.overdue]) await run.handle.signal(signal, argument);
    for (const signal of [INTERNAL.granted, INTERNAL.finish, INTERNAL.take]) await run.guardian.signal(signal, argument);
    for (const signal of [INTERNAL.request, INTERNAL.release]) await lock.signal(signal, argument);
  }
  await expect(run.handle.executeUpdate('pause', { args: [payloadOf(UNREADABLE[0])] })).rejects.toMatchObject({ cause: { type: 'INVALID_INPUT' } });
  expect((await run.handle.query<RunRecord>('record')).refused).toEqual(UNREADABLE.map(() => expect.stringContaining('its argument is not { gate?, by?, comment?, planHash?, signature? }') as string));
  await run.handle.result();
  await run.guardian.result();
  expect(await run.evidence()).toMatchObject({ outcome: 'succeeded', teardown: { provenAbsent: true } });
  expect(await holders()).toMatchObject({ holders: [], waiting: [] });
});

it('a signal whose name Temporal keeps for itself, or that nobody knows, stops no lock: neither before it begins nor while it lives', async () => {
  const id = lockId('named');
  const ask = async (guardianId: string) => environment.client.workflow.signalWithStart('lock', { workflowId: id, taskQueue: 'runbooks', signal: INTERNAL.request, signalArgs: [{ guardianId, owner: { workflowId: guardianId, firstExecutionRunId: guardianId }, runbook: 'toy', sharesTargetWith: ['toy'], requestedAtMs: 0, priority: 'normal' }] });
  const named = () => environment.client.workflow.getHandle(id);
  const dummy = async () => (await environment.client.workflow.start('lock', { workflowId: `dummy/${randomUUID()}`, taskQueue: 'runbooks' })).workflowId;
  const [first, second] = [await dummy(), await dummy()];
  await environment.client.workflow.start('lock', { workflowId: id, taskQueue: 'runbooks', startDelay: '1s' });
  for (const name of ['__temporal_x', 'no such signal', '__temporal_y']) await named().signal(name);
  await ask(first);
  const holds = (count: number) => until(async () => (await named().query<{ holders: unknown[] }>('holders').catch(() => undefined))?.holders.length === count, `${count} hold it`);
  await holds(1);
  for (const name of ['__temporal_x', 'no such signal']) await named().signal(name);
  await ask(second);
  await holds(2);
  const { waiting } = await named().query<{ waiting: unknown[] }>('holders');
  expect(waiting).toEqual([]);
});

it('a message of the right form that asks for what no server takes, or names no instant there is, stops nobody', async () => {
  const first = await start({ stallMs: 1_500 });
  await acting(first);
  const owner = { workflowId: first.handle.workflowId, firstExecutionRunId: first.handle.firstExecutionRunId };
  const dummy = (await environment.client.workflow.start('lock', { workflowId: `dummy/${randomUUID()}`, taskQueue: 'runbooks' })).workflowId;
  const request = { guardianId: dummy, owner, runbook: 'toy', sharesTargetWith: [], requestedAtMs: 0, priority: 'normal' };
  for (const bad of [{ guardianId: 'x'.repeat(1_001), sharesTargetWith: ['toy'] }, { requestedAtMs: 1e300 }]) await environment.client.workflow.getHandle(lockId('shop')).signal(INTERNAL.request, { ...request, ...bad });
  const second = await start({ looksFirst: true });
  await until(async () => (await second.guardian.query('phase').catch(() => '')) === 'waiting for the run to take its target', 'its guardian waits for it');
  const place = { title: 'x'.repeat(5_000), input: {}, taskQueue: 'runbooks', open: 'openToyPlace', close: 'closeToyPlace', prove: 'proveToyAbsent' };
  for (const bad of [{ open: '' }, { taskQueue: '/_sys/x' }, { taskQueue: 'x'.repeat(1_001) }]) await second.guardian.signal(INTERNAL.take, { place: { ...place, ...bad } });
  for (const run of [first, second]) {
    await run.handle.result();
    await run.guardian.result();
    expect(await run.evidence()).toMatchObject({ outcome: 'succeeded', teardown: { provenAbsent: true } });
  }
  expect(await holders()).toMatchObject({ holders: [], waiting: [] });
});

it('a run with the longest id that the server takes has a guardian, too', async () => {
  const run = await startToy(environment, {}, environment.client, { workflowId: 'ü'.repeat(500), workflowRunTimeout: '20s' });
  await run.handle.result();
  await run.guardian.result();
  expect(await run.evidence()).toMatchObject({ outcome: 'succeeded', teardown: { provenAbsent: true } });
});

it('a settlement that the guardian of another owner reports, or that answers nothing the run has asked, is no proof for it', async () => {
  const run = await start({ stallMs: 1_500 });
  await acting(run);
  const own = { workflowId: run.handle.workflowId, firstExecutionRunId: run.handle.firstExecutionRunId };
  const foreign = { ...own, firstExecutionRunId: randomUUID() };
  const claim = { compensations: [], teardown: { outcome: 'done', provenAbsent: true, leaseExpiresAt: null, destroyed: ['not ours'], proofs: [] } };
  for (const message of [{ owner: foreign }, {}, { owner: own }, { owner: own, asking: randomUUID() }]) await run.handle.signal(INTERNAL.settled, { ...claim, ...message });
  await run.handle.result();
  await run.guardian.result();
  expect((await run.evidence()).teardown).toMatchObject({ outcome: 'done', provenAbsent: true, destroyed: ['one', 'two'] });
});

it('a fence that answers nothing the run has asked is none', async () => {
  const run = await start({ looksFirst: true });
  const owner = { workflowId: run.handle.workflowId, firstExecutionRunId: run.handle.firstExecutionRunId };
  for (const asking of [{}, { asking: randomUUID() }]) await run.handle.signal(INTERNAL.owned, { owner, fence: 4_711, leaseExpiresAtMs: Date.now(), ...asking });
  expect((await run.handle.result() as { fence: number }).fence).toBeLessThan(4_711);
});

it('a release that somebody makes up lets a second run begin while the first still acts: each has a place of its own, and removes no other', async () => {
  const first = await start({ stallMs: 500 });
  await acting(first);
  await first.handle.signal(SIGNALS.pause);
  await until(async () => (await first.handle.query<Progress>('progress')).phase.startsWith('paused'), 'it has written one of two');
  await environment.client.workflow.getHandle(lockId('shop')).signal(INTERNAL.release, { guardianId: first.guardian.workflowId });
  const second = await start({ root: first.root });
  const { fence } = await second.handle.result() as { fence: number };
  await second.guardian.result();
  expect([(await first.handle.describe()).status.name, await readdir(first.root)]).toEqual(['RUNNING', [`box-${fence - 1}`, 'journal']]);
  await first.handle.signal(SIGNALS.resume);
  expect(await first.handle.result()).toMatchObject({ fence: fence - 1 });
  await first.guardian.result();
  for (const run of [first, second]) expect(await run.evidence()).toMatchObject({ outcome: 'succeeded', teardown: { outcome: 'done', provenAbsent: true, destroyed: ['one', 'two'] } });
  expect(await holders()).toMatchObject({ holders: [], waiting: [] });
});

it('nor do two runs meet in one place whose guardians were told the same fence', () => {
  const [one, other] = ['dr-test/shop/1', 'dr-test/shop/2'].map((workflowId) => ({ owner: { workflowId, firstExecutionRunId: randomUUID() }, fence: 7 })) as [{ owner: Owner; fence: number }, { owner: Owner; fence: number }];
  for (const placeOf of [(ref: typeof one) => drillPlace('/drills', ref).directory, (ref: typeof one) => drillPlace('/drills', ref).name, (ref: typeof one) => backupPlace('/incoming', ref)]) expect(placeOf(one)).not.toBe(placeOf(other));
});
