import { expect, it } from 'vitest';
import { besidesLeft, leftBehind, nobodySettled, NOTHING_SETTLED } from '../../contracts/record.ts';

const done = { ...NOTHING_SETTLED, teardown: { ...NOTHING_SETTLED.teardown, outcome: 'done' as const } };

it('what a former life has left is not denied by what a later one proves of its own', () => {
  const left = nobodySettled();
  const settlement = besidesLeft(done, left);
  expect(settlement.teardown).toMatchObject({ outcome: 'failed', provenAbsent: false, failure: left.teardown.failure });
  expect(leftBehind(settlement)).toContain('nobody has looked');
  expect(besidesLeft(nobodySettled(), { ...left, teardown: { ...left.teardown, failure: 'of the former life' } }).teardown.failure).toBe(`${left.teardown.failure}; of the former life`);
});

it('a former life that has left nothing changes nothing', () => {
  expect(besidesLeft(done, null)).toBe(done);
  expect(besidesLeft(done, done)).toBe(done);
});
