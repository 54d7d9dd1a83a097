import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseLsn } from '../postgres/lsn.ts';
import { arrival, awaitOvertaken, firstArrival, isSame, lookAnew, type SeenFile } from './arrival.ts';
import { nameFiles, RecoveryFailure } from './recovery-failure.ts';
import { unreadable } from './unreadable.ts';

const SEGMENT = /^[0-9A-F]{24}$/;

/** One line of a timeline history file: `timeline` ends at `endLsn`, where the next one begins. */
export interface TimelineEnd {
  timeline: number;
  endLsn: bigint;
}

/** A timeline and the ones it came from, oldest first. */
export interface TimelineLineage {
  timeline: number;
  ancestors: TimelineEnd[];
}

/** A segment of the archive that recovery will read. `segmentNumber` counts from the beginning of WAL. */
export interface WalSegment {
  name: string;
  segmentNumber: bigint;
  timeline: number;
  archivedAt: Date;
}

/** Name of the segment file that holds a position; correct for every segment size. */
export function segmentFileName(args: { timeline: number; segmentNumber: bigint; segmentSize: number }): string {
  const perFile = 0x100000000n / BigInt(args.segmentSize);
  const hex = (value: bigint) => value.toString(16).toUpperCase().padStart(8, '0');
  return hex(BigInt(args.timeline)) + hex(args.segmentNumber / perFile) + hex(args.segmentNumber % perFile);
}

/** Inverse of {@link segmentFileName}; `undefined` for what is not a segment's name. */
export function parseSegmentFileName(name: string, segmentSize: number): { timeline: number; segmentNumber: bigint } | undefined {
  if (!SEGMENT.test(name)) return undefined;
  const perFile = 0x100000000n / BigInt(segmentSize);
  const low = BigInt(`0x${name.slice(16)}`);
  if (low >= perFile) return undefined;
  return { timeline: Number.parseInt(name.slice(0, 8), 16), segmentNumber: BigInt(`0x${name.slice(8, 16)}`) * perFile + low };
}

/** Which segment a position is in, counted from the beginning of WAL; a position between two is in the later one. */
export function segmentNumberOf(lsn: bigint, segmentSize: number): bigint {
  return lsn / BigInt(segmentSize);
}

/** Name, in an archive, of the file that says where a timeline comes from; timeline 1 has none. */
export function historyFileName(timeline: number): string {
  return `${timeline.toString(16).toUpperCase().padStart(8, '0')}.history`;
}

/** Reads the contents of such a file. Lines that do not say where a timeline ends, such as comments, are passed over. */
export function parseHistory(timeline: number, text: string): TimelineLineage {
  const ancestors = text
    .split('\n')
    .map((line) => /^\s*(\d+)\s+([0-9A-Fa-f]+\/[0-9A-Fa-f]+)/.exec(line))
    .filter((match) => match !== null)
    .map((match) => ({ timeline: Number(match[1]), endLsn: parseLsn(match[2] ?? '') }));
  return { timeline, ancestors };
}

/**
 * Reads a timeline's history from the archive. Timeline 1 has none.
 * @throws RecoveryFailure `WAL_MISSING`, `UNREADABLE`
 */
export async function readLineage(args: { walDirectory: string; timeline: number }): Promise<TimelineLineage> {
  if (args.timeline === 1) return { timeline: 1, ancestors: [] };
  const name = historyFileName(args.timeline);
  const path = join(args.walDirectory, name);
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'ENOENT') throw unreadable(path, cause, [name]);
    throw new RecoveryFailure('WAL_MISSING', `The archive cannot give ${name}, the history of timeline ${args.timeline}: ${cause.message}`, { files: [name], cause });
  });
  return parseHistory(args.timeline, text);
}

/** The timeline whose file holds a segment. The segment in which a timeline ends belongs to its successor. */
export function timelineOfSegment(lineage: TimelineLineage, segmentNumber: bigint, segmentSize: number): number {
  const owner = lineage.ancestors.find((end) => segmentNumber < segmentNumberOf(end.endLsn, segmentSize));
  return owner?.timeline ?? lineage.timeline;
}

