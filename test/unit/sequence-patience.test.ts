import { expect, test } from 'vitest';
import { SequencePatience } from '../../activities/manifest/sequence-patience.ts';

test.each([
  [[], false],
  [Array.from({ length: 14 }, () => 10), false],
  [Array.from({ length: 15 }, () => 10), true],
  [[300_001], true],
  [[70_000], false],
  [[70_000, 10], true],
])('positions that were given up after %j ms for the sake of sequences: patience is over: %s', (waits, over) => {
  const patience = new SequencePatience(300_000);
  for (const waited of waits) patience.gaveUp(waited);
  expect(patience.isOver).toBe(over);
});
