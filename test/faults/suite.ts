import { DrillRun } from './drill-run.ts';
import { startEnvironment, type Environment } from './environment.ts';
import { FAULTS } from './faults.ts';
import { pointsOf, type Point } from './points.ts';
import { caseName, runCase, type Case, type CaseResult } from './run-case.ts';

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

/** Runs the fault matrix of dr-test. Cases are made from the steps of a healthy run. */
export async function runSuite({ only, sample, lanes, signal, log }: SuiteOptions): Promise<CaseResult[]> {
  const interrupted = new Promise<never>((_, reject) => {
    signal?.addEventListener('abort', () => reject(new Error('interrupted')), { once: true });
  });
  interrupted.catch(() => undefined);
  const environments: (Environment | undefined)[] = [];
  try {
    const first = await startEnvironment(log);
    environments.push(first);
    const points = await learnPoints(first.client, log);
    const all = casesOf(points);
    const cases = (sample ? sampleOf(all) : all).filter(({ name }) => only?.test(name) ?? true);
    log(`${points.length} points, ${cases.length} of ${all.length} cases, ${lanes} lanes`);
    const waiting = [...cases];
    interrupted.catch(() => { waiting.length = 0; });
    const results: CaseResult[] = [];
    await Promise.race([interrupted, Promise.all(Array.from({ length: lanes }, async (_, lane) => {
      for (let next = waiting.shift(); next; next = waiting.shift()) {
        const environment = (environments[lane] ??= await startEnvironment(log));
        const result = await runCase(environment, next);
        results.push(result);
        log(`${String(results.length).padStart(3)}/${cases.length} ${result.outcome} ${result.seconds.toFixed(1).padStart(5)} s  ${result.name}: ${result.detail}`);
        if (result.outcome === 'passed') continue;
        // What one case left behind must not fail the next one.
        environments[lane] = undefined;
        await environment.stop();
        if (signal?.aborted) break;
      }
    }))]);
    return cases.map(({ name }) => results.find((result) => result.name === name)).filter((result) => result !== undefined);
  } finally {
    await Promise.all(environments.map(async (environment) => environment?.stop()));
  }
}

/** Takes the points from a run that nothing happens to. */
async function learnPoints(client: Environment['client'], log: SuiteOptions['log']): Promise<Point[]> {
  const run = await DrillRun.start(client);
  run.drive();
  const status = await run.ended(120_000);
  const guardian = await run.guardianTimeline();
  if (status !== 'COMPLETED' || !guardian) throw new Error(`the healthy run ended as ${status}`);
  const timeline = await run.timeline();
  log(`a healthy run: ${timeline.phases.filter(({ untilMs }) => untilMs < Number.POSITIVE_INFINITY).map(({ name, fromMs, untilMs }) => `${name} ${((untilMs - fromMs) / 1000).toFixed(1)} s`).join(', ')}`);
  return pointsOf(timeline, guardian);
}

export function casesOf(points: readonly Point[]): Case[] {
  const lock = points.findIndex(({ step }) => step === 'waiting for the lock');
  const firstOwned = points[lock + 1]?.step;
  if (lock === -1 || firstOwned === undefined) throw new Error('the healthy run never took its target');
  const ofFaults = FAULTS.map((fault) => points.filter((point) => fault.strikes(point)).map((point) => ({ name: caseName(fault, point), fault, point, firstOwned })));
  // In turns: what is wrong with one kind of fault shows early, and lanes do not all wait for the same time-out.
  return points.flatMap((_, turn) => ofFaults.flatMap((cases) => cases[turn] ?? []));
}

/**
 * Of each fault the inside that shows most; those that wait longest come first. By the activity and not by the step, whose
 * name may hold that of a database.
 */
function sampleOf(all: readonly Case[]): Case[] {
  const wanted: readonly [fault: string, where: Point['where'], activity: string | null][] = [
    ['host lost', 'inside', 'copyBackup'], ['worker stopped, run terminated, worker continued', 'inside', 'copyBackup'],
    ['worker stopped and continued', 'inside', 'compareWithManifest'], ['worker killed', 'inside', 'recoverToEnd'], ['run terminated', 'inside', 'recoverToManifest'],
    ['run cancelled', 'during', null],
    ['Temporal server restarted', 'inside', 'copyBackup'], ['restoring PostgreSQL killed', 'inside', 'compareWithManifest'], ['copying process killed', 'inside', 'copyBackup'],
    ['restoring PostgreSQL told to stop', 'inside', 'recoverToManifest'],
  ];
  return wanted.flatMap(([fault, where, activity]) => all.findLast((one) => one.fault.name === fault && one.point.where === where && one.point.activity === activity) ?? []);
}
