import { WorkflowNotFoundError } from '@temporalio/client';
import { lockId } from '../../contracts/guardian.ts';
import { DrillRun } from './drill-run.ts';
import type { Fault } from './fault.ts';
import { effectsTwice, endingProblems, hasStruck, readEnding, unprovenEndingProblems } from './judge-case.ts';
import { leftoversAfter } from './leftovers.ts';
import { nameOf, reach, type Point } from './points.ts';
import type { Scene, Watch } from './scene.ts';
import { sourceChanges, type SourceState } from './source-state.ts';
import { timeProblems } from './times.ts';

export interface Case<S extends Scene = Scene> { name: string; fault: Fault<S>; point: Point; /** The first step that owns the target: where a run holds the lock. */ firstOwned: string }

export interface CaseResult { name: string; fault: string; outcome: 'passed' | 'failed'; ended: string; leftovers: string[]; twice: string[]; seconds: number; detail: string }

export const caseName = (fault: Pick<Fault, 'name'>, point: Point): string => `${fault.name} ${nameOf(point)}`;

const TRIES = 4;
const END_WITHIN_MS = 200_000;

/** Runs one case, on a fresh run each time the fault did not strike. Never throws: what went wrong is the result. */
export async function runCase<S extends Scene>(environment: S, testCase: Case<S>): Promise<CaseResult> {
  const started = performance.now();
  const { attempt, tries } = await tryUntilStruck(() => tryCase(environment, testCase));
  const { ended, leftovers, twice, proof } = attempt;
  const wrong = wrongOf(attempt);
  return {
    name: testCase.name, fault: testCase.fault.name, outcome: wrong.length === 0 ? 'passed' : 'failed', ended, leftovers, twice, seconds: Math.round((performance.now() - started) / 100) / 10,
    detail: wrong.length === 0 ? `${proof}; ${ended}${tries > 1 ? `; struck at try ${tries}` : ''}` : wrong.join('; '),
  };
}

export interface Attempt { struck: boolean; ended: string; problems: string[]; leftovers: string[]; twice: string[]; proof: string }

/**
 * Tries until the fault struck, or until something is wrong: also a run for which a strike could not be proven must leave
 * nothing behind and do nothing twice, and no later try makes that good.
 */
export async function tryUntilStruck(tryOnce: () => Promise<Attempt>): Promise<{ attempt: Attempt; tries: number }> {
  const failed = (detail: string): Attempt => ({ struck: true, ended: 'unknown', problems: [detail], leftovers: [], twice: [], proof: '' });
  for (let tries = 1; tries <= TRIES; tries += 1) {
    const attempt = await tryOnce().catch((error: Error) => failed(error.message));
    if (attempt.struck || wrongOf(attempt).length > 0) return { attempt, tries };
  }
  return { attempt: failed(`the fault never struck in ${TRIES} runs`), tries: TRIES };
}

function wrongOf({ problems, leftovers, twice }: Attempt): string[] {
  return [...problems, ...leftovers.map((one) => `left: ${one}`), ...twice.map((one) => `twice: ${one}`)];
}

async function tryCase<S extends Scene>(environment: S, testCase: Case<S>): Promise<Attempt> {
  const putBack = await testCase.fault.prepare?.(environment);
  try {
    return await tryPrepared(environment, testCase);
  } finally {
    await putBack?.();
  }
}

async function tryPrepared<S extends Scene>(environment: S, { fault, point, firstOwned }: Case<S>): Promise<Attempt> {
  const before = await environment.readOthers();
  const blocker = point.step === 'waiting for the lock' ? await holdTarget(environment, firstOwned) : undefined;
  const startedMs = Date.now();
  const run = await DrillRun.start(environment.client, fault.input?.(environment), fault.executionTimeoutMs === undefined ? {} : { workflowExecutionTimeout: fault.executionTimeoutMs });
  const place = environment.watch(run);
  try {
    return await strikeRun(environment, { fault, point, firstOwned }, { before, blocker, run, place, startedMs });
  } finally {
    await place.stop();
    run.leave();
  }
}

