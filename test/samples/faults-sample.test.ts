import { expect, it } from 'vitest';
import { DR_TEST } from '../faults/dr-test-suite.ts';
import { runSuite } from '../faults/suite.ts';

// The whole matrix is `npm run faults -- dr-test`. Most of a case is waiting for time-outs, so two run side by side, next to other files.
it('dr-test survives, or ends well after, a sample of each kind of death', async ({ signal }) => {
  const results = await runSuite(DR_TEST, { sample: true, lanes: 2, signal, log: (line) => console.log(line) });
  expect(results.filter(({ outcome }) => outcome === 'failed').map(({ name, detail }) => `${name}: ${detail}`)).toEqual([]);
  const kinds = new Set(results.map(({ fault }) => fault));
  expect([...kinds].sort()).toEqual([
    'Temporal server restarted', 'copying process killed', 'host lost', 'restoring PostgreSQL killed', 'restoring PostgreSQL told to stop', 'run cancelled',
    'run terminated', 'worker killed', 'worker stopped and continued', 'worker stopped, run terminated, worker continued',
  ]);
});
