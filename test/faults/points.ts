import { setTimeout as sleep } from 'node:timers/promises';
import type { DrillRun } from './drill-run.ts';
import type { Scene } from './scene.ts';
import type { Timeline } from './timeline.ts';

/** Where in a run a fault strikes. */
export interface Point {
  /** `before`: paused at the boundary; `inside`: an activity of the step is at work; `during`: a phase of the kernel. */
  where: 'before' | 'inside' | 'during';
  /** Step, or phase of the kernel. */
  step: string;
  /** The activity that must be at work; null where people or the lock are waited for. */
  activity: string | null;
  /** What people call it, where that is not the step. */
  label?: string;
}

export const nameOf = ({ where, step, label }: Point): string => `${where} ${label ?? step}`;

/** Inside these activities. */
export const inside = (activities: readonly string[]) => ({ where, activity }: Point): boolean => where === 'inside' && activities.includes(activity ?? '');

/** Whose activity is at work at a point: places are opened, closed and looked for by guardians. */
export const actorOf = ({ activity }: Point): 'run' | 'guardian' => (/^(open|close|prove)/.test(activity ?? '') ? 'guardian' : 'run');

/**
 * The points of a run, from a healthy run's history: before and inside each step that it had, and during each phase that
 * the kernel added. Nothing here knows the steps of dr-test.
 */
export function pointsOf(run: Timeline, guardian: Timeline): Point[] {
  const points: Point[] = [];
  for (const { name } of run.phases) {
    if (points.some(({ step }) => step === name) || name.startsWith('paused') || name === 'succeeded') continue;
    const own = run.activities.find(({ step }) => step === name);
    if (own) points.push({ where: 'before', step: name, activity: own.type }, { where: 'inside', step: name, activity: own.type });
    else if (name === 'tearing down') points.push({ where: 'during', step: name, activity: guardian.activities.find(({ type }) => type.startsWith('close'))?.type ?? null });
    else points.push({ where: 'during', step: name, activity: null });
  }
  return points;
}

/**
 * Leads a run to a point. Returns false when the run went past it; then a fresh run must be tried.
 * @param on.release gives the target to a run that waits for it, where that is what the point comes after
 * @param on.aim called right before an activity begins that the fault is to strike inside
 */
export async function reach(run: DrillRun, point: Point, scene: Scene, { release, aim }: { release: () => void; aim?: () => Promise<void> | undefined }): Promise<boolean> {
  if (point.where === 'before') return run.pauseBefore(point.step);
  if (point.where === 'inside') {
    if (!(await run.pauseBefore(point.step))) return false;
    await scene.linger?.(point);
    await aim?.();
    await run.resume();
    return atWork(run, point, scene);
  }
  if (point.step.startsWith('gate')) return (await run.awaitPhaseOrPause(point.step)) === point.step;
  run.drive();
  const after = point.step === 'evidence' ? 'succeeded' : 'tearing down';
  // Nothing holds the run there.
  if (point.activity === null) return (await run.awaitPhase(new RegExp(`^(${point.step}|${after})$`), 5)) === point.step;
  if (scene.linger) {
    await run.awaitPhase(new RegExp(`^(${point.step}|evidence|${after})$`), 5);
    await scene.linger(point);
  }
  if (point.step === 'waiting for the lock') release();
  return atWork(run, point, scene);
}

/** Waits until the point's activity is at work; false when it has ended already. */
async function atWork(run: DrillRun, point: Point, scene: Scene): Promise<boolean> {
  const of = actorOf(point);
  let seen = false;
  for (const end = Date.now() + 60_000; Date.now() < end; await sleep(10)) {
    const found = (await run.pending(of).catch(() => [])).find((activity) => activity.type === point.activity);
    if (!found && (seen || await hasEnded(run, point))) return false;
    if (!found?.started) continue;
    seen = true;
    if (point.where !== 'inside' || scene.isUnderWay(found.type, run)) return true;
  }
  return false;
}

let looks = 0;
/** Now and then only: reading a whole history takes longer than the activity that is aimed at. */
async function hasEnded(run: DrillRun, point: Point): Promise<boolean> {
  looks += 1;
  if (looks % 50 !== 0) return false;
  const timeline = actorOf(point) === 'guardian' ? await run.guardianTimeline() : await run.timeline();
  return timeline?.activities.some((activity) => activity.type === point.activity && activity.completed) ?? false;
}

/**
 * Whether the run was at the point at this instant, by durable time: its phase had begun and not ended, and no activity
 * of a step was at work where it was to be paused, or the one aimed at was where it was not.
 */
export function wasAt(point: Point, strikeAtMs: number, run: Timeline, guardian: Timeline | undefined): boolean {
  const phase = point.where === 'before' ? `paused before: ${point.step}` : point.step;
  const spans = run.phases.filter(({ name }) => name === phase);
  if (!spans.some(({ fromMs, untilMs }) => fromMs <= strikeAtMs + 1 && strikeAtMs <= untilMs + 1)) return false;
  if (point.activity === null || point.where === 'before') return true;
  const timeline = actorOf(point) === 'guardian' ? guardian : run;
  return timeline?.activities.some(({ type, scheduledMs, endedMs }) => type === point.activity && scheduledMs <= strikeAtMs + 1 && strikeAtMs <= endedMs + 1) ?? false;
}
