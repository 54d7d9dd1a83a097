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
export async function readingCatalog<T>(client: Client, { way, ...of }: Of & { way: Pick<GiveWay, 'wasCancelled'> }, work: () => Promise<T>): Promise<T> {
  return patiently(of, async (error) => sqlState(error) === queryCanceled && way.wasCancelled(client), () => releasingLocks(client, work));
}

/**
 * Reads the catalog as it is now, outside of any transaction, with the same patience: who is refused at the end would have read everything for nothing.
 * @throws {ManifestError} `locked`
 */
export async function readingCatalogAsItIs<T>(of: Of, work: () => Promise<T>): Promise<T> {
  return patiently(of, () => Promise.resolve(false), work);
}

interface Of { database: string; signal: AbortSignal }

async function patiently<T>({ database, signal }: Of, isForOthers: (error: unknown) => Promise<boolean>, work: () => Promise<T>): Promise<T> {
  for (const patience = new LockPatience(); ; ) {
    try {
      return await work();
    } catch (error) {
      throwIfAborted(signal);
      if (!lockRefused.has(sqlState(error)) && !(await isForOthers(error))) throw error;
      if (!patience.goesOn()) throw new ManifestError('locked', `the catalog of database ${database} stayed locked by somebody else: ${(error as Error).message}`, { cause: error });
      await pause(50, signal);
    }
  }
}