interface Prepared { before: SourceState; blocker: Awaited<ReturnType<typeof holdTarget>> | undefined; run: DrillRun; place: Watch; startedMs: number }

async function strikeRun<S extends Scene>(environment: S, { fault, point, firstOwned }: Pick<Case<S>, 'fault' | 'point' | 'firstOwned'>, { before, blocker, run, place, startedMs }: Prepared): Promise<Attempt> {
  const reached = await reach(run, point, environment, { release: () => void blocker?.release(), aim: () => fault.aim?.(run) });
  await environment.hasten?.();
  const struck = reached ? await fault.strike({ environment, run, point }) : null;
  run.drive();
  await blocker?.release();
  const status = await run.ended(END_WITHIN_MS);
  const ending = await readEnding(environment, run, status);
  // On a host that is lost nothing can be removed; what is left goes when it comes back.
  const atEnd = fault.expected === 'hostLost' ? [] : await leftoversAfter(environment, run, 0);
  const relieved = await struck?.relieve?.() ?? [];
  const leftovers = [...new Set([...atEnd, ...await leftoversAfter(environment, run, fault.expected === 'hostLost' ? 20_000 : 0)])];
  const twice = [...effectsTwice(ending), ...await place.stop()];
  const proven = struck !== null && hasStruck(fault, point, struck, ending);
  const problems = [
    ...(proven ? endingProblems(fault, point, ending) : unprovenEndingProblems(fault, point, ending)), ...relieved, ...timeProblems(ending, { fromMs: startedMs, untilMs: Date.now() }), ...await environment.evidenceProblems?.(run) ?? [],
    ...sourceChanges(before, await environment.readOthers()), ...await targetProblems(environment, fault, firstOwned),
  ];
  return { struck: proven, ended: ending.evidence[0]?.outcome ?? status, problems, leftovers, twice, proof: struck?.proof ?? '' };
}

/** A run that holds the target until it is told to go. */
async function holdTarget(environment: Scene, firstOwned: string): Promise<{ release: () => Promise<void>; waitedMs: number }> {
  const run = await DrillRun.start(environment.client);
  if (!(await run.pauseBefore(firstOwned))) throw new Error('a run could not be held');
  let released: Promise<void> | undefined;
  return {
    waitedMs: await waitedForLock(run),
    release: () => (released ??= (async () => {
      await run.handle.signal('abort');
      // A worker that was woken and retired may have taken some of its tasks along: each comes back when its time-out is over.
      await run.ended(150_000);
    })()),
  };
}

/** Whether the target is free; where the run could not give it back by itself, a new run must get it at once. */
async function targetProblems(environment: Scene, fault: Pick<Fault, 'expected'>, firstOwned: string): Promise<string[]> {
  const lock = environment.client.workflow.getHandle(lockId('shop'));
  const { holders, waiting } = await lock.query<{ holders: unknown[]; waiting: unknown[] }>('holders').catch((error: unknown) => {
    if (error instanceof WorkflowNotFoundError) return { holders: [], waiting: [] };
    throw error;
  });
  if (holders.length + waiting.length > 0) return [`the lock has ${holders.length} holders and ${waiting.length} waiting`];
  if (fault.expected === 'recovered') return [];
  const held = await holdTarget(environment, firstOwned);
  await held.release();
  // A lock that had to look for itself would take up to 30 s; a busy machine has been seen to take nine.
  return held.waitedMs < 20_000 ? [] : [`a new run waited ${(held.waitedMs / 1000).toFixed(1)} s for the target`];
}

async function waitedForLock(run: DrillRun): Promise<number> {
  const { phases } = await run.timeline();
  return phases.filter(({ name }) => name === 'waiting for the lock').reduce((sum, { fromMs, untilMs }) => sum + untilMs - fromMs, 0);
}
