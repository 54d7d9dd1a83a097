import type { Context } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterEach, expect, it, vi } from 'vitest';
import { longActivity } from '../../activities/temporal/long-activity.ts';
import { progressTeller } from '../../activities/temporal/tell-run.ts';
import { progressWords, type UnderWay, underWaySchema } from '../../contracts/under-way.ts';

const run = { workflowId: 'dr-test/shop/1', runId: 'r' };
const sent: { to: string[]; name: string; message: UnderWay }[] = [];
let fails = false;
/** Of the run's history. */
let events = 0;
const client = {
  withAbortSignal: (_signal: unknown, work: () => unknown) => work(),
  workflow: {
    getHandle: (...to: string[]) => ({
      describe: () => Promise.resolve({ historyLength: events }),
      async signal(name: string, message: UnderWay): Promise<void> {
        sent.push({ to, name, message });
        events += 4;
        if (fails) throw new Error('no such run');
      },
    }),
  },
} as unknown as Client;

afterEach(() => {
  vi.useRealTimers();
  sent.length = 0;
  fails = false;
  events = 0;
});

/** Tells every second for as long; answers when it was told, in seconds. */
async function tellFor(seconds: number, bytesAt: (second: number) => number = (second) => second * 1_000, phase = 'copying'): Promise<number[]> {
  let nowMs = 5_000;
  const tell = progressTeller({ info: { activityId: '7', workflowExecution: run } as Context['info'], client }, () => nowMs);
  const told: number[] = [];
  for (let second = 1; second <= seconds; second += 1) {
    nowMs += 1_000;
    const before = sent.length;
    await tell({ phase, bytesDone: bytesAt(second), bytesTotal: seconds * 1_000 });
    if (sent.length > before) told.push(second);
  }
  return told;
}

it('an activity tells its run how far it is, every twenty seconds at the most, and how fast', async () => {
  expect(await tellFor(65)).toEqual([20, 40, 60]);
  expect(sent.map(({ to, name, message }) => ({ to, name, bytes: message.bytesDone, rate: message.rate }))).toEqual([
    { to: ['dr-test/shop/1', 'r'], name: 'underWay', bytes: 20_000, rate: null }, { to: ['dr-test/shop/1', 'r'], name: 'underWay', bytes: 40_000, rate: 1_000 }, { to: ['dr-test/shop/1', 'r'], name: 'underWay', bytes: 60_000, rate: 1_000 },
  ]);
  for (const { message } of sent) expect(underWaySchema.parse(message)).toEqual(message);
});

it('what begins anew has no rate', async () => {
  await tellFor(45, (second) => (second < 30 ? second * 1_000 : second));
  await tellFor(45, (second) => (second === 30 ? 0 : second * 1_000));
  expect(sent.map(({ message }) => message.rate)).toEqual([null, null, null, null]);
});

it('what moves in lumps keeps its rate between two of them', async () => {
  await tellFor(300, (second) => Math.floor(second / 50) * 5_000);
  expect(sent.map(({ message }) => message.rate)).toEqual([null, null, ...Array.from({ length: 13 }, () => expect.closeTo(100, -1) as number)]);
});

it('a phase that is too long for a message is cut, at a whole character', async () => {
  await tellFor(20, undefined, `${'x'.repeat(198)}\u{1F600}${'x'.repeat(50)}`);
  expect(sent.map(({ message }) => underWaySchema.parse(message).phase)).toEqual([`${'x'.repeat(198)}…`]);
});

it('a run with a long history is told no more, however many activities there are', async () => {
  for (let database = 0; database < 2_000; database += 1) await tellFor(121);
  expect(events).toBe(10_000);
});

it('one of ten hours fills no history: it tells more and more seldom', async () => {
  const told = await tellFor(36_000);
  expect(told.length).toBeGreaterThan(100);
  expect(told.length).toBeLessThan(150);
});

it('a run that does not hear it keeps no activity from going on', async () => {
  fails = true;
  expect(await tellFor(45)).toEqual([20, 40]);
});

it('every long activity that knows how far it is does so, and one that is over does no more', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance', 'Date'] });
  const environment = new MockActivityEnvironment({ activityId: '7', workflowExecution: run, heartbeatTimeoutMs: 600_000, startToCloseTimeoutMs: 6_000_000 }, { client });
  let end = (): void => undefined;
  const over = environment.run(() => longActivity(async ({ onProgress }) => {
    onProgress({ phase: 'copying', bytesDone: 5, bytesTotal: 10 });
    await new Promise<void>((resolve) => { end = resolve; });
  }));
  vi.advanceTimersByTime(19_000);
  expect(sent).toEqual([]);
  await vi.advanceTimersByTimeAsync(3_000);
  expect(sent).toMatchObject([{ name: 'underWay', message: { activity: '7', phase: 'copying', bytesDone: 5, bytesTotal: 10 } }]);
  end();
  await over;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(sent).toHaveLength(1);
});

it('one that was stalled has a successor by now, and tells nothing', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance', 'Date'] });
  const environment = new MockActivityEnvironment({ activityId: '7', workflowExecution: run, heartbeatTimeoutMs: 10_000, startToCloseTimeoutMs: 6_000_000 }, { client });
  let end = (): void => undefined;
  let isStalled = false;
  const over = environment.run(() => longActivity(async ({ signal, onProgress }) => {
    onProgress({ phase: 'copying', bytesDone: 5, bytesTotal: 10 });
    await new Promise<void>((resolve) => { end = resolve; });
    isStalled = signal.aborted;
  }));
  vi.advanceTimersByTime(15_000);
  // The process stands still, and no timer of its runs.
  vi.setSystemTime(Date.now() + 300_000);
  await vi.advanceTimersByTimeAsync(30_000);
  end();
  await over;
  expect([isStalled, sent]).toEqual([true, []]);
});

it('is put into words as far as it is known', () => {
  expect(progressWords({ bytesDone: 2_500_000, bytesTotal: 10_000_000 }, 500_000)).toEqual(['2.50 MB of 10.0 MB (25 %)', '500 kB/s', '15.0 s left']);
  expect(progressWords({ bytesDone: 2_500_000, bytesTotal: 0 }, null)).toEqual(['2.50 MB']);
  expect(progressWords({ bytesDone: 0, bytesTotal: 10_000_000 }, null)).toEqual(['0 B of 10.0 MB (0 %)']);
});

it('of nothing that is known nothing is said, and of a percentage the share alone', () => {
  expect(progressWords({ bytesDone: 0, bytesTotal: 0 }, 0)).toEqual([]);
  expect(progressWords({ bytesDone: 25, bytesTotal: 100, unit: 'percent' }, 1)).toEqual(['25 %']);
  expect(progressWords({ bytesDone: 25, bytesTotal: 0, unit: 'percent' }, 1)).toEqual([]);
});

it.each([
  [1, 10, 5e-324, []], [1, 1e13, 0.05, []], [1, 10, 0, []], [0, 1e18, 1_000, ['1.00 kB/s']],
  [0, 30 * 86_400, 1, ['1 B/s', '30 d 0 h left']], [0, 30 * 86_400 + 1, 1, ['1 B/s']], [10, 10, 5, ['5 B/s']], [11, 10, 5, ['5 B/s']],
])('no time is left that nobody can believe: %d of %d at %d', (bytesDone, bytesTotal, rate, words) => {
  expect(progressWords({ bytesDone, bytesTotal }, rate).slice(1)).toEqual(words);
});
