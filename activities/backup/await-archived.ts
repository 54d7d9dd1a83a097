import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { RecoveryFailure } from '../archive/recovery-failure.ts';

/**
 * Writes a record after the manifest's position and closes its segment: recovery stops at a position only when it sees
 * a record beyond it, and an idle source would write none. Returns the segment that must be archived, and its size in bytes.
 */
export async function markEndOfManifest(client: Client, id: string): Promise<{ segment: string; segmentSize: number }> {
  const { rows: [row] } = await client.query<{ segment: string; segmentSize: number }>(
    `SELECT pg_walfile_name(pg_create_restore_point($1)) AS segment, pg_size_bytes(current_setting('wal_segment_size'))::int AS "segmentSize"`, [`runbook ${id}`.slice(0, 63)]);
  await client.query('SELECT pg_switch_wal()');
  if (!row) throw new Error('pg_create_restore_point returned nothing');
  return row;
}

/** Waits until a segment is in the archive, with its last byte: one that is being copied has its name from the first on. */
export async function awaitSegment(args: { directory: string; segment: string; segmentSize: number; timeoutMs: number; signal: AbortSignal; onWait: () => void }): Promise<void> {
  const deadline = Date.now() + args.timeoutMs;
  for (;;) {
    if (await stat(join(args.directory, args.segment)).then(({ size }) => size === args.segmentSize, () => false)) return;
    if (Date.now() > deadline) {
      throw new RecoveryFailure('WAL_MISSING', `${args.segment} did not arrive whole in ${args.directory} within ${args.timeoutMs / 1000} s; look at pg_stat_archiver of the source`, { files: [args.segment] });
    }
    args.onWait();
    await sleep(100, undefined, { signal: args.signal });
  }
}
