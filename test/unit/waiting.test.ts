import { describe, expect, it } from 'vitest';
import { awaitReady, type AwaitReady, type EventSource } from '../../activities/waiting/await-ready.ts';
import { lookSchedule } from '../../activities/waiting/look-schedule.ts';

const [SECOND, MINUTE] = [1_000, 60_000];

/** The instants of the first looks, in seconds. */
function looksOf(options: Parameters<typeof lookSchedule>[0], count: number): number[] {
  const { nextLookInMs } = lookSchedule(options);
  const looks: number[] = [];
  for (let at = 0; looks.length < count;) looks.push((at += nextLookInMs(at)) / SECOND);
  return looks;
}

describe('when to look', () => {
  it('where nothing is known: after two minutes, then every 30 seconds, and less often in a wait of hours', () => {
    expect(looksOf({ earlierMs: [] }, 4)).toEqual([120, 150, 180, 210]);
    expect(lookSchedule({ earlierMs: [] }).nextLookInMs(60 * MINUTE)).toBe(90 * SECOND);
  });

  it('where earlier ones are known: seldom at first, then ever more often around and after what they took', () => {
    const earlierMs = [14, 15, 16].map((minutes) => minutes * MINUTE);
    const { nextLookInMs } = lookSchedule({ earlierMs });
    const [early, near, late] = [6, 15, 20].map((minutes) => nextLookInMs(minutes * MINUTE)) as [number, number, number];
    expect(early).toBeGreaterThan(3 * near);
    expect(late).toBeLessThanOrEqual(near);
    expect(near).toBeLessThan(20 * SECOND);
  });

  it('over a wait as long as they took, no more often than somebody who looks every 30 seconds', () => {
    for (const minutes of [2, 15, 240]) expect(looksOf({ earlierMs: [minutes * MINUTE] }, 1_000).filter((at) => at * SECOND <= minutes * MINUTE).length).toBeLessThanOrEqual(minutes * 2);
  });

  it('far beyond all that is known, as where nothing is', () => {
    expect(lookSchedule({ earlierMs: [MINUTE] }).nextLookInMs(10 * MINUTE)).toBe(30 * SECOND);
  });

  it('is never closer than a second, and takes nonsense for nothing', () => {
    expect(Math.min(...looksOf({ earlierMs: [10] }, 20).map((at, index, all) => at - (all[index - 1] ?? 0)))).toBeGreaterThanOrEqual(1);
    expect(looksOf({ earlierMs: [0, -1, Number.NaN, Infinity] }, 1)).toEqual([120]);
  });
});

