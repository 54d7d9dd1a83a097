import { expect, it } from 'vitest';
import { DR_TEST_RDS } from '../faults/rds/rds-suite.ts';
import { runSuite } from '../faults/suite.ts';

// The whole matrix is `npm run faults -- dr-test-rds`.
it('dr-test on RDS survives, or ends well after, a sample of deaths and lost replies, and touches nothing that is not its own', async ({ signal }) => {
  const results = await runSuite(DR_TEST_RDS, { sample: true, lanes: 2, signal, log: (line) => console.log(line) });
  expect(results.filter(({ outcome }) => outcome === 'failed').map(({ name, detail }) => `${name}: ${detail}`)).toEqual([]);
  expect(results.map(({ fault }) => fault)).toEqual(DR_TEST_RDS.sample.map(([fault]) => fault));
});
