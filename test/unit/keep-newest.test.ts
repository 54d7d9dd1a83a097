import { expect, it } from 'vitest';
import { keepNewest } from '../../workflows/procedure/keep-newest.ts';

it('keeps the first forty and the newest ten, and says how many it left out', () => {
  const kept: number[] = [];
  let leftOut = 0;
  for (let one = 1; one <= 1_000; one += 1) if (keepNewest(kept, one)) leftOut += 1;
  expect(kept).toEqual([...Array.from({ length: 40 }, (_, index) => index + 1), ...Array.from({ length: 10 }, (_, index) => index + 991)]);
  expect(leftOut).toBe(950);
});

it('leaves out nothing that does not count against the limit', () => {
  const kept: number[] = [];
  for (let one = 1; one <= 200; one += 2) {
    keepNewest(kept, one, (candidate) => candidate % 2 === 1);
    kept.push(one + 1);
  }
  expect(kept.filter((one) => one % 2 === 0)).toHaveLength(100);
  expect(kept.filter((one) => one % 2 === 1)).toHaveLength(50);
});
