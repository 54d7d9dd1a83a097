import type { Client } from 'pg';
import type { ManifestCost } from '../../contracts/manifest.ts';
import { ManifestError } from './errors.ts';
import type { ManifestLimits } from './limits.ts';

/** What is watched, and how it is told about the slot. */
export interface CostWatch {
  watchSlot(name: string): void;
  /** Looks now, besides the regular looks: a slot may last for less than the time between two. */
  measure(): Promise<void>;
  stop(): void;
}

/**
 * Watches what a reading costs the server, and stops it when a limit is passed: a snapshot holds back vacuum, a slot
 * holds back WAL, and both hurt long after the reading would have been useful.
 */
export function watchCost(options: { control: Client; limits: ManifestLimits; cost: ManifestCost; stopping: AbortController }): CostWatch {
  const { control, limits, cost, stopping } = options;
  const started = performance.now();
  let slot: string | undefined;
  let asking = false;
  const tick = async (): Promise<void> => {
    const ageMs = performance.now() - started;
    cost.longestSnapshotMs = Math.max(cost.longestSnapshotMs, ageMs);
    if (ageMs > limits.maxXminAgeMs) {
      stopping.abort(new ManifestError('snapshotTooOld', `the reading held back vacuum for ${Math.round(ageMs)} ms, the limit is ${limits.maxXminAgeMs}: allow more connections, a higher duty cycle or a longer time`));
      return;
    }
    if (slot === undefined || asking) return;
    asking = true;
    try {
      const { rows } = await control.query<{ bytes: string | null }>(
        'SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::text AS bytes FROM pg_replication_slots WHERE slot_name = $1', [slot]);
      const bytes = Number(rows[0]?.bytes ?? 0);
      cost.walRetainedBytes = Math.max(cost.walRetainedBytes, bytes);
      if (bytes > limits.maxRetainedWalBytes) {
        stopping.abort(new ManifestError('tooMuchWalRetained', `the slot held back ${bytes} bytes of WAL, the limit is ${limits.maxRetainedWalBytes}: end the long transaction that keeps it waiting, or allow more`));
      }
    } finally {
      asking = false;
    }
  };
  // A failed question is no reason to stop: the reading notices a lost server by itself.
  const timer = setInterval(() => { tick().catch(() => undefined); }, Math.min(500, Math.max(10, limits.maxXminAgeMs / 4)));
  return {
    watchSlot: (name) => { slot = name; },
    measure: tick,
    stop: () => { clearInterval(timer); cost.longestSnapshotMs = Math.max(cost.longestSnapshotMs, performance.now() - started); },
  };
}
