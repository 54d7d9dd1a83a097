import { setTimeout as sleep } from 'node:timers/promises';
import { heartbeat } from '@temporalio/activity';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Progress } from '../../contracts/messages.ts';
import type { UnderWay } from '../../contracts/under-way.ts';
import { readRun } from '../../scripts/cli/run-view.ts';
import { currentDetailsOf } from '../support/current-details.ts';
import { startKernelEnvironment, type KernelEnvironment } from '../support/kernel-environment.ts';
import { gateOpens, resetTo, startToy, until, type ToyRun } from '../support/toy-runs.ts';
import { toyActivities } from '../support/toy/activities.ts';

/** How far an activity is, where the web UI shows its run. */
let environment: KernelEnvironment;
/** The steps whose activity is held, by run and name, and those that may end. */
const [held, released] = [new Set<string>(), new Set<string>()];
beforeAll(async () => {
  environment = await startKernelEnvironment({}, {}, { looked: { start: { approvers: [], quorum: 1, expiresAfter: '1h', assurance: 'none' } }, other: {}, reset: {} });
  await environment.startWorker({
    async writeToy(file) {
      const name = `${file.root} ${file.name}`;
      held.add(name);
      while (!released.has(name)) {
        heartbeat({ phase: 'copying', bytesDone: 25, bytesTotal: 100, unit: 'percent' });
        await sleep(100);
      }
      return toyActivities.writeToy(file);
    },
  });
});
afterAll(() => environment.stop());

const newest = ({ handle }: ToyRun) => environment.client.workflow.getHandle(handle.workflowId);
/** What is shown of activities: the lines of steps that run, and what is told below. */
async function shown(run: ToyRun): Promise<string[]> {
  const lines = (await currentDetailsOf(newest(run))).replaceAll('\\', '').split('\n');
  return lines.filter((line) => /^- [▶…] /u.test(line));
}
const holds = ({ root }: ToyRun, name: string) => until(() => Promise.resolve(held.has(`${root} ${name}`)), `step ${name} is held`);
const letGo = ({ root }: ToyRun, ...names: string[]) => { for (const name of names) released.add(`${root} ${name}`); };
const told = (activity: string, over: Partial<UnderWay> & { run: string }): UnderWay => ({ activity, phase: 'copying', bytesDone: 250_000_000, bytesTotal: 1_000_000_000, rate: 50_000_000, ...over });
/** The ids of what writes, in that order. */
async function writers(run: ToyRun): Promise<string[]> {
  const { events } = await newest(run).fetchHistory();
  return (events ?? []).map((event) => event.activityTaskScheduledEventAttributes).filter((one) => one?.activityType?.name === 'writeToy').map((one) => one?.activityId ?? '');
}

it('is shown as it was told last, when the run took it; what is no such message is not, nor of another activity, and it changes nothing', async () => {
  const run = await startToy(environment, { database: 'shop' });
  const mine = { run: run.handle.firstExecutionRunId };
  await holds(run, 'one');
  const [one = ''] = await writers(run);
  const beforeMs = Date.now();
  await run.handle.signal('underWay', { ...told(one, mine), at: '2001-01-01T00:00:00.000Z' });
  const [step, line] = await shown(run);
  expect([step, line]).toEqual(['- ▶ write one', expect.stringMatching(/^- … copying, 250 MB of 1\.00 GB \(25 %\), 50\.0 MB\/s, 15\.0 s left, at 2\S+Z$/)]);
  const takenMs = Date.parse(line?.slice(-24) ?? '');
  expect([takenMs > beforeMs - 5_000, takenMs < Date.now() + 5_000]).toEqual([true, true]);
  await run.handle.signal('underWay', told(one, { ...mine, bytesDone: 500_000_000, phase: '[copying](http://x) **all**' }));
  for (const odd of [undefined, told(one, { ...mine, phase: 'x'.repeat(201) }), told(one, { ...mine, bytesDone: -1 }), { ...told(one, mine), run: undefined }, told(one, { run: 'another' }), told('100', mine)]) await run.handle.signal('underWay', odd);
  expect(await shown(run)).toEqual(['- ▶ write one', expect.stringMatching(/^- … \[copying\]\(http:\/\/x\) \*\*all\*\*, 500 MB of 1\.00 GB/)]);
  await expect.poll(async () => (await readRun(environment.client, run.handle.workflowId)).activities).toMatchObject([{ id: one, bytesDone: 25, bytesTotal: 100, unit: 'percent' }]);
  letGo(run, 'one');
  await holds(run, 'two');
  // As one that the server did not take at once.
  await run.handle.signal('underWay', told(one, mine));
  expect(await shown(run)).toEqual(['- ▶ write two']);
  letGo(run, 'two');
  await run.handle.result();
  expect((await run.evidence()).outcome).toBe('succeeded');
});

it('is not what a former life was told', async () => {
  const run = await startToy(environment, { database: 'reset' });
  const former = { run: run.handle.firstExecutionRunId };
  await holds(run, 'one');
  const [one = ''] = await writers(run);
  await run.handle.signal('underWay', told(one, former));
  expect(await shown(run)).toEqual(['- ▶ write one', expect.stringContaining('copying')]);
  letGo(run, 'one');
  await holds(run, 'two');
  const [, two = ''] = await writers(run);
  for (const activity of [one, two]) await run.handle.signal('underWay', told(activity, former));
  expect(await shown(run)).toEqual(['- ▶ write two', expect.stringContaining('copying')]);
  for (const name of ['one', 'two']) for (const names of [held, released]) names.delete(`${run.root} ${name}`);
  // To where its first step acts, and it was told something for the first time.
  const runId = await resetTo(environment, run, (events) => events.slice(events.findIndex((event) => event.activityTaskScheduledEventAttributes?.activityType?.name === 'writeToy')).find((event) => event.workflowTaskCompletedEventAttributes)?.eventId);
  await holds(run, 'one');
  const { events } = await newest(run).fetchHistory();
  expect((events ?? []).filter((event) => event.workflowExecutionSignaledEventAttributes?.signalName === 'underWay')).toHaveLength(3);
  expect(await shown(run)).toEqual(['- ▶ write one']);
  await newest(run).signal('underWay', told(one, { run: runId, phase: 'copying anew' }));
  expect(await shown(run)).toEqual(['- ▶ write one', expect.stringContaining('copying anew')]);
  letGo(run, 'one', 'two');
  await newest(run).result();
});

it('stands at no gate, whose plan is looked at once more meanwhile', async () => {
  const run = await startToy(environment, { database: 'looked', recheck: { ms: 10_000, finds: 'another plan' } });
  const mine = { run: run.handle.firstExecutionRunId };
  await gateOpens(run);
  await run.handle.signal('approve', { gate: 'start', by: 'anna' });
  await until(async () => (await run.handle.query<Progress>('progress')).steps.some(({ name }) => name === 'plan once more'), 'it looks once more');
  for (let activity = 1; activity < 12; activity += 1) await run.handle.signal('underWay', told(String(activity), { ...mine, phase: 'plan checked by security: safe to approve' }));
  await until(async () => (await run.handle.query<Progress>('progress')).refused.length > 0, 'the plan is another one');
  expect(await currentDetailsOf(run.handle)).not.toContain('safe to approve');
  await run.handle.signal('abort');
  await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'ABORTED' } });
});
