import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isNotTakenUp, type Progress } from '../../contracts/messages.ts';
import { ask } from '../../scripts/cli/ask.ts';
import { awaitGuardian } from '../support/await-guardian.ts';
import { startKernelEnvironment, toyConfiguration, type KernelEnvironment } from '../support/kernel-environment.ts';
import { acting, startToy, type ToyRun } from '../support/toy-runs.ts';
import { killableWorkers, type StartKillable } from '../support/toy/killable-worker.ts';

/** A worker is killed, and what it did not live to see is met by a query before there is a workflow task for it. */
let environment: KernelEnvironment;
let startKillable: StartKillable;
beforeAll(async () => {
  environment = await startKernelEnvironment();
  startKillable = await killableWorkers(environment, toyConfiguration(environment.root, {}, {}));
});
afterAll(() => environment.stop());

interface Met { run: ToyRun; answer: Promise<unknown>; endedAtMs: number }

/** A run whose first step ended while no worker was there, and a query of it that waits for one since before that. */
async function metByQuery(): Promise<Met> {
  const worker = await startKillable();
  const run = await startToy(environment, { stallMs: 60_000 });
  await acting(run);
  const pending = (await run.handle.describe()).raw.pendingActivities?.find(({ activityType }) => activityType?.name === 'writeToy');
  await worker.kill();
  // With an activity under way and nothing to take up, the server gives it to the next worker by itself.
  const answer = environment.client.withDeadline(Date.now() + 60_000, () => run.handle.query<Progress>('progress')).then((progress) => progress, (error: unknown) => error);
  await new Promise((resolve) => setTimeout(resolve, 300));
  await environment.client.activity.complete({ workflowId: run.handle.workflowId, runId: run.handle.firstExecutionRunId, activityId: pending?.activityId ?? '' }, 'wrote one');
  return { run, answer, endedAtMs: Date.now() };
}

/** The same, until the next worker has met the query first. Where it was slow to start, the server gave the task of the run to it before: of that nothing is asked here. */
async function refusedToQuery() {
  const answers: unknown[] = [];
  while (answers.length < 3) {
    const { run, answer, endedAtMs } = await metByQuery();
    const worker = await environment.startWorker();
    answers.push(await answer);
    if (isNotTakenUp(answers.at(-1))) return { run, worker, endedAtMs };
    await run.handle.signal('abort', { by: 'anna' });
    await run.handle.result().catch(() => undefined);
    await awaitGuardian(environment.client, { workflowId: run.handle.workflowId, firstExecutionRunId: run.handle.firstExecutionRunId });
    await worker.stop();
  }
  throw new Error(`the query was answered each time: ${JSON.stringify(answers)}`);
}

describe('what happened while no worker was there, and a query that meets it', () => {
  it('is not taken up by the query, which is refused and answered when it is asked again: a step does not end before its activity does', async () => {
    const { run, worker, endedAtMs } = await refusedToQuery();
    const { steps } = await ask<Progress>(environment.client, run.handle, 'progress');
    expect(steps.at(-1)?.name).toBe('write two');
    await run.handle.signal('abort', { by: 'anna' });
    await run.handle.result().catch(() => undefined);
    const [first, second] = (await run.evidence()).steps;
    expect(first).toMatchObject({ name: 'write one', outcome: 'done', summary: 'wrote one' });
    // Both are the server's clock, and this is its host.
    expect(Date.parse(first?.finishedAt ?? '')).toBeGreaterThan(endedAtMs - 1_000);
    expect(second?.startedAt).toBe(first?.finishedAt);
    expect((await run.handle.fetchHistory()).events?.filter((event) => event.workflowTaskFailedEventAttributes)).toEqual([]);
    await awaitGuardian(environment.client, { workflowId: run.handle.workflowId, firstExecutionRunId: run.handle.firstExecutionRunId });
    await worker.stop();
  });

  it('is not taken up any more once the run is over: its evidence tells what it had decided, and whoever asks is told why there is no answer', async () => {
    const { run } = await metByQuery();
    await run.handle.terminate('for the test');
    const worker = await environment.startWorker();
    await awaitGuardian(environment.client, { workflowId: run.handle.workflowId, firstExecutionRunId: run.handle.firstExecutionRunId });
    const { outcome, steps, notVerified } = await run.evidence();
    expect({ outcome, steps: steps.map(({ name, outcome: of }) => `${name} ${of}`) }).toEqual({ outcome: 'terminated', steps: ['write one cancelled'] });
    expect(notVerified.join()).not.toContain('could not be replayed');
    await expect(run.handle.query<Progress>('progress')).rejects.toSatisfy(isNotTakenUp);
    await worker.stop();
  });
});
