import { lookAt } from '../archive/look-at.ts';
import { refuseOpenToOthers } from '../drill/private-place.ts';
import { closePlace, placeName } from './drill-place.ts';
import { findPlaces, sweep, type FoundPlace, type SweepTools } from './sweep.ts';

/** Removes the drills that this host was lost with, when a worker starts and now and then. Returns what was removed. */
export async function sweepAbandonedPlaces(tools: SweepTools): Promise<string[]> {
  const { databases, drills: { directory } } = tools.configuration;
  try {
    // What others may put there says nothing of what is abandoned.
    if (await lookAt(directory) !== undefined) await refuseOpenToOthers(directory);
  } catch (error) {
    tools.onStuck(directory, error as Error);
    return [];
  }
  return sweep(directory, {
    pattern: /^[0-9a-f]{8}-\d+$/,
    nameOf: placeName,
    close: (record) => {
      const provider = databases[record.database]?.provider;
      return closePlace(directory, record, provider ? [provider.repository, provider.walDirectory] : []);
    },
  }, tools);
}

/** The drills on this host, and which of them nobody guards any more. See {@link findPlaces}. */
export function findDrills(tools: SweepTools): Promise<FoundPlace[]> {
  return findPlaces(tools.configuration.drills.directory, { nameOf: placeName }, tools);
}
