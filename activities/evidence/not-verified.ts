import { DrTest } from '../../contracts/dr-test.ts';
import type { Evidence } from '../../contracts/evidence.ts';

/**
 * What was not verified, for people. A drill that ended before it compared anything knows only of what it had left out
 * beforehand: on its own, that would read as if all the rest had been compared.
 */
export function notVerifiedReasons(evidence: Evidence): string[] {
  const { runbook, outcome, notVerified } = evidence;
  return runbook !== DrTest.type || outcome === 'succeeded' || hasCompared(evidence) ? notVerified : ['nothing was compared: the run ended before', ...notVerified];
}

/** Whether a drill compared something, or got past the place where it would have: a backup may have no manifest to compare with. */
function hasCompared({ steps, checks }: Evidence): boolean {
  // A comparison that found a difference is a failed step, too, and unlike one that broke it leaves a failed check.
  const foundSomething = checks.some(({ outcome }) => outcome === 'failed');
  return steps.some(({ name, outcome }) => name === 'replay to the end' || (name.startsWith('compare ') && (outcome === 'done' || (outcome === 'failed' && foundSomething))));
}
