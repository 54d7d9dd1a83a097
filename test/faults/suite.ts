import { DrillRun } from './drill-run.ts';
import type { Fault } from './fault.ts';
import { pointsOf, type Point } from './points.ts';
import { caseName, runCase, type Case, type CaseResult } from './run-case.ts';
import type { Scene } from './scene.ts';
import { Stages } from './stages.ts';

/** A matrix of faults and points. */
export interface Suite<S extends Scene = Scene> {
  /** Aborted by the signal, it ends what it has started so far, and rejects. */
  start(log: (line: string) => void, signal?: AbortSignal): Promise<S>;
  readonly faults: readonly Fault<S>[];
  /** Points that a run's own history does not show. */
  readonly morePoints?: readonly Point[];
  /** Of each fault a case, or several; those that wait longest come first. By the activity and not by the step, whose name may hold that of a database. */
  readonly sample: readonly SampleCase[];
}
/**
 * Names one case, whatever its steps are called; of several that fit, the last counts.
 * `activity` null: people or the lock are waited for.
 */
export type SampleCase = readonly [fault: string, where: Point['where'], activity: string | null];

/** Which cases, and how many at a time. */
export interface SuiteOptions {
  /** Keeps the cases whose name matches. */
  only?: RegExp | undefined;
  /** Takes a few cases of each fault only. */
  sample?: boolean | undefined;
  /** Environments that work through the cases side by side: mostly they wait for time-outs. */
  lanes: number;
  /** Ends everything early: what was started is stopped, and the rejection says so. */
  signal?: AbortSignal | undefined;
  log: (line: string) => void;
}

/** Runs a fault matrix of dr-test. Cases are made from the steps of a healthy run. */
export async function runSuite<S extends Scene>(suite: Suite<S>, { only, sample, lanes, signal, log }: SuiteOptions): Promise<CaseResult[]> {
  const interrupted = new Promise<never>((_, reject) => {
    signal?.addEventListener('abort', () => reject(new Error('interrupted')), { once: true });
  });
  interrupted.catch(() => undefined);
  const stages = new Stages((ending) => suite.start(log, ending), signal);
  try {
    return await Promise.race([interrupted, runCases()]);
  } finally {
    await stages.end();
  }

  async function runCases(): Promise<CaseResult[]> {
    const points = [...await learnPoints((await stages.of(0)).client, log), ...suite.morePoints ?? []];
    const all = casesOf(suite.faults, points);
    const cases = (sample ? sampleOf(suite, all) : all).filter(({ name }) => only?.test(name) ?? true);
    log(`${points.length} points, ${cases.length} of ${all.length} cases, ${lanes} lanes`);
    const waiting = [...cases];
    const results: CaseResult[] = [];
    await Promise.all(Array.from({ length: lanes }, async (_, lane) => {
      for (let next = waiting.shift(); next; next = waiting.shift()) {
        const result = await runCase(await stages.of(lane), next);
        results.push(result);
        log(`${String(results.length).padStart(3)}/${cases.length} ${result.outcome} ${result.seconds.toFixed(1).padStart(5)} s  ${result.name}: ${result.detail}`);
        // What one case left behind must not fail the next one.
        if (result.outcome !== 'passed') await stages.renew(lane);
      }
    }));
    return cases.map(({ name }) => results.find((result) => result.name === name)).filter((result) => result !== undefined);
  }
}

/** Takes the points from a run that nothing happens to. */
async function learnPoints(client: Scene['client'], log: SuiteOptions['log']): Promise<Point[]> {
  const run = await DrillRun.start(client);
  run.drive();
  const status = await run.ended(120_000);
  const guardian = await run.guardianTimeline();
  if (status !== 'COMPLETED' || !guardian) throw new Error(`the healthy run ended as ${status}`);
  const timeline = await run.timeline();
  log(`a healthy run: ${timeline.phases.filter(({ untilMs }) => untilMs < Number.POSITIVE_INFINITY).map(({ name, fromMs, untilMs }) => `${name} ${((untilMs - fromMs) / 1000).toFixed(1)} s`).join(', ')}`);
  return pointsOf(timeline, guardian);
}

/** Every fault at every point that it strikes. Throws where the healthy run that the points are from never took its target. */
export function casesOf<S extends Scene>(faults: readonly Fault<S>[], points: readonly Point[]): Case<S>[] {
  const lock = points.findIndex(({ step }) => step === 'waiting for the lock');
  const firstOwned = points[lock + 1]?.step;
  if (lock === -1 || firstOwned === undefined) throw new Error('the healthy run never took its target');
  const ofFaults = faults.map((fault) => points.filter((point) => fault.strikes(point)).map((point) => ({ name: caseName(fault, point), fault, point, firstOwned })));
  // In turns: what is wrong with one kind of fault shows early, and lanes do not all wait for the same time-out.
  return points.flatMap((_, turn) => ofFaults.flatMap((cases) => cases[turn] ?? []));
}

function sampleOf<S extends Scene>({ sample }: Suite<S>, all: readonly Case<S>[]): Case<S>[] {
  return sample.flatMap(([fault, where, activity]) => all.findLast((one) => one.fault.name === fault && one.point.where === where && one.point.activity === activity) ?? []);
}
