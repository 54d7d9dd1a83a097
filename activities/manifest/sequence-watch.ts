import type { Client } from 'pg';
import { parseLsn } from '../postgres/lsn.ts';
import { restAfterLook } from './pace.ts';
import { listSequences, readPositions, type SequencePosition } from './sequences.ts';
import { pause } from './snapshot.ts';

/** The least time between two readings. */
const LEAST_PAUSE_MS = 100;

/** Readings that are kept: the newest may have come after the position, the one before it hardly ever, the first never. */
const KEPT = 5;

/**
 * Where the sequences stood shortly before a position that is fixed meanwhile, which may take minutes: read before it
 * begins, and then again and again, so that one that is made or restarted while it lasts has a lower bound too.
 *
 * A reading counts when the log ended before the position after it: what it saw was logged by then.
 */
export async function positionsBefore<T extends { lsn: string }>(
  client: Client, signal: AbortSignal, fixPosition: () => Promise<T>,
): Promise<{ result: T; before: ReadonlyMap<number, SequencePosition> }> {
  const readings = [await readWithEnd(client)];
  const fixed = new AbortController();
  const until = AbortSignal.any([signal, fixed.signal]);
  const reading = async (): Promise<void> => {
    for (let busyMs = 0; ; ) {
      await pause(restAfterLook(busyMs, LEAST_PAUSE_MS), until);
      if (until.aborted) return;
      const started = performance.now();
      readings.unshift(await readWithEnd(client, until));
      // The slot may read the log long after it was written: the first reading is the only one that certainly counts.
      if (readings.length > KEPT) readings.splice(KEPT - 1, 1);
      busyMs = performance.now() - started;
    }
  };
  // Not waited for: what raced before must be locked at once. A lost connection ends the manifest by its other questions.
  reading().catch(() => undefined);
  const result = await fixPosition().finally(() => fixed.abort());
  const lsn = parseLsn(result.lsn);
  return { result, before: readings.find(({ end }) => end <= lsn)?.positions ?? new Map<number, SequencePosition>() };
}

async function readWithEnd(client: Client, signal?: AbortSignal): Promise<{ positions: ReadonlyMap<number, SequencePosition>; end: bigint }> {
  const positions = await readPositions(client, await listSequences(client), signal);
  const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
  return { positions, end: parseLsn(rows[0]?.lsn ?? '') };
}
