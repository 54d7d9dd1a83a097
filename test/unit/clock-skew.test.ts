import { expect, it } from 'vitest';
import { hostClockSkew } from '../../workflows/dr-test/clock-skew.ts';

const server = Date.parse('2026-11-21T03:00:00.000Z');
/** An activity that the server scheduled at 0, that began after `wait` ms, took 100, and was heard of `answer` ms later. */
const skewOf = (ahead: number, wait: number, answer: number, measuredMs?: number) => {
  const byHost = (ms: number) => new Date(server + ms + ahead).toISOString();
  return hostClockSkew({ scheduledAt: new Date(server).toISOString(), beganAt: byHost(wait), endedAt: byHost(wait + 100) }, server + wait + 100 + answer, measuredMs);
};

it('is nothing where both clocks may be the same, however long the activity waited for a worker', () => {
  expect(skewOf(0, 5, 10)).toEqual({ seconds: 0, withinSeconds: 0.01 });
  expect(skewOf(0, 60_000, 10)).toEqual({ seconds: 0, withinSeconds: 60 });
});

it('is the least that explains what was seen, and says how far off it may be', () => {
  expect(skewOf(9000, 5, 10)).toEqual({ seconds: 8.99, withinSeconds: 0.015 });
  expect(skewOf(-9000, 5, 10)).toEqual({ seconds: -8.995, withinSeconds: 0.015 });
});

it('is what was measured when planning began, however long that waited for a worker: a little more than it is', () => {
  expect(skewOf(-9000, 60_000, 10, -8996)).toEqual({ seconds: -8.996, withinSeconds: 0.014 });
  expect(skewOf(9000, 60_000, 10, 9004)).toEqual({ seconds: 9.004, withinSeconds: 0.014 });
});

it('is no more than what was seen allows, whatever was measured, which is 0 where the server did not say', () => {
  expect(skewOf(-9000, 5, 10, 0)).toEqual(skewOf(-9000, 5, 10));
  expect(skewOf(9000, 60_000, 10, 0)).toEqual(skewOf(9000, 60_000, 10));
  expect(skewOf(9000, 5, 10, 8000).seconds).toBe(8.99);
  expect(skewOf(9000, 5, 10, 20_000).seconds).toBe(9.005);
});
