import type { ClientConfig } from 'pg';
import type { DatabaseSettings } from '../../contracts/configuration.ts';
import type { Owner } from '../../contracts/ledger.ts';
import { applicationName } from '../kernel/names.ts';
import { sourceConfig, type ResolvePassword } from '../postgres/source.ts';

/**
 * How long a drill waits for one answer of its source. All that it asks is short, the longest being 16 MB of WAL; a host
 * that vanished in the middle of an answer would be noticed by TCP after hours.
 */
const ANSWER_MS = 60_000;

/** How the source of a drill is reached, and for how long it is listened to. */
export interface DrillSource {
  settings: Pick<DatabaseSettings, 'connection'>;
  resolvePassword: ResolvePassword;
  /** Milliseconds that one answer may take. Default: a minute. */
  patienceMs?: number | undefined;
}

/** How a drill connects to its source, which may be dead, or die at any moment: an answer that does not come fails its query. */
export async function drillSource({ settings, resolvePassword, patienceMs = ANSWER_MS }: DrillSource, owner: Owner): Promise<(database?: string) => ClientConfig> {
  const config = await sourceConfig(settings.connection, resolvePassword, applicationName(owner));
  return (database) => ({ ...config(database), query_timeout: patienceMs });
}
