import { join } from 'node:path';
import type { Client } from 'pg';
import { formatLsn } from '../postgres/lsn.ts';
import { RecoveryFailure } from './recovery-failure.ts';
import { segmentFileName, segmentNumberOf, type TimelineLineage, timelineOfSegment } from './wal.ts';
import type { ReadSegment } from './wal-reader.ts';
import { readSegmentsFrom, scanWal, type WalSummary } from './wal-scan.ts';

/**
 * Reading ends at the first commit that came this much later than `until`. A server reads the clock for a commit right
 * before it writes its record, so one that counts could lie behind that only if its process stood still for a minute in
 * between, or if the clock was set back by as much, and then commit times say nothing anyway.
 */
const MARGIN_MS = 60_000;

export interface CountSourceCommitsArgs {
  /** A superuser, or a role that may execute pg_read_binary_file; `null` when the source does not answer. */
  client: Client | null;
  /** Tried first for segments, so that the source has less to read; and the only one when the source is down. */
  walDirectory: string;
  /** The dead or living source's own pg_wal where it is on this host. */
  sourceWalDirectory?: string | undefined;
  lineage: TimelineLineage;
  segmentSize: number;
  /** Where recovery ended. */
  fromLsn: bigint;
  /** Commits after this instant of the source's clock do not count. */
  until: Date;
  signal?: AbortSignal | undefined;
}

export interface SourceCommits extends WalSummary {
  /** `source`: read up to what the living source had flushed; `files`: up to what its disk or the archive still holds. */
  method: 'source' | 'files';
}

/**
 * Counts the commits that the source has beyond a position, without a slot: the transactions that a restore lost.
 * @throws RecoveryFailure `WAL_MISSING` when the source removed WAL that the archive does not have
 */
export async function countSourceCommits(args: CountSourceCommitsArgs): Promise<SourceCommits> {
  const { client, lineage, segmentSize } = args;
  const flushed = client ? await readFlushLsn(client) : undefined;
  const archived = readSegmentsFrom({ directory: args.walDirectory, segmentSize, lineage });
  const live = client ? readSegmentsOfServer({ client, lineage, segmentSize, flushed: flushed ?? 0n })
    : args.sourceWalDirectory ? readSegmentsFrom({ directory: args.sourceWalDirectory, segmentSize, lineage }) : undefined;
  const readSegment: ReadSegment = async (number) => {
    const whole = await archived(number);
    return whole?.length === segmentSize ? whole : live?.(number);
  };
  const summary = await scanWal({ readSegment, segmentSize, timeline: lineage.timeline, startLsn: args.fromLsn, limitLsn: flushed, until: args.until, marginMs: MARGIN_MS, signal: args.signal });
  if (flushed !== undefined && summary.reason === 'noMoreWal' && segmentNumberOf(summary.endLsn, segmentSize) < segmentNumberOf(flushed, segmentSize)) {
    const name = segmentFileName({ timeline: timelineOfSegment(lineage, summary.atSegment, segmentSize), segmentNumber: summary.atSegment, segmentSize });
    throw new RecoveryFailure('WAL_MISSING', `Lost transactions cannot be counted: neither the source nor the archive has ${name} (read to ${formatLsn(summary.endLsn)}).`, { files: [name] });
  }
  return { ...summary, method: client ? 'source' : 'files' };
}

async function readFlushLsn(client: Client): Promise<bigint> {
  const { rows } = await client.query(`SELECT (pg_current_wal_flush_lsn() - '0/0')::text AS lsn`);
  return BigInt((rows[0] as { lsn: string }).lsn);
}

/** Reads segments through SQL, only as far as they are flushed: what lies behind is old or half written. */
export function readSegmentsOfServer(args: { client: Client; lineage: TimelineLineage; segmentSize: number; flushed: bigint }): ReadSegment {
  const { client, lineage, segmentSize, flushed } = args;
  return async (segmentNumber) => {
    const left = flushed - segmentNumber * BigInt(segmentSize);
    if (left <= 0n) return undefined;
    const length = left < BigInt(segmentSize) ? Number(left) : segmentSize;
    const name = segmentFileName({ timeline: timelineOfSegment(lineage, segmentNumber, segmentSize), segmentNumber, segmentSize });
    const { rows } = await client.query('SELECT pg_read_binary_file($1, 0, $2, true) AS bytes', [join('pg_wal', name), length]);
    const { bytes } = rows[0] as { bytes: Buffer | null };
    // A recycled file may have grown: it is not read past what was flushed.
    return bytes?.subarray(0, length);
  };
}
