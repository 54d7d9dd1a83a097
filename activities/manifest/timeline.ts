import type { Client } from 'pg';
import { insufficientPrivilege, sqlState } from './errors.ts';

/** Names of WAL files begin with it. A standby writes none. */
const WRITTEN = 'SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_walfile_name(pg_current_wal_lsn()) END AS file';
/** In `pg_control`: that of the last checkpoint, or of the position up to which it must be recovered, which after a promotion is its end of recovery. */
const KEPT = 'SELECT greatest(c.timeline_id, r.min_recovery_end_timeline) AS timeline FROM pg_control_checkpoint() c, pg_control_recovery() r';
/** Some services let nobody call a function, or do not support it (feature_not_supported). */
const WITHHELD: ReadonlySet<string> = new Set([insufficientPrivilege, '0A000']);

/**
 * The timeline that a server writes. Its last checkpoint may be of the old one for minutes after a promotion, which waits for none. Of a
 * standby, and of a server that does not let us ask, it is the one that is kept.
 */
export async function timelineOf(server: Client): Promise<number> {
  const { rows: [written] } = await server.query<{ file: string | null }>(WRITTEN).catch((error: unknown) => {
    if (!WITHHELD.has(sqlState(error))) throw error;
    return { rows: [] };
  });
  if (written?.file) return Number.parseInt(written.file.slice(0, 8), 16);
  const { rows: [kept] } = await server.query<{ timeline: number }>(KEPT);
  if (!kept) throw new Error('the server did not say on which timeline it is');
  return kept.timeline;
}
