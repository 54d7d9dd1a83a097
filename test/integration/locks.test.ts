import { setTimeout as sleep } from 'node:timers/promises';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { KernelActivities } from '../../activities/kernel/kernel-activities.ts';
import { lockId } from '../../contracts/guardian.ts';
import type { Progress } from '../../contracts/messages.ts';
import { mulberry32 } from '../../scripts/demo/writers/pool.ts';
import { startKernelEnvironment, type KernelEnvironment } from '../support/kernel-environment.ts';
import { startToy, until, type ToyRun } from '../support/toy-runs.ts';
import { toyActivities } from '../support/toy/activities.ts';

const TARGETS = ['shop', 'crm', 'wiki'];
let environment: KernelEnvironment;
/** What happened to places, in this order: opened and closed for good, by the directory of the run. */
let places: { what: 'opened' | 'closed'; root: string }[];

/** Every worker of this file writes down when places are opened and closed. */
const noting = {
  async openToyPlace(call: Parameters<typeof toyActivities.openToyPlace>[0]) {
    await toyActivities.openToyPlace(call);
    places.push({ what: 'opened', root: call.root });
  },
  async closeToyPlace(call: Parameters<typeof toyActivities.closeToyPlace>[0]) {
    const closed = await toyActivities.closeToyPlace(call);
    places.push({ what: 'closed', root: call.root });
    return closed;
  },
} as unknown as Partial<KernelActivities>;

const phaseOf = async ({ handle }: ToyRun) => (await handle.query<Progress>('progress')).phase;
const startOn = (database: string, stallMs: number) => startToy(environment, { database, stallMs, whenCancelled: 'end' });

beforeAll(async () => {
  places = [];
  // A server suggests to continue as new after 4,096 events otherwise: so few grants come to that here, and often.
  environment = await startKernelEnvironment({}, {}, { crm: {}, wiki: {} }, {}, { dynamicConfig: { 'limit.historyCount.suggestContinueAsNew': 400 } });
});
afterAll(() => environment.stop());

describe('20 runs on 3 targets, killed at random', () => {
  it('are never two on one target, in the order in which they asked, and none is forgotten', async () => {
    const seed = Number(process.env['LOCKS_SEED'] ?? Date.now() % 1_000_000);
    console.log(`seed ${seed} (LOCKS_SEED repeats it)`);
    const random = mulberry32(seed);
    let worker = await environment.startWorker(noting);
    onTestFinished(() => worker.stop());
    const runs: { run: ToyRun; target: string }[] = [];
    for (let index = 0; index < 20; index += 1) {
      const target = TARGETS[index % TARGETS.length]!;
      const run = await startOn(target, 150 + Math.floor(random() * 400));
      // Each has asked before the next begins: so it is known who came first.
      await until(async () => {
        const phase = await phaseOf(run).catch(() => '');
        return /^(waiting for the lock|write|tearing|evidence|succeeded)/.test(phase);
      }, `run ${index} has asked for its target`);
      await sleep(100);
      runs.push({ run, target });
    }
    const left = runs.map(({ run }) => run);
    for (let kills = 0; kills < 8; kills += 1) {
      const [victim] = left.splice(Math.floor(random() * left.length), 1);
      const how = Math.floor(random() * 4);
      await sleep(random() * 400);
      if (how === 0) await victim!.handle.terminate('killed by the test').catch(() => undefined);
      else if (how === 1) await victim!.handle.cancel().catch(() => undefined);
      else if (how === 2) {
        await worker.stop();
        worker = await environment.startWorker(noting);
      } else await environment.client.workflow.getHandle(lockId(TARGETS[Math.floor(random() * 3)]!)).terminate('killed by the test').catch(() => undefined);
    }
    await Promise.all(runs.map(({ run }) => run.guardian.result()));
    const evidence = await environment.evidence();
    for (const { run } of runs) expect(evidence.filter(({ workflowId }) => workflowId === run.handle.workflowId), run.handle.workflowId).toHaveLength(1);
    for (const target of TARGETS) {
      const roots = runs.filter((one) => one.target === target).map(({ run }) => run.root);
      const here = places.filter(({ root }) => roots.includes(root));
      const open = new Set<string>();
      for (const { what, root } of here) {
        if (what === 'opened') open.add(root);
        else open.delete(root);
        expect([...open], `${target}: ${JSON.stringify(here.map((place) => [place.what, roots.indexOf(place.root)]))}`).toHaveLength(what === 'opened' ? 1 : 0);
      }
      // An activity can be tried again; who is opened for the first time keeps the order.
      const order = [...new Set(here.filter(({ what }) => what === 'opened').map(({ root }) => roots.indexOf(root)))];
      expect(order).toEqual(order.toSorted((a, b) => a - b));
    }
  });
});

