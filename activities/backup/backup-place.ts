import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ClientConfig } from 'pg';
import type { AbsenceProof } from '../../contracts/ledger.ts';
import { PLACE_RECORD, placeRecord } from '../archive-provider/drill-place.ts';
import { lookAt } from '../archive/look-at.ts';
import { makePlace } from '../archive/try-writing.ts';
import { writeDurably } from '../archive/write-durably.ts';
import { applicationName, fenceName } from '../kernel/names.ts';
import { lookForSourceSessions } from '../postgres/run-sessions.ts';
import type { BackupPlaceCall, BackupRef } from './backup-activities.ts';

/** Where one run may write its backup before it is published: a directory that only the guardian makes and removes. */
export function backupPlace(incoming: string, { owner, fence }: Pick<BackupRef, 'owner' | 'fence'>): string {
  return join(incoming, fenceName('incoming', owner, fence));
}

/**
 * Opens the fence. What is published are directories and files in it, never its record.
 * @throws RecoveryFailure `UNFIT_HOST` where this user may not make it
 */
export async function openBackupPlace(incoming: string, call: BackupPlaceCall): Promise<void> {
  const place = backupPlace(incoming, call);
  await makePlace(incoming, place, { mode: 0o700, setting: 'provider.repository' });
  await writeDurably(join(place, PLACE_RECORD), placeRecord(call));
}

/** Ends the name of a place that is being removed. */
const PUT_ASIDE = '.removed';

/**
 * Revokes the fence: removes the place with all that was written in it; returns what that was. It loses its name first:
 * a stalled predecessor that publishes meanwhile must find all of it or nothing, never what is left half way. `refuse` is
 * asked right before that, and throws where the place is somebody's again.
 */
export async function closeBackupPlace(incoming: string, call: Pick<BackupRef, 'owner' | 'fence'>, refuse: () => Promise<void> = () => Promise.resolve()): Promise<string[]> {
  const place = backupPlace(incoming, call);
  const aside = `${place}${PUT_ASIDE}`;
  const written = [...new Set((await Promise.all([place, aside].map((path) => readdir(path).catch(() => [])))).flat())].filter((name) => !name.startsWith(PLACE_RECORD));
  // An earlier attempt may have come half way.
  await removeAside(aside);
  await refuse();
  await rename(place, aside).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  await removeAside(aside);
  return written.length > 0 ? [`a half-written backup in ${place}: ${written.join(', ')}`] : [];
}

async function removeAside(aside: string): Promise<void> {
  await rm(aside, { recursive: true, force: true, maxRetries: 3 });
}

/**
 * Looks whether the place, or a session or slot of the run at the source, is left: `lookForSourceSessions` says for which
 * attempt. A backup's slots are temporary ones, which end with their sessions.
 */
export async function proveBackupPlaceAbsent(incoming: string, call: BackupPlaceCall, source: ClientConfig, attempt = 1): Promise<AbsenceProof> {
  const place = backupPlace(incoming, call);
  const paths = [place, `${place}${PUT_ASIDE}`];
  const left = (await Promise.all(paths.map(async (path) => (await lookAt(path)) ? [path] : []))).flat();
  const { looked, found } = await lookForSourceSessions(source, applicationName(call.owner), attempt);
  return { at: new Date().toISOString(), looked: [...paths, looked], found: [...left, ...found] };
}
