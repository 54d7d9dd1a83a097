import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Progress } from '../../contracts/messages.ts';
import { startKernelEnvironment, type KernelEnvironment } from '../support/kernel-environment.ts';
import { startToy, until } from '../support/toy-runs.ts';

let environment: KernelEnvironment;
beforeAll(async () => {
  environment = await startKernelEnvironment({}, {}, { guarded: { correction: { approvers: ['ben'], expiresAfter: '10m' } } }, { each: { failedSteps: { wait: '60s' } } });
  await environment.startWorker();
});
afterAll(() => environment.stop());

const RETRIES = 60;

it('a step that is tried again and again leaves evidence of a size that can be written, with the first and the newest attempts, and says how many are not in it', async () => {
  const run = await startToy(environment, { database: 'shop', failAt: 'one' });
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

it('an input that is corrected and rejected again and again leaves evidence of a size that can be written, and says how many gates are not in it', async () => {
  const run = await startToy(environment, { database: 'guarded', requester: 'rita', failAt: 'one' });
  const seen = () => run.handle.query<Progress>('progress');
  for (let n = 0; n < RETRIES; n += 1) {
    await until(async () => (await seen()).waitingStep?.name === 'write one', 'the step waits');
    await run.handle.executeUpdate('retryStep', { args: [{ step: 'write one', by: 'anna', reason: 'once more', input: { fail: false } }] });
    await until(async () => (await seen()).openGate !== null, 'the gate is open');
    const { planHash } = (await seen()).openGate!;
    for (const by of ['eve', 'eve', 'eve', 'eve', 'eve', 'eve', 'eve', 'ben']) await run.handle.signal('reject', { gate: 'correction', by, planHash });
    await until(async () => (await seen()).openGate === null, 'the gate is closed');
  }
  await run.handle.signal('abort');
  await run.handle.result().catch(() => undefined);
  const { gates } = await run.evidence();
  expect(gates).toHaveLength(50);
  expect(gates.every(({ outcome }) => outcome === 'rejected')).toBe(true);
  expect(gates.at(-1)?.events).toMatchObject([{ event: 'formerLeftOut', detail: `${RETRIES - 50} of the gates of this name that were before are left out of this evidence` }]);
  // What counted is never left out, and of what did not the newest are kept.
  expect(gates.slice(0, -1).map(({ decisions, decisionsLeftOut }) => [decisions.map(({ by, counted }) => `${by} ${counted}`).join(), decisionsLeftOut])).toEqual(Array.from({ length: 49 }, () => ['eve false,eve false,eve false,eve false,eve false,ben true', 2]));
}, 300_000);
