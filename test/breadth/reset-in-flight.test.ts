import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { heartbeat } from '@temporalio/activity';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startKernelEnvironment, type KernelEnvironment } from '../support/kernel-environment.ts';
import { livesOf } from '../support/toy-lives.ts';
import { resetTo, startToy, toSecondStep, until, type ToyRun } from '../support/toy-runs.ts';
import { toyActivities } from '../support/toy/activities.ts';

/** Runs that are reset to where they held their target, and act at the very moment when their guardian undoes: what it undoes then is done afterwards. */
let environment: KernelEnvironment;
/** What waits where it has begun: a second step, and a guardian that looks into the ledger. */
const held = { two: false, reader: false };
const begun = { two: 0, reader: 0 };
async function pass(what: keyof typeof held, beat: () => void = () => undefined): Promise<void> {
  begun[what] += 1;
  for (; held[what]; await sleep(100)) beat();
}
const hold = (what: keyof typeof held) => { [held[what], begun[what]] = [true, 0]; };
const hasBegun = (what: keyof typeof held) => until(() => Promise.resolve(begun[what] > 0), `${what} has begun`);

beforeAll(async () => {
  environment = await startKernelEnvironment({}, {}, { living: {}, over: {} });
  const real = environment.kernelActivities(path.join(environment.root, 'evidence'));
  await environment.startWorker({
    writeToy: async (file) => {
      if (file.name === 'two') await pass('two', heartbeat);
      return toyActivities.writeToy(file);
    },
    readLedger: async (input) => {
      await pass('reader');
      return real.readLedger(input);
    },
  });
});
afterAll(() => environment.stop());

const { evidenceOf } = livesOf(() => environment);

/** A new life of a run whose guardian is about to look into the ledger, with its second step under way. */
async function actAnew(run: ToyRun): Promise<string> {
  await hasBegun('reader');
  hold('two');
  const runId = await resetTo(environment, run, toSecondStep);
  await hasBegun('two');
  held.reader = false;
  return runId;
}

it('while its guardian waits for it: evidence does not say that it was undone', async () => {
  hold('reader');
  const run = await startToy(environment, { database: 'living', failAt: 'two', outside: true });
  const runId = await actAnew(run);
  await until(async () => (await run.undone()).includes('one'), 'it is undone');
  held.two = false;
  expect(await evidenceOf(run, runId)).toMatchObject({ outcome: 'failed', teardown: { outcome: 'failed', provenAbsent: false, failure: expect.stringContaining('nobody has undone') as string } });
});

it('when its guardian is over: it is undone once more', async () => {
  hold('two');
  const run = await startToy(environment, { database: 'over', outside: true });
  await hasBegun('two');
  hold('reader');
  await run.handle.terminate('test');
  const runId = await actAnew(run);
  await run.guardian.result();
  held.two = false;
  expect(await evidenceOf(run, runId)).toMatchObject({ outcome: 'failed', failure: { type: 'FENCED' }, compensations: [{ id: 'two', outcome: 'done' }, { id: 'one', outcome: 'done' }] });
  expect(await run.undone()).toEqual(['two', 'one', 'two']);
});
