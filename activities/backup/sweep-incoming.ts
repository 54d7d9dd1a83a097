import { archiveLayout } from '../archive/layout.ts';
import { closeBackupPlace } from './backup-place.ts';
import { fenceName } from '../kernel/names.ts';
import { sweep, type SweepTools } from '../archive-provider/sweep.ts';

/** Removes the half-written backups that this host was lost with, as `sweepAbandonedPlaces` does for drills. Returns what was removed. */
export async function sweepAbandonedBackups(tools: SweepTools): Promise<string[]> {
  const removed: string[] = [];
  const repositories = new Set(Object.values(tools.configuration.databases).map(({ provider }) => provider.repository));
  for (const root of repositories) {
    const { incoming } = archiveLayout({ root });
    removed.push(...await sweep(incoming, {
      pattern: /^incoming-[0-9a-f]{8}-\d+$/,
      nameOf: ({ owner, fence }) => fenceName('incoming', owner, fence),
      putAside: /^incoming-[0-9a-f]{8}-\d+\.removed$/,
      close: (record, refuse) => closeBackupPlace(incoming, record, refuse),
    }, tools));
  }
  return removed;
}
