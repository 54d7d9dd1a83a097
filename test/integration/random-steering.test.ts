import { readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { WorkflowNotFoundError } from '@temporalio/client';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import type { CompensationRecord, Evidence } from '../../contracts/evidence.ts';
import { lockId } from '../../contracts/guardian.ts';
import { mulberry32 } from '../../scripts/demo/writers/pool.ts';
import { awaitGuardian } from '../support/await-guardian.ts';
import { startKernelEnvironment, toyConfiguration, type KernelEnvironment } from '../support/kernel-environment.ts';
import { startToy, until, type ToyRun } from '../support/toy-runs.ts';
import { killableWorkers, type StartKillable } from '../support/toy/killable-worker.ts';

/** A sample; fifty take minutes: STEERING_SCHEDULES=50 npm test -- --project integration random-steering */
const SCHEDULES = Number(process.env['STEERING_SCHEDULES'] ?? 4);
const AT_ONCE = 10;
/** What people, and bad luck, do to a run; `kill` kills its worker with -9, and with it those of all others. */
const DEEDS = ['pause', 'resume', 'retry', 'retry with input', 'skip', 'abort', 'abort at the last step', 'cancel', 'terminate', 'kill'] as const;
type Deed = (typeof DEEDS)[number];

let environment: KernelEnvironment;
let startWorker: StartKillable;
let worker: Awaited<ReturnType<StartKillable>> | undefined;
let kills = 0;

let restarting: Promise<void> | undefined;
/** One death at a time, and always a new life after it. */
function killWorker(): Promise<void> {
  return (restarting ??= (async () => {
    kills += 1;
    await worker?.kill();
    worker = await startWorker();
  })().finally(() => { restarting = undefined; }));
}

beforeAll(async () => {
  const targets = Object.fromEntries(Array.from({ length: AT_ONCE }, (_, index) => [`t${index}`, {}]));
  const other = { each: { failedSteps: { wait: '3s' } } };
  environment = await startKernelEnvironment({}, { maximum: '45s' }, targets, other);
  startWorker = await killableWorkers(environment, toyConfiguration(environment.root, {}, { maximum: '45s' }, targets, other));
  worker = await startWorker();
});
afterAll(async () => {
  await restarting;
  await worker?.kill();
  await environment.stop();
});

interface Schedule { target: string; input: Record<string, unknown>; deeds: { deed: Deed; afterMs: number }[] }

/** What is left to chance alone shows nothing in some small samples: ends go round, and so do deaths. */
function scheduleOf(random: () => number, index: number): Schedule {
  const below = (limit: number): number => Math.floor(random() * limit);
  const pick = <T>(from: readonly T[]): T => from[below(from.length)] as T;
  // Deaths are for everybody; ends come late, or nothing else would ever happen.
  const harmless: Deed[] = ['pause', 'resume', 'retry', 'retry with input', 'skip', 'kill'];
  const deeds = Array.from({ length: 1 + below(6) }, () => ({ deed: random() < 0.7 ? pick(harmless) : pick(DEEDS), afterMs: below(700) }));
  const end = ([undefined, 'abort', 'cancel', 'terminate'] as const)[index % 4];
  if (end !== undefined) deeds.splice(below(deeds.length + 1), 0, { deed: end, afterMs: below(700) });
  if (index % 3 === 2) deeds.splice(below(deeds.length + 1), 0, { deed: 'kill', afterMs: below(700) });
  return { target: `t${index % AT_ONCE}`, input: { stallMs: below(900), failAt: pick([undefined, 'one', 'two']), failsOnce: random() < 0.2, whenCancelled: pick(['end', 'go on']) }, deeds };
}

/** What does not come at the right time is refused, which is right: what counts is how it ends. */
async function perform(run: ToyRun, deed: Deed): Promise<void> {
  const update = (name: string, argument: object) => run.handle.executeUpdate(name, { args: [argument] });
  const stepUpdate = async (name: string, more: object = {}) => {
    const step = (await run.handle.query<{ waitingStep: { name: string } | null }>('progress')).waitingStep?.name ?? 'write one';
    await update(name, { step, by: 'anna', reason: 'by chance', ...more });
  };
  switch (deed) {
    case 'pause': case 'resume': case 'abort': return void await update(deed, { by: 'anna' });
    case 'abort at the last step':
      await vi.waitUntil(async () => (await run.handle.query<{ phase: string }>('progress')).phase === 'write two', { timeout: 2_000 });
      return void await update('abort', { by: 'anna' });
    case 'retry': return stepUpdate('retryStep');
    case 'retry with input': return stepUpdate('retryStep', { input: { fail: false } });
    case 'skip': return stepUpdate('skipStep');
    case 'cancel': return void await run.handle.cancel();
    case 'terminate': return void await run.handle.terminate('by chance');
    case 'kill': return killWorker();
    default: throw new Error(`no such deed: ${String(deed satisfies never)}`);
  }
}

/** Everything that must be true at the end, whatever was done to the run. */
async function judge(run: ToyRun, schedule: Schedule, accepted: ReadonlySet<Deed>): Promise<string> {
  const said = JSON.stringify(schedule);
  await run.handle.result().catch(() => undefined);
  // Ended by force before its first task, it has no guardian, and its evidence is written by whoever looks for such runs.
  await awaitGuardian(environment.client, { workflowId: run.handle.workflowId, firstExecutionRunId: run.handle.firstExecutionRunId });
  const guarded = await run.guardian.result().then(() => true, (error: unknown) => {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  });
  if (!guarded) {
    // It ended before it had begun to do anything.
    const { status } = await run.handle.describe();
    // oxlint-disable-next-line vitest/no-conditional-expect
    expect([status.name === 'COMPLETED', await run.journal()], said).toEqual([false, []]);
    return (await run.evidence()).outcome;
  }
  const evidence: Evidence = await run.evidence();
  const { outcome } = evidence;
  const status = (await run.handle.describe()).status.name;
  // A run that is terminated when its evidence is written already keeps the end that it had come to.
  expect(outcome === 'succeeded' ? ['COMPLETED', 'TERMINATED'] : ['FAILED', 'CANCELED', 'CANCELLED', 'TERMINATED', 'TIMED_OUT'], said).toContain(status);
  expect(evidence.steps.filter((step) => step.finishedAt === null || step.outcome === 'running' || step.outcome === 'waiting'), said).toEqual([]);
  const begun = [...new Set((await run.journal()).filter((line) => line.startsWith('begin ')).map((line) => line.slice('begin '.length)))];
  expect([...accepted].some((deed) => deed.startsWith('abort')) ? outcome : 'aborted', `an abort that was accepted is obeyed: ${said}`).not.toBe('succeeded');
  const compensations: CompensationRecord[] = evidence.compensations;
  expect(compensations.filter((one) => one.outcome !== 'done'), said).toEqual([]);
  // What was done, and not only what is written of it: each undo was begun by one activity, in this order.
  expect(await run.undone(), `each once, and as the evidence says: ${said}`).toEqual(compensations.map(({ id }) => id));
  // After a good end only what began, failed and was gone on without.
  const skipped = evidence.steps.filter((step) => step.outcome === 'skipped').map(({ name }) => name.slice('write '.length));
  const mustBeUndone = begun.filter((name) => outcome !== 'succeeded' || skipped.includes(name));
  // An activity that was scheduled and never began is undone too.
  const mayBeUndone = outcome === 'succeeded' ? mustBeUndone : ['one', 'two'];
  const ids = compensations.map(({ id }) => id);
  expect(mustBeUndone.filter((id) => !ids.includes(id)), `all that began: ${said}`).toEqual([]);
  expect(ids, `newest first: ${said}`).toEqual(['two', 'one'].filter((id) => ids.includes(id) && mayBeUndone.includes(id)));
  expect(evidence.teardown, said).toMatchObject({ outcome: expect.stringMatching(/^(done|notNeeded)$/) as string, provenAbsent: true });
  expect((await readdir(run.root)).filter((name) => name.startsWith('box-')), said).toEqual([]);
  return outcome;
}

it(`${SCHEDULES} random schedules end defined, undo everything exactly once, and leave nothing behind`, async () => {
  const seed = Number(process.env['STEERING_SEED'] ?? Date.now() % 1_000_000);
  console.log(`seed ${seed} (STEERING_SEED repeats it)`);
  const random = mulberry32(seed);
  const schedules = Array.from({ length: SCHEDULES }, (_, index) => scheduleOf(random, index));
  const outcomes: Record<string, number> = {};
  for (let first = 0; first < SCHEDULES; first += AT_ONCE) {
    const done = await Promise.allSettled(schedules.slice(first, first + AT_ONCE).map(async (schedule) => {
      const run = await startToy(environment, { database: schedule.target, ...schedule.input });
      const accepted = new Set<Deed>();
      for (const { deed, afterMs } of schedule.deeds) {
        await sleep(afterMs);
        await perform(run, deed).then(() => accepted.add(deed), () => undefined);
      }
      // Nobody else comes: what is paused goes on.
      await run.handle.signal('resume').catch(() => undefined);
      const outcome = await judge(run, schedule, accepted);
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    }));
    for (const one of done) if (one.status === 'rejected') throw one.reason;
  }
  for (let index = 0; index < AT_ONCE; index += 1) {
    const state = () => environment.client.workflow.getHandle(lockId(`t${index}`)).query<{ holders: unknown[]; waiting: unknown[] }>('holders').catch(() => ({ holders: [], waiting: [] }));
    await until(async () => { const { holders, waiting } = await state(); return holders.length + waiting.length === 0; }, `nobody holds t${index}`);
  }
  console.log(`outcomes ${JSON.stringify(outcomes)}, workers killed ${kills}`);
  // A chance that shows nothing would be none.
  expect(Object.keys(outcomes).length).toBeGreaterThanOrEqual(3);
  expect(kills).toBeGreaterThanOrEqual(SCHEDULES / 10);
});
