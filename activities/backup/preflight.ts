import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/common';
import type { Client } from 'pg';
import { CORRECT_ARCHIVE, lookAtArchive } from '../archive/archive-lag.ts';
import { type Archiver, askArchiver } from '../archive/archiver.ts';
import { bytesToCopy } from '../archive/backup-listing.ts';
import type { ArchiveLayout } from '../archive/layout.ts';
import { lackOfRoom } from '../archive/room.ts';
import { type ClosedDirectory, inWords, tryWriting } from '../archive/try-writing.ts';
import { manifestsDirectory } from '../archive-provider/manifests.ts';

/** After three failures the archiver rests for a minute: with what is tried again, so long is waited for it. */
const HICCUP_MS = 15_000;
/** Whoever removes old WAL from an archive keeps that of the last day: what was archived longer ago may rightly be gone. */
const SURELY_KEPT_S = 86_400;

/** What a backup, or a manifest alone, is about to use. */
interface Examined {
  client: Client;
  layout: ArchiveLayout;
  /** Whether its WAL must come into the archive: not where a service keeps it. */
  archives: boolean;
  /** What a backup copies into the repository at most, and what has to stay free there, in bytes; null for a manifest alone. */
  copies: { bytes: number; reserve: number } | null;
}

/**
 * Looks whether it could come to its end, before anything is copied.
 * @throws ApplicationFailure one `PREFLIGHT` that names everything that is wrong; it may be tried again where that is the archiver's trouble alone
 */
export async function checkBackup({ client, layout, archives, copies }: Examined): Promise<void> {
  const ofArchive = archives ? await lookAtSource(client, layout.wal) : undefined;
  const full = copies ? await lookAtRoom(client, layout.incoming, copies) : undefined;
  const closed = await tryWriting([layout.incoming, copies ? layout.backups : manifestsDirectory(layout)], 'provider.repository').catch((error: unknown) => {
    // Where there is no room at all, trying fails of that.
    if (!full) throw error;
    return undefined;
  });
  const ofRepository = [closed, full].filter((problem) => problem !== undefined);
  const problems = [...(ofArchive ? [ofArchive.problem] : []), ...ofRepository.map((problem) => `repository: ${inWords(problem)}`)];
  if (problems.length > 0) throw ApplicationFailure.create({ message: problems.join('; '), type: 'PREFLIGHT', nonRetryable: ofRepository.length > 0 || ofArchive?.mayPass !== true });
}

/** The sizes of the databases hold what is unlogged, too, which is not copied: where there is no room for them, the files that are copied are counted. */
async function lookAtRoom(client: Client, incoming: string, { bytes, reserve }: { bytes: number; reserve: number }): Promise<ClosedDirectory | undefined> {
  return await lackOfRoom(incoming, { bytes, reserve }) && lackOfRoom(incoming, { bytes: await bytesToCopy(client), reserve });
}

async function lookAtSource(client: Client, walDirectory: string): Promise<{ problem: string; mayPass: boolean } | undefined> {
  let archiver = await askArchiver(client, walDirectory);
  for (const end = Date.now() + HICCUP_MS; archiver.trouble?.mayPass && Date.now() < end; archiver = await askArchiver(client, walDirectory)) await sleep(500);
  if (archiver.trouble) return { problem: `archiver: ${inWords(archiver.trouble)}`, mayPass: archiver.trouble.mayPass };
  const lacking = await whatLacks(walDirectory, archiver);
  return lacking && { problem: `WAL archive: ${inWords(lacking)}`, mayPass: false };
}

/** Why what is archived will not be found in a directory; undefined also where nobody can know, since nothing was archived of late. */
export async function whatLacks(walDirectory: string, archiver: Archiver): Promise<ClosedDirectory | undefined> {
  // What the archiver brought until it was switched off may lie elsewhere: what brings WAL here now has been looked at.
  if (archiver.isReceived) return undefined;
  if (archiver.lastArchived === null || (archiver.secondsAgo ?? 0) > SURELY_KEPT_S) return undefined;
  try {
    const { problem } = await lookAtArchive(walDirectory, archiver);
    return problem === null ? undefined : { problem, remedy: `${CORRECT_ARCHIVE}; where it is right, and new or emptied on purpose, SELECT pg_switch_wal() and start again` };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (!['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM'].includes(code ?? '')) throw error;
    return { problem: message, remedy: 'create it, give this user permission to read it, or correct provider.walDirectory' };
  }
}
