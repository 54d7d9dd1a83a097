import type * as Sdk from '@aws-sdk/client-rds';
import { ApplicationFailure } from '@temporalio/common';
import type { Client } from 'pg';

/** What RDS loads where nothing is set. It counts statements, and does nothing by itself; no list at all cannot be asked for. */
const BY_DEFAULT = 'pg_stat_statements';
/** RDS's own, which it loads whatever is set. */
const OF_RDS = /^rds/;

/** Parameters of the copy in place of its source's: subscriptions that were restored with it would take over their publishers' slots, and libraries such as pg_cron act by themselves. */
export function copyParameters(preloadLibraries: readonly string[]): Sdk.Parameter[] {
  const values = { max_logical_replication_workers: '0', shared_preload_libraries: [...new Set([BY_DEFAULT, ...preloadLibraries])].join(',') };
  return Object.entries(values).map(([ParameterName, ParameterValue]) => ({ ParameterName, ParameterValue, ApplyMethod: 'pending-reboot' }));
}

/**
 * Looks in the copy whether {@link copyParameters} hold: RDS may start it with others, and people may change its group.
 * @throws ApplicationFailure `PREFLIGHT`
 */
export async function requireCopySettings(copy: Client, preloadLibraries: readonly string[]): Promise<void> {
  // What may not be seen is left out there, where SHOW would fail.
  const { rows } = await copy.query<{ name: string; setting: string }>(`SELECT name, setting FROM pg_settings WHERE name IN ('max_logical_replication_workers', 'shared_preload_libraries')`);
  const settings = new Map(rows.map(({ name, setting }) => [name, setting]));
  const [workers, libraries] = [settings.get('max_logical_replication_workers'), settings.get('shared_preload_libraries')];
  const loaded = (libraries ?? '').split(',').map((name) => name.trim().replaceAll('"', '')).filter((name) => name !== '' && name !== BY_DEFAULT && !OF_RDS.test(name) && !preloadLibraries.includes(name));
  const problems = [
    ...(workers === '0' ? [] : [`max_logical_replication_workers is ${workers ?? 'not known'}, and not 0`]),
    ...(libraries === undefined ? ['it does not let its master user see which libraries it has loaded (grant that user pg_read_all_settings at the source)'] : []),
    ...(loaded.length > 0 ? [`it has loaded ${loaded.join(', ')} (name in provider.drill.preloadLibraries what a copy may load)`] : []),
  ];
  if (problems.length > 0) throw ApplicationFailure.nonRetryable(`the copy is not kept from acting by itself: ${problems.join('; ')}; look who changed its parameter group`, 'PREFLIGHT');
}
