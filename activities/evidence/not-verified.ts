import type { Evidence } from '../../contracts/evidence.ts';

/**
 * What was not verified, for people. A run that ended before it compared anything knows only of what it had left out
 * beforehand: on its own, that would read as if all the rest had been compared.
 */
export function notVerifiedReasons({ outcome, steps, notVerified }: Evidence): string[] {
  const hasCompared = steps.some((step) => step.name.startsWith('compare ') && step.outcome === 'done');
  return outcome === 'succeeded' || hasCompared ? notVerified : ['nothing was compared: the run ended before', ...notVerified];
}
