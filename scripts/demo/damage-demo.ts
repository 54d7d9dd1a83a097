import { closeSegments } from './close-segments.ts';
import { damageBackup, readColdTables, type Damage, type DamageKind } from './damage.ts';
import type { DemoEnvironment } from './environment.ts';

/** One that recovery needs in the middle, and one after it. */
const SEGMENTS_AFTER_BACKUP = 2;

/** Breaks a backup of the demo in one way, drawn by the seed if no kind is given. */
export async function damageDemo({ production, repository }: Pick<DemoEnvironment, 'production' | 'repository'>, how: { backupId: string; seed: number; kind?: DamageKind }): Promise<Damage> {
  // A small demo may have written one segment since the backup began: none of its WAL would be missed.
  await closeSegments(production, SEGMENTS_AFTER_BACKUP);
  return damageBackup({ ...how, repository, walDirectory: production.archiveDirectory, coldTables: await readColdTables(production.config) });
}
