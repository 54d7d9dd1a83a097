import path from 'node:path';
import { ApplicationFailure } from '@temporalio/client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startKernelEnvironment, type KernelEnvironment } from '../support/kernel-environment.ts';
import { livesOf } from '../support/toy-lives.ts';
import { resetTo, startToy, toSecondStep, until, type ToyRun } from '../support/toy-runs.ts';

/** Runs that are reset while the evidence of their former life cannot be written: their guardian has settled, and waits for what comes. */
let environment: KernelEnvironment;
/** What becomes of evidence that a run writes. */
let disk: 'works' | 'is away' | 'is away for a day' = 'works';
/** Keeps back what the next look at a ledger has found, until this resolves. */
let whenRead: (() => Promise<void>) | undefined;
beforeAll(async () => {
  environment = await startKernelEnvironment({}, {}, { outcome: {}, looked: {} });
  const real = environment.kernelActivities(path.join(environment.root, 'evidence'));
  await environment.startWorker({
    writeEvidence: (input) => {
      if (disk === 'works') return real.writeEvidence(input);
      throw disk === 'is away' ? new Error('the disk is away') : ApplicationFailure.nonRetryable('the disk was away for a day');
    },
    readLedger: async (input) => {
      const read = await real.readLedger(input);
      const until = whenRead;
      whenRead = undefined;
      await until?.();
      return read;
    },
  });
});
afterAll(() => environment.stop());

const { newest, phaseOf, evidenceOf } = livesOf(() => environment);
/** To before its last step, which takes 3 s. */
const resetToLast = (run: ToyRun) => resetTo(environment, run, (events) =>
  events.map((event) => event.timerStartedEventAttributes).find((one) => String(one?.startToFireTimeout?.seconds) === '3')?.workflowTaskCompletedEventId);

it('what the guardian writes of a life says how that one ended, and not how one before it did', async () => {
  disk = 'is away';
  const run = await startToy(environment, { database: 'outcome', looksLastMs: 3_000, outside: true });
  await until(async () => (await phaseOf(run)) === 'evidence', 'its first life has succeeded, and writes');
  const runId = await resetToLast(run);
  await until(async () => (await phaseOf(run)) === 'look last', 'its second life is at its last step');
  disk = 'is away for a day';
  await newest(run).signal('abort');
  expect(await evidenceOf(run, runId)).toMatchObject({ outcome: 'aborted', chain: { writtenBy: 'guardian' } });
});

it('what the guardian read for one life is no answer to another that asked meanwhile', async () => {
  disk = 'is away';
  const run = await startToy(environment, { database: 'looked', looksLastMs: 3_000, outside: true });
  await until(async () => (await phaseOf(run)) === 'evidence', 'its first life has succeeded, and writes');
  let isRead = false;
  let go = (): void => undefined;
  const told = new Promise<void>((resolve) => { go = resolve; });
  whenRead = () => { isRead = true; return told; };
  await resetToLast(run);
  await until(() => Promise.resolve(isRead), 'its second life has asked, and the guardian has read');
  const runId = await resetTo(environment, run, toSecondStep, run.handle.firstExecutionRunId);
  await until(async () => (await phaseOf(run)) === 'tearing down', 'its third life has acted, and asks');
  go();
  disk = 'works';
  expect(await evidenceOf(run, runId)).toMatchObject({ outcome: 'failed', teardown: { outcome: 'failed', failure: expect.stringContaining('nobody has undone') as string } });
});
