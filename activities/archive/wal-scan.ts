import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { RecoverySettings } from '../../contracts/recovery-point.ts';
import { nameFiles, RecoveryFailure } from './recovery-failure.ts';
import { segmentFileName, timelineOfSegment, type TimelineLineage } from './wal.ts';
import { isBefore, MaintenanceWatch } from './maintenance.ts';
import { type ReadSegment, walkWal, type WalEnd, WalStop } from './wal-reader.ts';
import { readCommit, readNextXid, readParameterChange, readTablespaceCreation, type WalCommit } from './wal-record.ts';

/** What a stretch of WAL holds. */
export interface WalSummary extends WalEnd {
  /** Transactions that ended in this stretch (of those committed no later than `until`). */
  commits: number;
  /** Those beside them that lost nothing, such as ANALYZE and VACUUM; 0 unless {@link ScanWalArgs.nextXid} is given. */
  maintenance: number;
  /** No transaction with this id or a later one has a record in this stretch or before it; null where that is not known. */
  nextXid: number | null;
  /** The one with the latest commit time; `null` where there is none. */
  lastCommit: WalCommit | null;
  /** The first one later than `until`: recovery to that instant stops before it. */
  firstCommitAfter: WalCommit | null;
  /**
   * Before which record recovery to `until` stops; `null` where nothing here is later. It is that of `firstCommitAfter`, or of
   * a tablespace that was made after the last commit before it: the same is committed at both, and at the first it is not made.
   */
  stopLsn: bigint | null;
  /** Tablespaces made in this stretch: replay of these records would make them at their original places. */
  tablespaceCreations: { oid: number; location: string; lsn: bigint }[];
  /** What the source's settings became in this stretch, each time it started with other ones. */
  parameterChanges: RecoverySettings[];
}

/** Which WAL to look through, and which of its commits count. */
export interface ScanWalArgs {
  readSegment: ReadSegment;
  segmentSize: number;
  timeline: number;
  startLsn: bigint;
  limitLsn?: bigint | undefined;
  /** See {@link walkWal}. */
  systemIdentifier?: string | undefined;
  /** Leaves out commits after this instant of the source's clock. */
  until?: Date | undefined;
  /** Stops at the first commit that is later than `until` by more than this, for commit times are nearly in order. Default: never. */
  marginMs?: number | undefined;
  verifyChecksums?: boolean;
  /** Of the stretch before this one: transactions that begin here and are maintenance do not count as commits. */
  nextXid?: number | null | undefined;
  onCommit?: (commit: WalCommit) => void;
  signal?: AbortSignal | undefined;
}

/** Counts the commits between two positions and finds where valid WAL ends. */
export async function scanWal(args: ScanWalArgs): Promise<WalSummary> {
  let commits = 0;
  let maintenance = 0;
  let nextXid: number | null = null;
  const watch = typeof args.nextXid === 'number' ? new MaintenanceWatch(args.nextXid) : undefined;
  let lastCommit: WalCommit | null = null;
  let firstCommitAfter: WalCommit | null = null;
  let stopLsn: bigint | null = null;
  let createdSinceCommit: bigint | null = null;
  const tablespaceCreations: WalSummary['tablespaceCreations'] = [];
  const parameterChanges: WalSummary['parameterChanges'] = [];
  const end = await walkWal({
    readSegment: args.readSegment,
    segmentSize: args.segmentSize,
    timeline: args.timeline,
    startLsn: args.startLsn,
    limitLsn: args.limitLsn,
    systemIdentifier: args.systemIdentifier,
    verifyChecksums: args.verifyChecksums ?? true,
    signal: args.signal,
    onRecord: (record) => {
      const next = readNextXid(record) ?? (record.xid === 0 ? undefined : record.xid + 1);
      // Before the first that a server said itself, what was seen is no bound.
      if (next !== undefined && (nextXid === null ? record.xid === 0 : isBefore(nextXid, next))) nextXid = next;
      watch?.see(record);
      const created = readTablespaceCreation(record);
      if (created) {
        const lsn = BigInt(record.lsn);
        tablespaceCreations.push({ ...created, lsn });
        createdSinceCommit ??= lsn;
      }
      const changed = readParameterChange(record);
      if (changed) parameterChanges.push(changed);
      const commit = readCommit(record);
      if (!commit) return;
      if (args.until && commit.committedAt > args.until) {
        firstCommitAfter ??= commit;
        stopLsn ??= createdSinceCommit ?? commit.lsn;
        if (args.marginMs !== undefined && commit.committedAt.getTime() - args.until.getTime() > args.marginMs) throw new WalStop('limit', '');
        return;
      }
      createdSinceCommit = null;
      const isMaintenance = watch?.ends(commit.xid) === true;
      if (isMaintenance && !commit.prepared && !commit.hasSubtransactions) {
        maintenance += 1;
        return;
      }
      commits += 1;
      // Commit times are not in the order of WAL: take the latest, not the last.
      if (!lastCommit || commit.committedAt >= lastCommit.committedAt) lastCommit = commit;
      args.onCommit?.(commit);
    },
  });
  return { ...end, commits, maintenance, nextXid, lastCommit, firstCommitAfter, stopLsn, tablespaceCreations, parameterChanges };
}

/** Reads segments from a directory. `names`, where given, are the only files that may be read. */
export function readSegmentsFrom(args: {
  directory: string;
  segmentSize: number;
  lineage: TimelineLineage;
  names?: ReadonlySet<string>;
}): ReadSegment {
  return async (segmentNumber) => {
    const { segmentSize, lineage } = args;
    const timeline = timelineOfSegment(lineage, segmentNumber, segmentSize);
    const name = segmentFileName({ timeline, segmentNumber, segmentSize });
    if (args.names && !args.names.has(name)) return undefined;
    const file = await open(join(args.directory, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (!file) return undefined;
    try {
      const bytes = Buffer.allocUnsafe(segmentSize);
      let filled = 0;
      while (filled < segmentSize) {
        const { bytesRead } = await file.read(bytes, filled, segmentSize - filled, filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return bytes.subarray(0, filled);
    } finally {
      await file.close();
    }
  };
}

/**
 * Scans archived WAL that is continuous by name, and proves that its contents are too: valid WAL must end in the last
 * segment, else an earlier one is damaged.
 * @throws RecoveryFailure `WAL_DAMAGED`, naming the segment
 */
export async function scanArchivedWal(
  args: Omit<ScanWalArgs, 'readSegment' | 'timeline'> & { directory: string; lineage: TimelineLineage; segments: readonly { name: string; segmentNumber: bigint }[] },
): Promise<WalSummary> {
  const { directory, lineage, segments, segmentSize } = args;
  const names = new Set(segments.map((segment) => segment.name));
  const summary = await scanWal({ ...args, timeline: lineage.timeline, readSegment: readSegmentsFrom({ directory, segmentSize, lineage, names }) });
  const last = segments.at(-1)?.segmentNumber ?? -1n;
  if (summary.reason === 'noMoreWal' && summary.atSegment > last) return summary;
  // An archived segment is full or ends with a switch, so WAL that ends inside one is damaged there.
  if (summary.reason !== 'limit') {
    const name = segments.find((segment) => segment.segmentNumber === summary.atSegment)?.name ?? nameFiles([...names].slice(-1));
    throw new RecoveryFailure('WAL_DAMAGED', `WAL segment ${name} is damaged: ${summary.detail}.`, { files: [name] });
  }
  return summary;
}
