import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startKernelEnvironment, type KernelEnvironment } from '../support/kernel-environment.ts';
import { gateOpens, startToy } from '../support/toy-runs.ts';

/** An update is accepted with the end of a workflow task, which may be long after a signal that stands behind it in history. */
let environment: KernelEnvironment;
beforeAll(async () => {
  environment = await startKernelEnvironment({ start: { approvers: ['anna', 'ben'], assurance: 'claimed', expiresAfter: '2s' } });
  const real = environment.kernelActivities(path.join(environment.root, 'evidence'));
  await environment.startWorker({
    async identifyUpdate(input) {
      const event = await real.identifyUpdate(input);
      // It was accepted late, and who sent it is found out after the gate would have expired.
      await sleep(3_500);
      return { ...event, atMs: Date.now() };
    },
  });
});
afterAll(() => environment.stop());

it('a gate does not expire over an approval that came in time, for an update before it that was accepted late', async () => {
  const run = await startToy(environment);
  await gateOpens(run);
  const late = run.handle.executeUpdate('decide', { args: [{ gate: 'start', decision: 'reject', by: 'ben' }] }).catch(() => undefined);
  await sleep(300);
  await run.handle.signal('approve', { gate: 'start', by: 'anna' });
  await run.handle.result();
  await late;
  const [gate] = (await run.evidence()).gates;
  expect(gate?.outcome).toBe('approved');
  expect(gate?.decisions.map(({ by, channel, counted }) => [by, channel, counted])).toEqual([['ben', 'update', false], ['anna', 'signal', true]]);
});