describe('waiting', () => {
  /** What is ready at an instant, in virtual time, with news that come at instants. */
  function wait({ readyAt, news, ...options }: { readyAt: number; news?: number[] | 'broken' } & Partial<AwaitReady<string>>) {
    const seen = { looks: [] as number[], lost: 0 };
    let now = 0;
    const left = Array.isArray(news) ? [...news] : [];
    const events: EventSource = {
      next(within) {
        if (news === 'broken') return Promise.reject(new Error('no such queue'));
        const isNews = left[0] !== undefined && left[0] <= now + within;
        now = isNews ? Math.max(now, left.shift() as number) : now + within;
        return Promise.resolve(isNews);
      },
    };
    const result = awaitReady({
      look: () => { seen.looks.push(now / SECOND); return Promise.resolve({ isReady: now >= readyAt, state: 'ready' }); },
      schedule: lookSchedule({ earlierMs: [] }), events: news === undefined ? undefined : events, signal: new AbortController().signal,
      clock: { nowMs: () => now, sleep: (ms, signal) => { signal.throwIfAborted(); now += ms; return Promise.resolve(); } },
      onEventsLost: () => { seen.lost += 1; },
      ...options,
    });
    return result.then((state) => ({ state, ...seen }));
  }

  it('begins with a look, and goes on by the schedule', async () => {
    expect(await wait({ readyAt: 0 })).toEqual({ state: 'ready', looks: [0], lost: 0 });
    expect((await wait({ readyAt: 155 * SECOND })).looks).toEqual([0, 120, 150, 180]);
  });

  it('looks when there is news, and a little later again where what is looked at does not know it yet', async () => {
    expect((await wait({ readyAt: 33 * SECOND, news: [33 * SECOND] })).looks).toEqual([0, 33]);
    expect((await wait({ readyAt: 35 * SECOND, news: [33 * SECOND] })).looks).toEqual([0, 33, 34, 36]);
  });

  it('looks by the schedule all the same where news does not come, or is of something else', async () => {
    expect((await wait({ readyAt: 155 * SECOND, news: [] })).looks).toEqual([0, 120, 150, 180]);
    expect((await wait({ readyAt: 155 * SECOND, news: [20 * SECOND] })).looks).toEqual([0, 20, 21, 23, 27, 120, 150, 180]);
  });

  it('goes on without events that cannot be listened to, and says so once', async () => {
    expect(await wait({ readyAt: 155 * SECOND, news: 'broken' })).toMatchObject({ looks: [0, 120, 150, 180], lost: 1 });
  });

  it('ends with what a look throws, and with its signal', async () => {
    await expect(wait({ readyAt: 1, look: () => Promise.reject(new Error('it failed for good')) })).rejects.toThrow('it failed for good');
    const cancelled = new AbortController();
    await expect(wait({ readyAt: 1, signal: cancelled.signal, look: () => { cancelled.abort(new Error('cancelled')); return Promise.resolve({ isReady: false, state: '' }); } })).rejects.toThrow('cancelled');
    const whileListening = new AbortController();
    await expect(wait({ readyAt: 1, signal: whileListening.signal, news: 'broken', events: { next: () => { whileListening.abort(new Error('cancelled too')); return Promise.reject(new Error('aborted')); } } })).rejects.toThrow('cancelled too');
  });

  it('goes on by the schedule after looks that failed and say nothing, and no longer than it has patience', async () => {
    const busy = new Error('busy');
    const failing = (until: number) => { let looks = 0; return { look: () => ((looks += 1) <= until ? Promise.reject(busy) : Promise.resolve({ isReady: true, state: `at look ${looks}` })), passes: (error: unknown) => error === busy }; };
    expect(await wait({ readyAt: 0, ...failing(30) })).toMatchObject({ state: 'at look 31' });
    expect(await wait({ readyAt: 0, news: [5 * SECOND], ...failing(2) })).toMatchObject({ state: 'at look 3' });
    await expect(wait({ readyAt: 0, ...failing(30), patience: { ms: 5 * MINUTE, over: () => new Error('not this') } })).rejects.toBe(busy);
    await expect(wait({ readyAt: 0, ...failing(1), passes: () => false })).rejects.toBe(busy);
  });

  it('goes on where another has begun: as late in the wait as it is', async () => {
    let looks = 0;
    // What another has begun may not be seen by the first look.
    const look = () => Promise.resolve({ isReady: (looks += 1) > 3, state: 'ready', beganAtMs: looks > 1 ? -60 * MINUTE : undefined });
    const times: number[] = [];
    const clock = { nowMs: () => times.at(-1) ?? 0, sleep: (ms: number) => { times.push((times.at(-1) ?? 0) + ms); return Promise.resolve(); } };
    await wait({ readyAt: 0, look, clock });
    expect(times.map((ms) => ms / SECOND)).toEqual([120, 213, 308.325]);
  });

  it('loses its patience that long after the begin, whoever began, and not with what is ready', async () => {
    const patience = (ms: number) => ({ patience: { ms, over: (state: string) => new Error(`${state} is too late`) } });
    await expect(wait({ readyAt: 10 * MINUTE, ...patience(5 * MINUTE) })).rejects.toThrow('ready is too late');
    expect((await wait({ readyAt: 5 * MINUTE, ...patience(5 * MINUTE) })).looks.at(-1)).toBe(300);
    const begunBefore = (isReady: boolean) => ({ look: () => Promise.resolve({ isReady, state: 'a copy', beganAtMs: -6 * MINUTE }) });
    await expect(wait({ readyAt: 0, ...begunBefore(false), ...patience(5 * MINUTE) })).rejects.toThrow('a copy is too late');
    expect((await wait({ readyAt: 0, ...begunBefore(true), ...patience(5 * MINUTE) })).state).toBe('a copy');
  });
});
