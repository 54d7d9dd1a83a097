import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseSegmentFileName } from './wal.ts';

/** What a source's archiver has come to. */
export interface ArchivedSoFar {
  /** The newest file that it has archived; null where there is none yet. */
  lastArchived: string | null;
  /** Bytes. */
  segmentSize: number;
  /** Of its cluster; as WAL names it. */
  systemIdentifier: string;
}

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
export async function segmentsBehind(directory: string, names: readonly string[], { lastArchived, segmentSize, systemIdentifier }: ArchivedSoFar): Promise<bigint | undefined> {
  // What ends in .backup or .partial is named after its segment.
  const last = parseSegmentFileName(lastArchived?.slice(0, 24) ?? '', segmentSize);
  if (!last) return undefined;
  let newest: { name: string; behind: bigint } | undefined;
  for (const name of names) {
    const segment = parseSegmentFileName(name, segmentSize);
    if (segment?.timeline !== last.timeline || segment.segmentNumber > last.segmentNumber) continue;
    const behind = last.segmentNumber - segment.segmentNumber;
    if (newest === undefined || behind < newest.behind) newest = { name, behind };
  }
  return newest && newest.behind <= NEAR_SEGMENTS && await clusterOf(join(directory, newest.name)) === systemIdentifier ? newest.behind : undefined;
}

/**
 * How far what something else than the archiver brings to an archive, as pg_receivewal does, is behind the segment that a server
 * writes at present: 1 where it has all that are complete. Undefined where nothing shows that something does: what the archiver
 * itself brought (up to `byArchiver`, the newest file that it has archived) shows nothing of what comes next.
 */
export async function receivedBehind(directory: string, present: ArchivedSoFar, byArchiver: string | null): Promise<bigint | undefined> {
  const names = await readdir(directory).catch(() => []);
  const behind = await segmentsBehind(directory, names, present);
  if (behind === undefined || byArchiver === null) return behind;
  const [now, archived] = [present.lastArchived, byArchiver].map((name) => parseSegmentFileName(name?.slice(0, 24) ?? '', present.segmentSize));
  // What is of an older timeline is older; the history of one comes before its first segment.
  return now && archived && archived.timeline === now.timeline && now.segmentNumber - behind <= archived.segmentNumber ? undefined : behind;
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