/** Enough for several continue-as-new. The 5,000 take minutes: LOCK_GRANTS=5000 npm test -- --project integration locks */
const GRANTS = Number(process.env['LOCK_GRANTS'] ?? 300);

it(`${GRANTS} grants through one lock: each once, in order, through every continue-as-new`, async () => {
  const worker = await environment.startWorker();
  const { client } = environment;
  const id = lockId(`busy-${randomUUID()}`);
  await client.workflow.start('lock', { workflowId: id, taskQueue: 'runbooks' });
  const contenders = await Promise.all(Array.from({ length: 10 }, (_, index) => client.workflow.start('contender', { workflowId: `contender/${index}/${randomUUID()}`, taskQueue: 'runbooks', args: [{ lockId: id, turns: GRANTS / 10 }] })));
  const fences = (await Promise.all(contenders.map((handle) => handle.result() as Promise<number[]>)));
  for (const own of fences) expect(own).toEqual(own.toSorted((a, b) => a - b));
  const all = fences.flat().sort((a, b) => a - b);
  expect([all.length, new Set(all).size, all.at(-1)! - all[0]!]).toEqual([GRANTS, GRANTS, GRANTS - 1]);
  const runs = new Set<string>();
  for await (const { runId } of client.workflow.list({ query: `WorkflowId = '${id}'` })) runs.add(runId);
  expect(runs.size, 'executions of the lock').toBeGreaterThan(3);
  await until(async () => ((await client.workflow.getHandle(id).query<{ holders: unknown[] }>('holders')).holders.length) === 0, 'nobody holds it');
  await worker.stop();
});

it('a runbook that declares the priority of recovery takes its target before those that have waited for it', async () => {
  const worker = await environment.startWorker(noting);
  onTestFinished(() => worker.stop());
  const waits = (run: ToyRun) => until(async () => (await phaseOf(run)) === 'waiting for the lock', 'it waits for its target');
  const holder = await startOn('wiki', 3_000);
  await until(async () => (await phaseOf(holder)).startsWith('write'), 'the first has its target');
  const patient = await startOn('wiki', 10);
  await waits(patient);
  const urgent = await startToy(environment, { database: 'wiki', stallMs: 10 }, environment.client, { type: 'urgent-toy' });
  await waits(urgent);
  await Promise.all([holder, patient, urgent].map(({ guardian }) => guardian.result()));
  const ours = [holder, urgent, patient].map(({ root }) => root);
  expect(places.filter(({ what, root }) => what === 'opened' && ours.includes(root)).map(({ root }) => root)).toEqual(ours);
});

it.each(['nobody', 'somebody'])('a lock for which %s waits goes on to a new execution by all that it is told, also where that changes nothing: the server takes only so many signals', async (who) => {
  const worker = await environment.startWorker();
  onTestFinished(() => worker.stop());
  const { client } = environment;
  const id = lockId(`told-${randomUUID()}`);
  // Lives, and does nothing: one of them holds the target.
  const dummies = await Promise.all([1, 2].map((number) => client.workflow.start('lock', { workflowId: `dummy/${number}/${randomUUID()}`, taskQueue: 'runbooks' })));
  const requests = dummies.slice(0, who === 'nobody' ? 1 : 2).map(({ workflowId }) => ({ guardianId: workflowId, owner: { workflowId, firstExecutionRunId: workflowId }, runbook: 'toy', sharesTargetWith: [], requestedAtMs: 0, priority: 'normal' }));
  const lock = await client.workflow.start('lock', { workflowId: id, taskQueue: 'runbooks' });
  const handle = client.workflow.getHandle(id);
  for (const request of requests) await handle.signal('request', request);
  const holders = async () => (await handle.query<{ holders: { guardianId: string }[] }>('holders')).holders.map(({ guardianId }) => guardianId);
  await until(async () => (await holders()).length === 1, 'one has the target');
  for (let sent = 0; sent < 500; sent += 50) await Promise.all(Array.from({ length: 50 }, () => handle.signal('release', { guardianId: 'nobody of these' })));
  await until(async () => (await handle.describe()).runId !== lock.firstExecutionRunId, 'the lock goes on to a new execution');
  expect(await holders()).toEqual([requests[0]?.guardianId]);
  for (const dummy of [...dummies, handle]) await dummy.terminate('the test is over');
});
