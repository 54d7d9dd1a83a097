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
const client = {
  withAbortSignal: (_signal: unknown, work: () => unknown) => work(),
  workflow: {
    getHandle: (...to: string[]) => ({
      async signal(name: string, message: UnderWay): Promise<void> {
        sent.push({ to, name, message });
        if (fails) throw new Error('no such run');
      },
    }),
  },
} as unknown as Client;

afterEach(() => {
  vi.useRealTimers();
  sent.length = 0;
  fails = false;
});

/** Tells every second for as long; answers when it was told, in seconds. */
async function tellFor(seconds: number, bytesAt: (second: number) => number = (second) => second * 1_000): Promise<number[]> {
  let nowMs = 5_000;
  const tell = progressTeller({ info: { activityId: '7', workflowExecution: run } as Context['info'], client }, () => nowMs);
  const told: number[] = [];
  for (let second = 1; second <= seconds; second += 1) {
    nowMs += 1_000;
    const before = sent.length;
    await tell({ phase: 'copying', bytesDone: bytesAt(second), bytesTotal: seconds * 1_000 });
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
  expect(sent.at(-1)?.message.rate).toBeNull();
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
  vi.advanceTimersByTime(3_000);
  expect(sent).toMatchObject([{ name: 'underWay', message: { activity: '7', phase: 'copying', bytesDone: 5, bytesTotal: 10 } }]);
  end();
  await over;
  vi.advanceTimersByTime(60_000);
  expect(sent).toHaveLength(1);
});

it('is put into words as far as it is known', () => {
  expect(progressWords({ bytesDone: 2_500_000, bytesTotal: 10_000_000 }, 500_000)).toEqual(['2.50 MB of 10.0 MB (25 %)', '500 kB/s', '15.0 s left']);
  expect(progressWords({ bytesDone: 2_500_000, bytesTotal: 0 }, null)).toEqual(['2.50 MB']);
});
