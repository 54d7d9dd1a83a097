import type { Check } from '../../contracts/evidence.ts';
import type { DatabaseSettings } from '../../contracts/configuration.ts';
import { sourceConfig, withClient, type ResolvePassword } from '../postgres/source.ts';
import type { LossResult, MeasureLossInput } from './drill-activities.ts';
import type { LostCommits, RecoveryProvider } from './provider.ts';
import { applicationName } from '../kernel/names.ts';

/**
 * What a restore to `declaredAt` would have lost: the commits that the source had at that instant and the drill does
 * not. They are read from the source's own WAL, so their number is exact and an idle source has lost nothing.
 */
export async function measureLoss(
  { drill, plan, recovered }: MeasureLossInput,
  { settings, resolvePassword, provider }: { settings: DatabaseSettings; resolvePassword: ResolvePassword; provider: RecoveryProvider },
): Promise<LossResult> {
  const skewMs = (plan.source?.clockSkewSeconds ?? 0) * 1000;
  // Commit times are the source's clock; the instant of the disaster is ours.
  const until = new Date(Date.parse(plan.declaredAt) + skewMs);
  const query = { endLsn: recovered.endLsn, until };
  const config = await sourceConfig(settings.connection, resolvePassword, applicationName(drill.owner));
  const live = plan.source === null ? undefined : await withClient(config(), (source) => provider.lostCommits(drill, { ...query, source })).catch(() => undefined);
  const lost = live ?? (await provider.lostCommits(drill, { ...query, source: null }));
  return resultOf(lost, recovered.lastCommitAt, plan.source?.clockSkewSeconds ?? null, plan.recoverTo !== null);
}

function resultOf(lost: LostCommits, lastRecoveredAt: string | null, clockSkewSeconds: number | null, toATime: boolean): LossResult {
  const checks: Check[] = [];
  const where = lost.method === 'source' ? "the source's own WAL" : 'what is left of WAL in the archive and on disk (the source did not answer), so later commits are not known';
  const target = toATime ? '; recovery aimed at an instant, so what came after it counts as lost' : '';
  if (lost.commits === 0) {
    return { rpaSeconds: 0, lostTransactions: 0, clockSkewSeconds, checks, method: `every transaction that the source had committed at the instant of declaration is in the restored database, according to ${where}${target}` };
  }
  const lastAtSource = lost.lastCommitAt === null ? null : Date.parse(lost.lastCommitAt);
  const lastRecovered = lastRecoveredAt === null ? null : Date.parse(lastRecoveredAt);
  const rpaSeconds = lastAtSource === null || lastRecovered === null ? null : Math.max(0, (lastAtSource - lastRecovered) / 1000);
  return { rpaSeconds, lostTransactions: lost.commits, clockSkewSeconds, checks, method: `last commit of the source before the instant of declaration against the last commit in the restored database, counted in ${where}${target}` };
}
