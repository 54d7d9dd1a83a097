import { lookAt } from '../archive/look-at.ts';
import { endDrill } from '../drill/destroy.ts';
import { refuseOpenToOthers } from '../drill/private-place.ts';
import { closePlace, drillPlace, placeName } from './drill-place.ts';
import { findPlaces, sweep, type FoundPlace, type SweepTools } from './sweep.ts';
import { keptIn } from './kept-in.ts';

/**
 * Removes the drills that this host was lost with, when a worker starts and now and then. Where others could exchange them
 * for something else it ends their processes only. Returns what was removed and ended.
 */
export async function sweepAbandonedPlaces(tools: SweepTools): Promise<string[]> {
  const { databases, drills: { directory } } = tools.configuration;
  const kind = { pattern: /^[0-9a-f]{8}-\d+$/, nameOf: placeName };
  try {
    if (await lookAt(directory) !== undefined) await refuseOpenToOthers(directory);
  } catch (error) {
    tools.onStuck(directory, error as Error);
    return sweep(directory, {
      ...kind,
      mayRemove: false,
      close: async (record) => {
        const place = drillPlace(directory, record);
        const ended = await endDrill({ name: place.name, drillsDirectory: place.directory });
        return ended > 0 ? [`${ended} processes of ${place.directory}`] : [];
      },
    }, tools);
  }
  return sweep(directory, {
    ...kind,
    close: (record, refuse) => {
      const provider = databases[record.database]?.provider;
      return closePlace(directory, record, provider ? keptIn(provider) : [], refuse);
    },
  }, tools);
}

/** The drills on this host, and which of them nobody guards any more. See {@link findPlaces}. */
export function findDrills(tools: SweepTools): Promise<FoundPlace[]> {
  return findPlaces(tools.configuration.drills.directory, { nameOf: placeName }, tools);
}
