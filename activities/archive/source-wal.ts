import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from 'pg';
import { formatLsn } from '../postgres/lsn.ts';
import { isUnreadableHere } from './source-host.ts';
import { parseSegmentFileName, segmentFileName, type TimelineLineage, timelineOfSegment } from './wal.ts';
import type { ReadSegment } from './wal-reader.ts';
import { readSegmentsFrom, scanWal, type WalSummary } from './wal-scan.ts';

/**
 * Reading ends at the first commit that came this much later than `until`. A server reads the clock for a commit right
 * before it writes its record, so one that counts could lie behind that only if its process stood still for a minute in
 * between, or if the clock was set back by as much, and then commit times say nothing anyway.
 */
const MARGIN_MS = 60_000;
/** Recovery may end right behind the header of a page that the source has not begun yet. */
const PAGE_HEADER = 40n;

/** Which WAL is to be counted: from where recovery ended to an instant, of one cluster and the timelines that lead to the source's. */
export interface CountSourceCommitsArgs {
  /** A superuser, or a role that may execute pg_read_binary_file; `null` when the source does not answer. */
  client: Client | null;
  /** Tried first for segments, so that the source has less to read; and the only one when the source is down. */
  walDirectory: string;
  /** The dead source's own pg_wal, which may be on this host; where it cannot be read, `unread` says so. Unlike the archive: that is tried again. */
  sourceWalDirectory?: string | undefined;
  lineage: TimelineLineage;
  segmentSize: number;
  /** Of the recovery point: WAL of another cluster counts nothing. */
  systemIdentifier: string;
  /** Where recovery ended. */
  fromLsn: bigint;
  /** Commits after this instant of the source's clock do not count. */
  until: Date;
  /** Of the WAL before `fromLsn`: see {@link scanWal}. Without it those that lost nothing count, too. */
  nextXid?: number | null | undefined;
  signal?: AbortSignal | undefined;
}

/** What could be counted; a bound from below where `unread` says something. */
export interface SourceCommits extends WalSummary {
  /** `source`: read up to what the living source had flushed; `files`: up to what its disk or the archive still holds. */
  method: 'source' | 'files';
  /** Why commits may lie beyond what could be read, so that their number is not known; null when all are counted. */
  unread: string | null;
}

/**
 * Counts the commits that the source has beyond a position, without a slot: the transactions that a restore lost.
 * After a failover the WAL of the old timeline may end in a segment that exists nowhere but as `.partial`; the source may
 * have removed WAL that the archive does not have; another cluster may answer in its place: then `unread` says so.
 */
export async function countSourceCommits(args: CountSourceCommitsArgs): Promise<SourceCommits> {
  const { client, lineage, segmentSize, systemIdentifier } = args;
  const flushed = client ? await readFlushLsn(client) : undefined;
  const archived = readSegmentsFrom({ directory: args.walDirectory, segmentSize, lineage });
  const { sourceWalDirectory } = args;
  const unreadable: string[] = [];
  const fromDisk = <T>(read: Promise<T>, otherwise: T) => read.catch((error: unknown) => {
    if (!isUnreadableHere(error)) throw error;
    if (error.code !== 'ENOENT') unreadable.push(`the WAL of the source in ${sourceWalDirectory} cannot be read on this host (${error.code})`);
    return otherwise;
  });
  const disk = sourceWalDirectory === undefined ? undefined : readSegmentsFrom({ directory: sourceWalDirectory, segmentSize, lineage });
  const live: ReadSegment | undefined = client ? readSegmentsOfServer({ client, lineage, segmentSize, flushed: flushed ?? 0n }) : disk && ((number) => fromDisk(disk(number), undefined));
  let isCutShort = false;
  const readSegment: ReadSegment = async (number) => {
    const whole = await archived(number);
    const bytes = whole?.length === segmentSize ? whole : await live?.(number);
    if (flushed !== undefined) isCutShort ||= (bytes?.length ?? 0) < Math.min(segmentSize, Number(flushed - number * BigInt(segmentSize)));
    return bytes;
  };
  const summary = await scanWal({ readSegment, segmentSize, systemIdentifier, timeline: lineage.timeline, startLsn: args.fromLsn, limitLsn: flushed, until: args.until, nextXid: args.nextXid, marginMs: MARGIN_MS, signal: args.signal });
  const isUnread = summary.reason !== 'limit' && (flushed === undefined
    ? summary.reason === 'foreign' || goesOnElsewhere([...await namesIn(args.walDirectory), ...(sourceWalDirectory === undefined ? [] : await fromDisk(namesIn(sourceWalDirectory), []))], { summary, lineage, segmentSize })
    // What is flushed is whole: reading ends at its end, or something is wrong.
    : summary.reason !== 'noMoreWal' || isCutShort || flushed + PAGE_HEADER < args.fromLsn);
  return { ...summary, method: client ? 'source' : 'files', unread: unreadable[0] ?? (isUnread ? whyUnread(summary, { lineage, segmentSize, flushed }) : null) };
}

