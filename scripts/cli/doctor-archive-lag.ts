import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { parseSegmentFileName } from '../../activities/archive/wal.ts';
import type { SourceFacts } from './doctor-source.ts';

/** Farther behind than this, it is rather where the source once archived to than where its WAL is still on its way to. */
const NEAR_SEGMENTS = 256n;
/** Every segment begins with a page header that names its cluster. */
const SYSTEM_IDENTIFIER_AT = 24;

/**
 * How many segments an archive lacks up to the one that the source archived last: where archive_command hands over to
 * something that ships later, that is normal. Undefined where none of this server's WAL is near it.
 */
export async function segmentsBehind(directory: string, names: readonly string[], { lastArchived, segmentSize, systemIdentifier }: SourceFacts): Promise<bigint | undefined> {
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
