import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { destroyDrill } from '../../../activities/drill/destroy.ts';
import type { Drill } from '../../../activities/drill/drill.ts';
import { probeIsolation } from '../../../activities/drill/isolation.ts';
import { prepareDrill } from '../../../activities/drill/prepare.ts';
import { recoverToLsnAndPause } from '../../../activities/drill/recover.ts';
import { checkWalContinuity } from '../../../activities/archive/wal.ts';
import { parseLsn } from '../../../activities/postgres/lsn.ts';
import type { Site } from './site.ts';

/** A restored copy that waits at the manifest's position, for rows that compare it again and again. */
export async function startPausedDrill(site: Site): Promise<{ drill: Drill; stop: () => Promise<void> }> {
  const { point, layout, manifest } = await site.recoveryPoint('shop');
  const { binDirectory, runAs } = await site.binaries();
  const drillsDirectory = join(site.root, 'paused');
  await mkdir(drillsDirectory, { mode: 0o711 });
  await chmod(drillsDirectory, 0o711);
  const owner = { name: 'paused-1', run: 'bench', fence: '1' };
  const stop = async () => void (await destroyDrill({ ...owner, drillsDirectory, productionPaths: [point.sourceDataDirectory, layout.root, layout.wal] }));
  try {
    const { drill, wal } = await prepareDrill({
      ...owner, drillsDirectory, layout, point, binDirectory, owner: runAs ?? null, isolation: await probeIsolation(runAs ?? null), until: null, reserveBytes: 0,
      wal: await checkWalContinuity({
        walDirectory: layout.wal, timeline: point.timeline, startLsn: parseLsn(point.startLsn), mustReachLsn: parseLsn(point.stopLsn),
        segmentSize: point.walSegmentSize, asOf: new Date(),
      }),
    });
    await recoverToLsnAndPause({ drill, timeline: wal.timeline, startLsn: wal.startLsn, lsn: manifest.databases.find(({ database }) => database === 'shop')?.lsn ?? '' });
    return { drill, stop };
  } catch (error) {
    await stop().catch(() => undefined);
    throw error;
  }
}
