import { expect, test } from 'vitest';
import { Pace } from '../../activities/manifest/pace.ts';

/** Reads ranges of 10 bytes, 100 ms each, over one connection on a clock of its own. */
function read({ ranges, dutyCycle, finishWithinMs }: { ranges: number; dutyCycle: number; finishWithinMs: number }): { rests: number[]; elapsedMs: number } {
  let clock = 1000;
  const pace = new Pace({ dutyCycle, connections: 1, finishWithinMs, now: () => clock });
  const rests: number[] = [];
  for (let range = 1; range <= ranges; range += 1) {
    clock += 100;
    const restMs = pace.restMs({ busyMs: 100, bytesDone: range * 10, bytesTotal: ranges * 10 });
    rests.push(restMs);
    clock += restMs;
  }
  return { rests, elapsedMs: clock - 1000 };
}

test('with time enough it reads for its share of the time, and does not rest after the last range', () => {
  const { rests } = read({ ranges: 5, dutyCycle: 0.2, finishWithinMs: 60_000 });
  expect(rests.map(Math.round)).toEqual([400, 400, 400, 400, 0]);
});

test('a duty cycle of 1 never rests', () => {
  expect(read({ ranges: 4, dutyCycle: 1, finishWithinMs: 60_000 }).rests).toEqual([0, 0, 0, 0]);
});

test('it rests less when its share would take too long, and is done in time', () => {
  const { rests, elapsedMs } = read({ ranges: 100, dutyCycle: 0.2, finishWithinMs: 20_000 });
  expect(elapsedMs).toBeLessThanOrEqual(20_001);
  expect(elapsedMs).toBeGreaterThan(19_000);
  expect(Math.max(...rests)).toBeLessThan(120);
});

test('without any time to spare it only reads', () => {
  const { rests, elapsedMs } = read({ ranges: 50, dutyCycle: 0.1, finishWithinMs: 1_000 });
  expect(Math.max(...rests)).toBe(0);
  expect(elapsedMs).toBe(5_000);
});

test('it knows when there is no time left to rest', () => {
  let clock = 0;
  const pace = new Pace({ dutyCycle: 0.5, connections: 1, finishWithinMs: 1000, now: () => clock });
  expect(pace.leavesRest).toBe(true);
  clock = 400;
  expect(pace.restMs({ busyMs: 400, bytesDone: 10, bytesTotal: 100 })).toBe(0);
  expect(pace.leavesRest).toBe(false);
  clock = 410;
  expect(pace.restMs({ busyMs: 10, bytesDone: 95, bytesTotal: 100 })).toBeGreaterThan(0);
  expect(pace.leavesRest).toBe(true);
});
