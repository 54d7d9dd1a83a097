import type { Check, Recovery, Verdict } from '../../contracts/evidence.ts';
import type { DrillPlan } from '../../contracts/dr-test.ts';
import type { FailureType } from '../../contracts/failures.ts';

export interface Finding { verdict: Verdict; failure?: { type: FailureType; message: string } }

/** What a drill has found out. `unsound` outweighs `notProven`, and that outweighs a missed objective. */
export function judge(plan: DrillPlan, checks: readonly Check[], notVerified: readonly string[], recovery: Recovery): Finding {
  const failed = checks.filter((check) => check.outcome === 'failed');
  const restore = failed.length > 0 ? 'unsound' : notVerified.length > 0 || plan.depth === 'quick' ? 'notProven' : 'sound';
  const rta = { total: recovery.rtaSeconds, withoutWait: recovery.rtaWithoutWaitSeconds, withoutComparison: recovery.rtaWithoutComparisonSeconds }[plan.objectives.rtaIs];
  const verdict: Verdict = { restore, rto: objective(rta, recovery.rtoSeconds), rpo: objective(recovery.rpaSeconds, recovery.rpoSeconds) };
  const failure = failureOf(plan, verdict, failed, notVerified);
  return failure ? { verdict, failure } : { verdict };
}

/** What is certain while a drill goes on: a difference stays proven whatever becomes of the run after it. Nothing was measured yet. */
export function verdictSoFar(checks: readonly Check[]): Verdict {
  return { restore: checks.some((check) => check.outcome === 'failed') ? 'unsound' : null, rto: null, rpo: null };
}

/** The owner's checks that have no answer, as what is not verified: they were asked for. */
export function unanswered(checks: readonly Check[]): string[] {
  return checks.filter((check) => check.outcome === 'skipped').map((check) => `check ${check.name}: ${check.detail}`);
}

/** An objective that was set and could not be measured is missed: nobody knows that it was met. */
function objective(actual: number | null, limit: number | null): 'met' | 'missed' | 'notSet' {
  if (limit === null) return 'notSet';
  return actual !== null && actual <= limit ? 'met' : 'missed';
}

function failureOf(plan: DrillPlan, verdict: Verdict, failed: readonly Check[], notVerified: readonly string[]): Finding['failure'] {
  if (verdict.restore === 'unsound') {
    const more = failed.length > 3 ? ` (and ${failed.length - 3} more)` : '';
    return { type: 'RESTORE_UNSOUND', message: `the restored database is not what was backed up: ${failed.slice(0, 3).map((check) => `${check.name}: ${check.detail}`).join('; ')}${more}` };
  }
  if (verdict.restore === 'notProven' && !plan.allowNotProven && plan.depth !== 'quick') {
    return { type: 'RESTORE_NOT_PROVEN', message: `not everything could be compared: ${notVerified.slice(0, 3).join('; ')}` };
  }
  if (plan.objectives.failWhenMissed && (verdict.rto === 'missed' || verdict.rpo === 'missed')) {
    return { type: 'OBJECTIVE_MISSED', message: `${[verdict.rto === 'missed' ? 'RTO' : '', verdict.rpo === 'missed' ? 'RPO' : ''].filter(Boolean).join(' and ')} missed` };
  }
  return undefined;
}