/** What of an archive recovery of one backup may use, and, by their names, which files it may not. */
export interface WalContinuity {
  lineage: TimelineLineage;
  /** What recovery may read, in order, without a gap. */
  segments: WalSegment[];
  historyFiles: string[];
  /** Archived only after `asOf`, so not part of what a disaster at that instant would have left. */
  late: string[];
  /** Half segments that lie in the archive; never used. */
  partial: string[];
}

/** `cp` writes some of a segment in this time, and mostly all of it. Longer than NFS may go on giving a size that it knows (`acregmin`, 3 s). */
const GROWTH_MS = 3_500;

/**
 * By so much may a segment overtake those before it, as where several are shipped at a time. A gap over which newer ones have
 * been for longer is damage at once.
 */
const OVERTAKING_MS = 5_000;

/**
 * Proves that the archive, as it stood at `asOf`, reaches from the start of a backup to its last segment without a gap.
 * When a segment counts as archived: {@link arrival}. Where a plan was made of the archive already, what it saw counts, whatever
 * touched the files while people decided. A short segment at the end of the archive is looked at twice: one that `cp` is still
 * writing has not arrived, whatever the clocks of the archive and of who declared make of its times. One on which `cp` stands
 * still for longer than between the two looks is taken for damage. Segments that lack, or are short, right before one that came
 * a moment ago were perhaps overtaken by it: they are looked at again, and what then comes, or grows, has not arrived either.
 * @throws RecoveryFailure `WAL_MISSING`, `WAL_TRUNCATED`; `ARCHIVE_CHANGED`: it ends before what was planned; `TIME_OUT_OF_RANGE`: all is there, but came only after `asOf`; `ARCHIVE_EMPTY`, `UNREADABLE`. The files are named
 */
