import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Progress } from '../../contracts/messages.ts';
import { startKernelEnvironment, type KernelEnvironment } from '../support/kernel-environment.ts';
import { startToy, until } from '../support/toy-runs.ts';

let environment: KernelEnvironment;
beforeAll(async () => {
  environment = await startKernelEnvironment({}, {}, {}, { each: { failedSteps: { wait: '60s' } } });
  await environment.startWorker();
});
afterAll(() => environment.stop());

const RETRIES = 60;

it('a step that is tried again and again leaves evidence of a size that can be written, with the first and the newest attempts, and says how many are not in it', async () => {
  const run = await startToy(environment, { failAt: 'one' });
  const waits = () => until(async () => (await run.handle.query<Progress>('progress')).waitingStep?.name === 'write one', 'the step waits');
  for (let n = 0; n < RETRIES; n += 1) {
    await waits();
    await run.handle.executeUpdate('retryStep', { args: [{ step: 'write one', by: 'anna', reason: 'once more' }] });
  }
  await waits();
  await run.handle.signal('abort');
  await run.handle.result().catch(() => undefined);
  const { steps, compensations } = await run.evidence();
  const attempts = steps.filter(({ name }) => name === 'write one');
  expect(attempts).toHaveLength(50);
  expect(attempts[0]?.summary).toBe('one cannot be written');
  expect(attempts.at(-1)?.summary).toBe(`one cannot be written (${RETRIES + 1 - 50} attempts of it are left out here)`);
  expect(compensations.map(({ id }) => id)).toEqual(['one']);
}, 300_000);
