import type { Evidence } from '../../contracts/evidence.ts';
import type { Ending } from './judge-case.ts';
import type { ActivitySpan } from './timeline.ts';

/** Between an event and the workflow's own clock, which is that of the task that saw it. */
const TOLERANCE_MS = 5;

/**
 * What is wrong with the times of a run's evidence: they must be in order, within the life of the run, around what history
 * says that each step's activities took, and what was measured must be made of them.
 * @param life when the run was started, and when it was known to be over, by this process, whose clock is the server's
 */
export function timeProblems({ evidence: [record], run }: Ending, life: { fromMs: number; untilMs: number }): string[] {
  if (!record) return [];
  const problems: string[] = [];
  let latest = life.fromMs;
  const inOrder = (what: string, at: string | null) => {
    const ms = at === null ? NaN : Date.parse(at);
    if (!(ms >= latest - TOLERANCE_MS && ms <= life.untilMs + TOLERANCE_MS)) problems.push(`${what} is at ${at}, which is not between ${new Date(latest).toISOString()} and ${new Date(life.untilMs).toISOString()}`);
    else latest = Math.max(latest, ms);
  };
  inOrder('the start', record.startedAt);
  for (const { name, startedAt, finishedAt } of record.steps) {
    inOrder(`the start of ${name}`, startedAt);
    inOrder(`the end of ${name}`, finishedAt);
    problems.push(...aroundActivities(name, { startedAt, finishedAt }, run.activities.filter(({ step }) => step === name)));
  }
  inOrder('the end', record.finishedAt);
  if (record.teardown.proofs.length === 2) for (const [index, { at }] of record.teardown.proofs.entries()) if (Date.parse(at) > life.untilMs || Date.parse(at) < life.fromMs) problems.push(`proof ${index + 1} is at ${at}`);
  return [...problems, ...measuredProblems(record)];
}

function aroundActivities(name: string, { startedAt, finishedAt }: { startedAt: string; finishedAt: string | null }, activities: readonly ActivitySpan[]): string[] {
  const [first] = activities;
  const last = activities.at(-1);
  if (!first || !last) return [];
  const problems: string[] = [];
  if (Date.parse(startedAt) > first.scheduledMs + TOLERANCE_MS) problems.push(`${name} starts at ${startedAt}, after its activity was scheduled at ${new Date(first.scheduledMs).toISOString()}`);
  // What was cancelled, or outlived its run, has no end in history.
  if (finishedAt !== null && Number.isFinite(last.endedMs) && Date.parse(finishedAt) < last.endedMs - TOLERANCE_MS) problems.push(`${name} ends at ${finishedAt}, before its activity did at ${new Date(last.endedMs).toISOString()}`);
  return problems;
}

/** RTA is from the declaration, here the start, to the end of the last step that recovers; its phases add up to it. */
function measuredProblems({ recovery, steps, startedAt, plan }: Evidence): string[] {
  if (!recovery || recovery.rtaSeconds === null) return [];
  const declaredAt = (plan as { declaredAt?: string } | null)?.declaredAt ?? startedAt;
  const ends = steps.filter(({ name }) => name !== 'measure').map(({ finishedAt }) => Date.parse(finishedAt ?? startedAt));
  const expected = (Math.max(...ends) - Date.parse(declaredAt)) / 1_000;
  const sum = recovery.phases.reduce((total, { seconds }) => total + seconds, 0);
  return [
    ...(Math.abs(expected - recovery.rtaSeconds) > 2 * TOLERANCE_MS / 1_000 ? [`RTA is ${recovery.rtaSeconds} s, and its steps took ${expected.toFixed(3)} s`] : []),
    ...(Math.abs(sum - recovery.rtaSeconds) > 0.02 ? [`the phases of the RTA add up to ${sum.toFixed(3)} s, not to ${recovery.rtaSeconds} s`] : []),
  ];
}
