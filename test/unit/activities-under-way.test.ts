import { expect, it } from 'vitest';
import type { UnderWay } from '../../contracts/under-way.ts';
import { ActivitiesUnderWay } from '../../workflows/procedure/activities-under-way.ts';

const AT = '2026-11-30T09:00:00.000Z';
const told = (activity: string, over: Partial<UnderWay> = {}): UnderWay => ({ run: 'r', activity, phase: `part ${activity}`, bytesDone: 5, bytesTotal: 10, rate: null, ...over });
const never = new Promise<void>(() => undefined);

it('shows those activities that are under way, who told last comes last, ten at the most', () => {
  const activities = new ActivitiesUnderWay(() => undefined);
  for (let id = 1; id <= 12; id += 1) activities.follow(String(id), never);
  expect(activities.lines()).toEqual([]);
  expect(activities.take(told('13'), AT)).toBe(false);
  for (let id = 12; id >= 1; id -= 1) expect(activities.take(told(String(id)), AT)).toBe(true);
  activities.take(told('9', { phase: '**nine**', unit: 'percent' }), AT);
  expect(activities.lines().map((line) => /part (\d+)/.exec(line)?.[1])).toEqual(['10', '8', '7', '6', '5', '4', '3', '2', '1', undefined]);
  expect(activities.lines().at(-1)).toBe(String.raw`- … \*\*nine\*\*, 50 %, at ${AT}`);
});

it('shows none that came to its end, whichever', async () => {
  let changes = 0;
  const activities = new ActivitiesUnderWay(() => { changes += 1; });
  activities.follow('done', Promise.resolve());
  activities.follow('failed', Promise.reject(new Error('it failed')));
  activities.follow('silent', Promise.resolve());
  activities.take(told('done'), AT);
  activities.take(told('failed'), AT);
  await Promise.resolve();
  expect([activities.lines(), changes, activities.take(told('done'), AT)]).toEqual([[], 2, false]);
});
