import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parseSegmentFileName, segmentFileName } from './wal.ts';

/** What a source's archiver has come to. */
export interface ArchivedSoFar {
  /** The newest file that it has archived; null where there is none yet. */
  lastArchived: string | null;
  /** Bytes. */
  segmentSize: number;
  /** Of its cluster; as WAL names it. */
  systemIdentifier: string;
}

/** How long a backup waits until one segment has come into the archive. */
export const ARCHIVE_TIMEOUT_MS = 10 * 60_000;

/** Names of segments, and of what else archive_command copies. */
const ARCHIVED = /^[0-9A-F]{8}[.0-9A-F]/;

/** What to do about a directory in which nothing of a source's WAL lies. */
export const CORRECT_ARCHIVE = 'correct provider.walDirectory to where archive_command copies to, or look whether its file system is mounted';

/** Farther behind than this, it is rather where the source once archived to than where its WAL is still on its way to. */
const NEAR_SEGMENTS = 256n;
/** Every segment begins with a page header that names its cluster. */
const SYSTEM_IDENTIFIER_AT = 24;

/**
 * What is wrong with a directory that is to be a source's archive: a directory that can be read may still be another one.
 * What the source archived last must be in it, or on its way (`behind` says how many segments it lacks). Where nothing is
 * archived yet, anything of an archive will do.
 */
export async function lookAtArchive(directory: string, so: ArchivedSoFar | undefined): Promise<{ problem: string } | { problem: null; behind: bigint }> {
  const names = await readdir(directory);
  const isArchive = names.some((name) => ARCHIVED.test(name));
  const lastArchived = so?.lastArchived ?? null;
  if (!so || lastArchived === null) return isArchive ? { problem: null, behind: 0n } : { problem: `there is nothing of a WAL archive in ${directory}` };
  const behind = names.includes(lastArchived) ? 0n : await segmentsBehind(directory, names, so);
  if (behind !== undefined) return { problem: null, behind };
  return { problem: `${directory} does not hold ${lastArchived}, which the source archived last; ${isArchive ? 'it holds WAL, but perhaps that of another server' : 'it holds nothing of a WAL archive'}` };
}

/**
 * How many segments an archive lacks up to the one that the source archived last: where archive_command hands over to
 * something that ships later, that is normal. Undefined where none of this server's WAL is near it.
 */
export async function segmentsBehind(directory: string, names: readonly string[], so: ArchivedSoFar): Promise<bigint | undefined> {
  const newest = newestUpTo(names, so);
  return newest && newest.behind <= NEAR_SEGMENTS && await clusterOf(join(directory, newest.name)) === so.systemIdentifier ? newest.behind : undefined;
}

interface Newest { name: string; timeline: number; segmentNumber: bigint; behind: bigint }

/** The newest segment that is not after the one that the source archived last, and how many it is before that. */
function newestUpTo(names: readonly string[], { lastArchived, segmentSize }: ArchivedSoFar): Newest | undefined {
  // What ends in .backup or .partial is named after its segment.
  const last = parseSegmentFileName(lastArchived?.slice(0, 24) ?? '', segmentSize);
  if (!last) return undefined;
  let newest: Newest | undefined;
  for (const name of names) {
    const segment = parseSegmentFileName(name, segmentSize);
    if (segment?.timeline !== last.timeline || segment.segmentNumber > last.segmentNumber) continue;
    const behind = last.segmentNumber - segment.segmentNumber;
    if (newest === undefined || behind < newest.behind) newest = { name, ...segment, behind };
  }
  return newest;
}

/** What something else than the archiver brings to an archive, as pg_receivewal does. */
export interface Received {
  /** How many segments it is before the one that the server writes at present: 1 where it has all that are complete. */
  behind: bigint;
  /** How long ago the newest came, in milliseconds. */
  quietMs: number;
  /** `onItsWay`: what lacks may come at any time. `late`: it should be there by now. `far`: so much lacks that it will rather not come. */
  state: 'onItsWay' | 'late' | 'far';
}

/**
 * Whether WAL comes to an archive by something else than the archiver. Undefined where nothing shows that it does: what the
 * archiver itself brought (up to `byArchiver`, the newest file that it has archived) shows nothing of what comes next.
 *
 * What brings it in batches, as rsync does every few minutes, is always some segments behind: it is not late as long as one came,
 * or the first that lacks was completed, no longer ago than a backup waits for its last one.
 */
export async function lookAtReceived(directory: string, present: ArchivedSoFar, { byArchiver, dataDirectory }: { byArchiver: string | null; dataDirectory: string | null }): Promise<Received | undefined> {
  const newest = newestUpTo(await readdir(directory).catch(() => []), present);
  if (!newest || await clusterOf(join(directory, newest.name)) !== present.systemIdentifier) return undefined;
  const archived = parseSegmentFileName(byArchiver?.slice(0, 24) ?? '', present.segmentSize);
  // What is of an older timeline is older; the history of one comes before its first segment.
  if (archived?.timeline === newest.timeline && newest.segmentNumber <= archived.segmentNumber) return undefined;
  // Not when it was written last, which a copy may keep from where it was before.
  const quietMs = await msSince(join(directory, newest.name), 'ctimeMs');
  const { behind } = newest;
  if (behind > NEAR_SEGMENTS) return { behind, quietMs, state: 'far' };
  if (behind <= 1n || quietMs <= ARCHIVE_TIMEOUT_MS) return { behind, quietMs, state: 'onItsWay' };
  const lacking = segmentFileName({ ...newest, segmentNumber: newest.segmentNumber + 1n, segmentSize: present.segmentSize });
  // Unknown on other hosts, and where the source has removed it by now.
  const completeMs = dataDirectory === null ? Infinity : await msSince(join(dataDirectory, 'pg_wal', lacking), 'mtimeMs');
  return { behind, quietMs, state: completeMs <= ARCHIVE_TIMEOUT_MS ? 'onItsWay' : 'late' };
}

/** How long ago something happened to a file; longer than ever where that cannot be known. */
async function msSince(path: string, what: 'ctimeMs' | 'mtimeMs'): Promise<number> {
  return stat(path).then((found) => Math.max(0, Date.now() - found[what]), () => Infinity);
}

/** System identifier of the server that wrote a segment; undefined where it cannot be read. */
async function clusterOf(path: string): Promise<string | undefined> {
  try {
    const file = await open(path);
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(8), 0, 8, SYSTEM_IDENTIFIER_AT);
      return bytesRead === 8 ? buffer.readBigInt64LE().toString() : undefined;
    } finally {
      await file.close();
    }
  } catch {
    return undefined;
  }
}
