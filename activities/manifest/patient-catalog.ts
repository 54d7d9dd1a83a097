import type { Client } from 'pg';
import { ManifestError, lockRefused, queryCanceled, sqlState } from './errors.ts';
import type { GiveWay } from './give-way.ts';
import { LockPatience } from './lock-patience.ts';
import { releasingLocks, throwIfAborted } from './session.ts';
import { pause } from './snapshot.ts';

/**
 * Reads the catalog in a transaction that goes on, and keeps no lock on it. Where others have locked it, or wait for a table
 * that is read with it, it is tried again, with as much patience as for a table: it may come last, and all else depends on it.
 * @throws {ManifestError} `locked`
 */
export async function readingCatalog<T>(client: Client, { database, way, signal }: { database: string; way: Pick<GiveWay, 'wasCancelled'>; signal: AbortSignal }, work: () => Promise<T>): Promise<T> {
  for (const patience = new LockPatience(); ; ) {
    try {
      return await releasingLocks(client, work);
    } catch (error) {
      throwIfAborted(signal);
      const state = sqlState(error);
      if (!lockRefused.has(state) && !(state === queryCanceled && await way.wasCancelled(client))) throw error;
      if (!patience.goesOn()) throw new ManifestError('locked', `the catalog of database ${database} stayed locked by somebody else: ${(error as Error).message}`, { cause: error });
      await pause(50, signal);
    }
  }
}
