import { isAskedFor, PROBE_CHECK } from '../../contracts/asked-checks.ts';
import type { Check, Recovery, Verdict } from '../../contracts/evidence.ts';
import type { DrillPlan } from '../../contracts/dr-test.ts';
import type { FailureType } from '../../contracts/failures.ts';
import { hasFailed } from './summaries.ts';

/** `failure` is what the run then fails with, the first that counts; absent where it succeeds, which it may with an objective missed. */
export interface Finding { verdict: Verdict; failure?: { type: FailureType; message: string } }

/** What a drill has found out. `unsound` outweighs `notProven`, and that outweighs a missed objective. */
export function judge(plan: DrillPlan, checks: readonly Check[], notVerified: readonly string[], recovery: Recovery): Finding {
  const failed = checks.filter((check) => check.outcome === 'failed');
  const restore = failed.length > 0 ? 'unsound' : notVerified.length > 0 || plan.depth === 'quick' ? 'notProven' : 'sound';
  // An application that could not work again has not recovered, however soon it was asked.
  const rta = isRecovered(plan, checks) ? judgedRta(plan, recovery) : null;
  const verdict: Verdict = { restore, rto: objective(rta, recovery.rtoSeconds), rpo: objective(recovery.rpaSeconds, recovery.rpoSeconds) };
  const failure = failureOf(plan, verdict, failed, notVerified);
  return failure ? { verdict, failure } : { verdict };
}

/** The RTA that the configuration holds against the RTO. */
export function judgedRta({ objectives }: Pick<DrillPlan, 'objectives'>, recovery: Recovery): number {
  return { total: recovery.rtaSeconds, withoutWait: recovery.rtaWithoutWaitSeconds, withoutComparison: recovery.rtaWithoutComparisonSeconds }[objectives.rtaIs];
}

/** Whether the application probe, where one was asked for, passed. */
function isRecovered({ probe }: DrillPlan, checks: readonly Check[]): boolean {
  return !probe || checks.some(({ name, outcome }) => name === PROBE_CHECK && outcome === 'passed');
}

/** What is certain while a drill goes on: a difference stays proven whatever becomes of the run after it. Nothing was measured yet. */
export function verdictSoFar(checks: readonly Check[]): Verdict {
  return { restore: hasFailed(checks) ? 'unsound' : null, rto: null, rpo: null };
}

/** Checks that have no answer, as what is not verified: they were asked for. */
export function unanswered(checks: readonly Check[]): string[] {
  return checks.filter((check) => check.outcome === 'skipped').map((check) => `check ${check.name}: ${check.detail}`);
}

/** An objective that was set and could not be measured is missed: nobody knows that it was met. */
function objective(actual: number | null, limit: number | null): 'met' | 'missed' | 'notSet' {
  if (limit === null) return 'notSet';
  return actual !== null && actual <= limit ? 'met' : 'missed';
}

function whatFailed(plan: DrillPlan, failed: readonly Check[]): string {
  if (!failed.every((check) => isAskedFor(plan, check))) return 'the restored database is not what was backed up';
  return `${plan.manifest === null ? 'there was nothing to compare with, and' : 'the comparison found no difference, but'} this failed`;
}

function failureOf(plan: DrillPlan, verdict: Verdict, failed: readonly Check[], notVerified: readonly string[]): Finding['failure'] {
  if (verdict.restore === 'unsound') {
    const more = failed.length > 3 ? ` (and ${failed.length - 3} more)` : '';
    return { type: 'RESTORE_UNSOUND', message: `${whatFailed(plan, failed)}: ${failed.slice(0, 3).map((check) => `${check.name}: ${check.detail}`).join('; ')}${more}` };
  }
  if (verdict.restore === 'notProven' && !plan.allowNotProven && plan.depth !== 'quick') {
    return { type: 'RESTORE_NOT_PROVEN', message: `not everything could be compared: ${notVerified.slice(0, 3).join('; ')}` };
  }
  if (plan.objectives.failWhenMissed && (verdict.rto === 'missed' || verdict.rpo === 'missed')) {
    return { type: 'OBJECTIVE_MISSED', message: `${[verdict.rto === 'missed' ? 'RTO' : '', verdict.rpo === 'missed' ? 'RPO' : ''].filter(Boolean).join(' and ')} missed` };
  }
  return undefined;
}
