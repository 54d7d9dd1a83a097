import { readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { AbsenceProof, PlaceCall } from '../../contracts/ledger.ts';
import { lookAt } from '../archive/look-at.ts';
import { makePlace } from '../archive/try-writing.ts';
import { writeDurably } from '../archive/write-durably.ts';
import { RecoveryFailure } from '../archive/recovery-failure.ts';
import { destroyDrill, endDrill, proveAbsent } from '../drill/destroy.ts';
import { readSmallFile } from '../drill/hostile-files.ts';
import { refuseOpenToOthers } from '../drill/private-place.ts';
import type { PreparedDrill } from '../drill/prepare.ts';
import { SOCKET_PATH_BYTES, socketPathBytes } from '../drill/socket-path.ts';
import { ApplicationFailure } from '@temporalio/common';
import type { DrillPlaceCall, DrillRef } from '../dr-test/drill-activities.ts';
import { fenceName, ownerTag } from '../kernel/names.ts';

/** Where one run may have its drill: a directory that only the guardian makes and removes. */
export interface DrillPlace { directory: string; name: string; run: string; fence: string }

/** What a place says of itself, for a worker that finds it after its guardian is gone. */
export const PLACE_RECORD = 'place.json';

/** Content of {@link PLACE_RECORD}. When its lease ends is by this host's clock, as is whoever looks. */
export function placeRecord({ database, owner, fence, leaseMs }: PlaceCall & { database: string }): string {
  return JSON.stringify({ database, owner, fence, ...(leaseMs === undefined ? {} : { leaseEndsAt: new Date(Date.now() + leaseMs).toISOString() }) });
}

/** Name of the place's directory. */
export function placeName({ owner, fence }: Pick<DrillRef, 'owner'> & { fence: number | '<fence>' }): string {
  return `${ownerTag(owner)}-${fence}`;
}

/** The place of a run under a fence, whether it is there or not: the same for every call, so that each process finds it. */
export function drillPlace(drillsDirectory: string, { owner, fence }: Pick<DrillRef, 'owner' | 'fence'>): DrillPlace {
  return { directory: join(drillsDirectory, placeName({ owner, fence })), name: fenceName('d', owner, fence), run: ownerTag(owner), fence: String(fence) };
}

/** Fences count the runs of a target: a directory that is short enough today must be so after years. */
const LATE_FENCE = 999_999;

/** How long the paths of drills' sockets get in a directory for drills, and what is wrong where that is too long. */
export function roomForSockets(drillsDirectory: string): { bytes: number; lacking: { problem: string; remedy: string } | null } {
  const { directory, name } = drillPlace(drillsDirectory, { owner: { workflowId: '', firstExecutionRunId: '' }, fence: LATE_FENCE });
  const bytes = socketPathBytes(join(directory, name));
  if (bytes <= SOCKET_PATH_BYTES) return { bytes, lacking: null };
  const problem = `sockets of drills in ${drillsDirectory} would have paths of up to ${bytes} bytes, and ${SOCKET_PATH_BYTES} are possible`;
  return { bytes, lacking: { problem, remedy: `shorten the path in drills.directory by ${bytes - SOCKET_PATH_BYTES} bytes` } };
}

/**
 * Opens the fence. The database server's user must be able to walk through, and nobody can list it.
 * @throws RecoveryFailure `UNSAFE_PATH` where others could exchange it, `UNFIT_HOST` where this user may not make it
 */
export async function openPlace(drillsDirectory: string, call: DrillPlaceCall): Promise<void> {
  // Before, so that nothing is made at the far end of somebody's link; and below again, for what was there already.
  await refuseOpenToOthers(drillsDirectory);
  const { directory } = drillPlace(drillsDirectory, call);
  await makePlace(drillsDirectory, directory, { mode: 0o711, setting: 'drills.directory' });
  await refuseOpenToOthers(directory);
  await writeDurably(join(directory, PLACE_RECORD), placeRecord(call));
}

/**
 * Revokes the fence: destroys the drill and removes its place, without which nothing can be made again. `refuse` is asked
 * before each removal, and throws where the place is somebody's again.
 * @throws RecoveryFailure `UNSAFE_PATH`, to be tried again, where others could exchange the place for something else that would be removed; its processes are ended then
 */
export async function closePlace(drillsDirectory: string, call: DrillPlaceCall, productionPaths: readonly string[], refuse: () => Promise<void> = async () => undefined): Promise<string[]> {
  const place = drillPlace(drillsDirectory, call);
  const destroyed = new Set<string>();
  // Data directory and tablespaces of the source; a place that never got so far has nothing that could be one.
  const { hiddenPaths: hidden, isolation } = await recallDrill(place).then(({ drill }) => drill, () => ({ hiddenPaths: [], isolation: undefined }));
  for (let round = 1; ; round += 1) {
    await refuse();
    // One that is not there is anybody's to make, and is looked at in the next round.
    const isOurs = await lookAt(place.directory) !== undefined;
    if (isOurs) await refuseOpenToOthers(place.directory).catch((cause: Error) => endAndRefuse(place, cause));
    const { existed, processesEnded } = await destroyDrill({ ...place, drillsDirectory: place.directory, productionPaths: [...productionPaths, ...hidden], hasOwnIpc: isolation?.mounts === 'isolated', refuse });
    if (existed) destroyed.add(`directory ${join(place.directory, place.name)}`);
    if (processesEnded > 0) destroyed.add(`${processesEnded} processes`);
    await refuse();
    try {
      if (isOurs) {
        for (const name of await readdir(place.directory)) if (name !== place.name) await rm(join(place.directory, name), { force: true });
        await rmdir(place.directory);
      }
      if (!await lookAt(place.directory)) return [...destroyed];
      if (round === 5) throw new Error(`${place.directory} is made anew again and again`);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return [...destroyed];
      // A stalled predecessor made something between the two; the next round removes it, and then nothing can be made.
      if (code !== 'ENOTEMPTY' || round === 5) throw error;
    }
  }
}

/** What runs is none the less ours; and whoever may write there now may be told not to. */
async function endAndRefuse(place: DrillPlace, cause: Error): Promise<never> {
  await endDrill({ name: place.name, drillsDirectory: place.directory });
  throw cause instanceof RecoveryFailure ? new RecoveryFailure(cause.type, cause.message, { mayPass: true, cause }) : cause;
}

/** Looks for the drill's processes, shared memory and directory. Safe to repeat; throws what keeps it from looking at directories. */
export async function provePlaceAbsent(drillsDirectory: string, call: DrillPlaceCall): Promise<AbsenceProof> {
  const place = drillPlace(drillsDirectory, call);
  const { looked, findings } = await proveAbsent({ name: place.name, drillsDirectory: place.directory });
  const left = await lookAt(place.directory) ? [`directory ${place.directory} exists`] : [];
  return { at: new Date().toISOString(), looked: [...looked, `directory ${place.directory}`], found: [...findings, ...left] };
}

const prepared = z.custom<PreparedDrill>((value) => typeof value === 'object' && value !== null && 'drill' in value && 'wal' in value);

/** Remembers what copying made, for the activities after it, whichever process runs them. */
export async function rememberDrill(place: DrillPlace, drill: PreparedDrill): Promise<void> {
  await writeDurably(join(place.directory, 'prepared.json'), JSON.stringify(drill));
}

/** More than a drill of any number of tablespaces comes to. */
const PREPARED_BYTES = 4 * 2 ** 20;

/** What {@link rememberDrill} kept. Throws `FENCED` when the place is gone. */
export async function recallDrill(place: DrillPlace): Promise<PreparedDrill> {
  const text = await readSmallFile(join(place.directory, 'prepared.json'), PREPARED_BYTES).catch((cause: Error) => {
    throw ApplicationFailure.create({ message: `the drill in ${place.directory} is gone; its fence was revoked`, type: 'FENCED', nonRetryable: true, cause });
  });
  return prepared.parse(JSON.parse(text));
}