export async function checkWalContinuity(args: {
  walDirectory: string;
  timeline: number;
  startLsn: bigint;
  /** Recovery is impossible before this: the end of the backup. */
  mustReachLsn: bigint;
  segmentSize: number;
  asOf: Date;
  /** The last segment that a plan counted on. */
  plannedLast?: string | null;
  /** Milliseconds between the two looks at a short segment. */
  growthMs?: number;
  /** Milliseconds by which a segment may overtake those before it. */
  overtakingMs?: number;
}): Promise<WalContinuity> {
  const { walDirectory, segmentSize, timeline, plannedLast = null, growthMs = GROWTH_MS, overtakingMs = OVERTAKING_MS } = args;
  const names = await readdir(walDirectory).catch((cause: NodeJS.ErrnoException) => {
    throw unreadable(`The WAL archive ${walDirectory}`, cause);
  });
  // That every file was lost is less likely than that this is not the archive.
  if (!names.some((name) => /^[0-9A-F]{8}[.0-9A-F]/.test(name))) throw new RecoveryFailure('ARCHIVE_EMPTY', `There is nothing of a WAL archive in ${walDirectory}; look whether its file system is mounted, and whether provider.walDirectory is where archive_command copies to.`);
  const lineage = await readLineage({ walDirectory, timeline });
  const first = segmentNumberOf(args.startLsn, segmentSize);
  const present = new Map<bigint, SeenFile>();
  const look = async (name: string) => {
    const info = await stat(join(walDirectory, name));
    return { name, size: info.size, archivedAt: arrival(info) };
  };
  for (const name of names) {
    const segment = parseSegmentFileName(name, segmentSize);
    if (!segment || segment.segmentNumber < first) continue;
    if (timelineOfSegment(lineage, segment.segmentNumber, segmentSize) !== segment.timeline) continue;
    present.set(segment.segmentNumber, await look(name));
  }
  // The byte before the end: a backup that stops exactly at a boundary does not need the next segment.
  const mustReach = segmentNumberOf(args.mustReachLsn - 1n, segmentSize);
  const plannedEnd = plannedLast === null ? undefined : parseSegmentFileName(plannedLast, segmentSize)?.segmentNumber;
  const growing = new Set<bigint>();
  const isLate = (number: bigint, archivedAt: Date) => growing.has(number) || (plannedEnd === undefined ? archivedAt.getTime() > args.asOf.getTime() : number > plannedEnd);
  const counted = [...present].filter(([number, { archivedAt }]) => number > mustReach && !isLate(number, archivedAt)).sort(([a], [b]) => Number(a - b));
  const short = counted.slice(counted.findLastIndex(([, { size }]) => size === segmentSize) + 1);
  if (short.length > 0) {
    await sleep(growthMs);
    for (const [number, before] of short) {
      const now = await lookAnew(join(walDirectory, before.name));
      if (!isSame(now, before)) growing.add(number);
    }
  }
  let last = mustReach;
  for (const [number, { archivedAt }] of present) if (number > last && !isLate(number, archivedAt)) last = number;

  const nameOf = (segmentNumber: bigint) => segmentFileName({ timeline: timelineOfSegment(lineage, segmentNumber, segmentSize), segmentNumber, segmentSize });
  const overtaken = new Map<string, bigint>();
  for (let number = first; number < last; number += 1n) {
    const found = present.get(number);
    if (!found || (found.size !== segmentSize && !isLate(number, found.archivedAt))) overtaken.set(nameOf(number), number);
  }
  const [gap = mustReach] = overtaken.values();
  if (gap > mustReach) {
    const overtookAt = firstArrival([...present].filter(([number]) => number > gap).map(([, file]) => file));
    const came = await awaitOvertaken(walDirectory, [...overtaken].map(([name, number]) => ({ name, before: present.get(number) })), overtookAt + overtakingMs);
    for (const file of came) {
      const number = overtaken.get(file.name) as bigint;
      growing.add(number);
      present.set(number, file);
    }
  }

  const segments: WalSegment[] = [];
  const late: string[] = [];
  let neededLate: { name: string; archivedAt: Date } | undefined;
  const missing: string[] = [];
  const truncated: string[] = [];
  for (let number = first; number <= last; number += 1n) {
    const found = present.get(number);
    if (!found) missing.push(nameOf(number));
    else if (late.length > 0 || isLate(number, found.archivedAt)) {
      if (isLate(number, found.archivedAt) && number <= mustReach) neededLate ??= found;
      late.push(found.name);
    }
    else if (found.size !== segmentSize) truncated.push(found.name);
    else segments.push({ name: found.name, segmentNumber: number, timeline: timelineOfSegment(lineage, number, segmentSize), archivedAt: found.archivedAt });
  }
  for (const [number, { name }] of present) if (number > last) late.push(name);
  late.sort();
  const partial = names.filter((name) => name.endsWith('.partial')).sort();
  if (missing.length > 0) {
    const half = partial.filter((name) => missing.includes(name.slice(0, 24)));
    const hint = half.length > 0 ? ` Only half of it was archived: ${nameFiles(half)}.` : '';
    throw new RecoveryFailure('WAL_MISSING', `The WAL archive lacks ${nameFiles(missing)}.${hint}`, { files: missing });
  }
  if (truncated.length > 0) {
    throw new RecoveryFailure('WAL_TRUNCATED', `These WAL segments are not ${segmentSize} bytes long: ${nameFiles(truncated)}.`, { files: truncated });
  }
  if (neededLate) {
    throw new RecoveryFailure('TIME_OUT_OF_RANGE', `At ${args.asOf.toISOString()} the archive did not yet reach the end of the backup: ${neededLate.name} arrived at ${neededLate.archivedAt.toISOString()} (a copy arrives when it is made); choose an older recovery point, or declare a later instant.`, { files: late });
  }
  const end = segments.at(-1)?.name;
  if (plannedLast !== null && end !== plannedLast) {
    throw new RecoveryFailure('ARCHIVE_CHANGED', `The WAL archive changed since the plan was made: it was to be restored up to ${plannedLast} and now ends with ${end ?? 'nothing'}. Look at what removes or moves files in ${walDirectory}, and start the drill again.`, { files: [plannedLast] });
  }
  const historyFiles = [...lineage.ancestors.map((end) => end.timeline), timeline].filter((id) => id > 1).map(historyFileName);
  return { lineage, segments, historyFiles: historyFiles.filter((name) => names.includes(name)), late, partial };
}
