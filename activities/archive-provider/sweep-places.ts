import { closePlace, placeName } from './drill-place.ts';
import { findAbandoned, sweep, type SweepTools } from './sweep.ts';

/** Removes the drills that this host was lost with, when a worker starts and now and then. Returns what was removed. */
export async function sweepAbandonedPlaces(tools: SweepTools): Promise<string[]> {
  const { databases, drills: { directory } } = tools.configuration;
  return sweep(directory, {
    pattern: /^[0-9a-f]{8}-\d+$/,
    nameOf: placeName,
    close: (record) => {
      const provider = databases[record.database]?.provider;
      return closePlace(directory, record, provider ? [provider.repository, provider.walDirectory] : []);
    },
  }, tools);
}

/** The drills on this host whose runs are over, and whose guardians have given them up. See {@link findAbandoned}. */
export function findAbandonedPlaces(tools: SweepTools): Promise<{ place: string; workflowId: string }[]> {
  return findAbandoned(tools.configuration.drills.directory, { nameOf: placeName }, tools);
}
