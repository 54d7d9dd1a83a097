import { expect, it } from 'vitest';
import { DR_TEST } from '../faults/dr-test-suite.ts';
import { runSuite } from '../faults/suite.ts';

it('each kind of death that dr-test is disturbed by has a sample', () => {
  expect([...new Set(DR_TEST.sample.map(([fault]) => fault))].sort()).toEqual(DR_TEST.faults.map(({ name }) => name).sort());
});

// The whole matrix is `npm run faults -- dr-test`. Most of a case is waiting for time-outs, so two run side by side, next to other files.
it('dr-test survives, or ends well after, a sample of each kind of death', async ({ signal }) => {
  const results = await runSuite(DR_TEST, { sample: true, lanes: 2, signal, log: (line) => console.log(line) });
  expect(results.filter(({ outcome }) => outcome === 'failed').map(({ name, detail }) => `${name}: ${detail}`)).toEqual([]);
  // One that fits no point of a healthy run has no case.
  expect(results.map(({ fault }) => fault)).toEqual(DR_TEST.sample.map(([fault]) => fault));
});
