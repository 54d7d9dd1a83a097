import type { DrillPlan } from '../../contracts/dr-test.ts';
import type { Check } from '../../contracts/evidence.ts';
import type { MeasureLossInput } from './drill-activities.ts';
import { lostUntil, type LossDependencies } from './measure-loss.ts';
import type { RecoveryProvider } from './provider.ts';

/** The instant that was asked for, by the clock that commit times are in: the source's, where the provider does not take it as people give it. Null where none was. */
export function askedInstant({ recoverTo, source }: Pick<DrillPlan, 'recoverTo' | 'source'>, { takesInstantsAsGiven }: Pick<RecoveryProvider, 'takesInstantsAsGiven'> = {}): Date | null {
  return recoverTo && new Date(Date.parse(recoverTo.time) + (takesInstantsAsGiven ? 0 : source?.clockSkewSeconds ?? 0) * 1000);
}

/**
 * Whether a recovery to an instant came there. A later commit before which it stopped proves that, and nothing is said.
 * Where the backup holds none, what was committed before the instant may not have been in it yet, however late its last
 * piece arrived: then the WAL that the source has beyond it is asked, and without an answer this check has none.
 */
export async function checkInstant(input: Pick<MeasureLossInput, 'drill' | 'plan' | 'recovered'>, dependencies: LossDependencies): Promise<Check[]> {
  const { plan, recovered: { lastCommitAt, stoppedBeforeLater } } = input;
  const until = askedInstant(plan, dependencies.provider);
  if (until === null || plan.recoverTo === null || stoppedBeforeLater) return [];
  const name = 'asked instant';
  const { time } = plan.recoverTo;
  const end = lastCommitAt === null ? 'the archive holds no commit after the start of the backup' : `nothing in the archive is later than the commit of ${lastCommitAt}`;
  const { lost } = await lostUntil(until, input, dependencies);
  if (lost.knownFrom !== 'archive' && lost.commits === 0) return [{ name, outcome: 'passed', detail: `${end}, and the source committed nothing between that and ${time}` }];
  const missing = lost.knownFrom === 'archive' ? 'what the source committed in between is not known' : `the source committed ${lost.commits} more until then`;
  return [{ name, outcome: 'skipped', detail: `${end}, so ${time} is not proven to be reached: ${missing}; ask for an earlier instant, or for "latest"` }];
}
