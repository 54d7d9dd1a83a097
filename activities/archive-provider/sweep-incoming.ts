import { readdir, readFile, rm, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import type { Configuration } from '../../contracts/configuration.ts';
import { guardianId } from '../../contracts/guardian.ts';
import { archiveLayout } from '../archive/layout.ts';
import { backupPlace, closeBackupPlace } from '../dr-test/backup-place.ts';
import { PLACE_RECORD } from './drill-place.ts';
import { isAbandoned, OPENING_MS, placeRecord } from './sweep-places.ts';

/**
 * Removes the half-written backups that this host was lost with, as `sweepAbandonedPlaces` does for drills, and by the
 * same rule. Returns what was removed.
 */
export async function sweepAbandonedBackups({ client, configuration }: { client: Client; configuration: Configuration }): Promise<string[]> {
  const removed: string[] = [];
  const repositories = new Set(Object.values(configuration.databases).map(({ provider }) => provider.repository));
  for (const root of repositories) {
    const { incoming } = archiveLayout({ root });
    for (const name of await readdir(incoming).catch(() => [])) {
      const place = join(incoming, name);
      const file = join(place, PLACE_RECORD);
      const text = await readFile(file, 'utf8').catch(() => undefined);
      const call = text === undefined ? undefined : placeRecord.safeParse(JSON.parse(text)).data;
      if (!call || place !== backupPlace(incoming, call)) {
        await removeUnused(place);
        continue;
      }
      const isOverdue = Date.now() - (await stat(file)).mtimeMs > configuration.lease.maximum;
      if (await isAbandoned(client, guardianId(call.owner), isOverdue)) removed.push(...await closeBackupPlace(incoming, call));
    }
  }
  return removed;
}

/** A place that a worker was stopped in the middle of opening. Nothing was written in it, or it is not one of ours. */
async function removeUnused(place: string): Promise<void> {
  const age = Date.now() - (await stat(place).then(({ mtimeMs }) => mtimeMs, () => Date.now()));
  if (!/\/incoming-[0-9a-f]{8}-\d+$/.test(place) || age < OPENING_MS) return;
  await rm(join(place, `${PLACE_RECORD}.part`), { force: true });
  await rmdir(place).catch(() => undefined);
}