/** None where it is not there. */
async function namesIn(directory: string): Promise<string[]> {
  return readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
}

/** Whether the server went on where this lineage has no WAL: on another timeline, or behind a gap. */
function goesOnElsewhere(names: readonly string[], { summary, lineage, segmentSize }: { summary: WalSummary; lineage: TimelineLineage; segmentSize: number }): boolean {
  const isGap = summary.reason === 'noMoreWal';
  return names.some((name) => {
    const segment = parseSegmentFileName(name, segmentSize);
    return segment !== undefined && segment.segmentNumber >= summary.atSegment && (segment.timeline > lineage.timeline || (isGap && segment.segmentNumber > summary.atSegment));
  });
}

function whyUnread(summary: WalSummary, { lineage, segmentSize, flushed }: { lineage: TimelineLineage; segmentSize: number; flushed: bigint | undefined }): string {
  const name = segmentFileName({ timeline: timelineOfSegment(lineage, summary.atSegment, segmentSize), segmentNumber: summary.atSegment, segmentSize });
  const end = flushed === undefined ? '' : `, and the source is at ${formatLsn(flushed)}`;
  return `the WAL of the source could be read to ${formatLsn(summary.endLsn)} only${end} (${name}: ${summary.detail})`;
}

async function readFlushLsn(client: Client): Promise<bigint> {
  const { rows } = await client.query(`SELECT (pg_current_wal_flush_lsn() - '0/0')::text AS lsn`);
  return BigInt((rows[0] as { lsn: string }).lsn);
}

/** What is asked for at once: it comes as text of twice the size, and the driver cannot take one of half a gigabyte. */
const PIECE_BYTES = 16 * 2 ** 20;

/** Reads segments through SQL, only as far as they are flushed: what lies behind is old or half written. */
export function readSegmentsOfServer(args: { client: Client; lineage: TimelineLineage; segmentSize: number; flushed: bigint; pieceBytes?: number }): ReadSegment {
  const { client, lineage, segmentSize, flushed, pieceBytes = PIECE_BYTES } = args;
  return async (segmentNumber) => {
    const left = flushed - segmentNumber * BigInt(segmentSize);
    if (left <= 0n) return undefined;
    const length = left < BigInt(segmentSize) ? Number(left) : segmentSize;
    const name = segmentFileName({ timeline: timelineOfSegment(lineage, segmentNumber, segmentSize), segmentNumber, segmentSize });
    const pieces: Buffer[] = [];
    for (let offset = 0; offset < length; offset += pieceBytes) {
      const asked = Math.min(pieceBytes, length - offset);
      const { rows } = await client.query('SELECT pg_read_binary_file($1, $2, $3, true) AS bytes', [join('pg_wal', name), offset, asked]);
      const { bytes } = rows[0] as { bytes: Buffer | null };
      if (bytes) pieces.push(bytes);
      // The file is shorter, or it went.
      if (bytes?.length !== asked) break;
    }
    return pieces.length === 0 ? undefined : Buffer.concat(pieces);
  };
}
