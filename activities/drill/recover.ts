import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isFlushing } from '../archive/copy-files.ts';
import { lookAt } from '../archive/look-at.ts';
import { type OnProgress, RecoveryFailure } from '../archive/recovery-failure.ts';
import { historyFileName, parseHistory } from '../archive/wal.ts';
import { formatLsn, parseLsn } from '../postgres/lsn.ts';
import { renewAccess } from './access.ts';
import { writeConfiguration } from './configuration.ts';
import { type Drill, drillMarker, drillPaths } from './drill.ts';
import { refuseRestartedHost } from './host-boot.ts';
import { readSmallFile, replaceFile } from './hostile-files.ts';
import { endProcessesOf } from './processes.ts';
import { explainPause, readInsufficientSetting, storageFailure } from './explain-server.ts';
import { readLogFrom, timeOfLine } from './server-log.ts';
import { findServer, isAtGoal, readState, type RecoveryState, removeEmptyLocks, startServer, type StartedServer, stopDrill, waitForServer } from './server.ts';

/** The largest page header: a position right behind one means the same as the page's beginning. */
const PAGE_HEADER = 40n;

/** A line for each promotion that the source ever had. */
const HISTORY_BYTES = 1_048_576;

/** Which copy, along which timeline. An abort ends the waiting only: the server goes on, for whoever tries next. */
export interface RecoverArgs {
  drill: Drill;
  timeline: number;
  /** Where the WAL begins that is replayed; only for the progress. */
  startLsn?: string | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: OnProgress | undefined;
}

/**
 * Replays WAL up to, and not including, the record at `lsn`, and waits there, readable. Safe to repeat.
 * @throws RecoveryFailure `COPY_MOVED_ON` when it waits elsewhere, `HOST_RESTARTED`, and those of `waitForServer`
 */
export async function recoverToLsnAndPause(args: RecoverArgs & { lsn: string }): Promise<Repeated & { replayedLsn: string }> {
  const { drill, lsn } = args;
  let logOffset = 0;
  await refuseRestartedHost(drill);
  await refusePromoted(drill);
  const waitedAt = await whereItWaits(drill);
  const repetition = timeRepetition(waitedAt);
  if (waitedAt === undefined || waitedAt + PAGE_HEADER < parseLsn(lsn)) {
    await stopForRestart(args, 'immediate');
    await writeConfiguration(drill, { timeline: args.timeline, stopBeforeLsn: lsn, then: 'pause' });
    args.signal?.throwIfAborted();
    const started = await startServer(drill);
    ({ logOffset } = started);
    await waitForServer({ drill, started, then: 'pause', signal: args.signal, onState: reportTo(args, lsn, repetition.look) }).catch((cause: unknown) => {
      if (!(cause instanceof RecoveryFailure) || cause.type !== 'RECOVERY_STOPPED_EARLY') throw cause;
      throw new RecoveryFailure(cause.type, `${cause.message} The target was ${lsn}.`, { cause });
    });
  }
  const replayedLsn = (await readState(drill)).replayedLsn ?? '0/0';
  const replayed = parseLsn(replayedLsn);
  // PostgreSQL also pauses at a setting that is too low, and that may happen right before the target.
  const unfit = await readInsufficientSetting(drill, logOffset);
  if (unfit) throw unfit;
  if (replayed + PAGE_HEADER < parseLsn(lsn)) throw await explainPause(drill, logOffset, `at ${replayedLsn}, before its target ${lsn}`);
  if (replayed > parseLsn(lsn) + PAGE_HEADER) {
    throw new RecoveryFailure('COPY_MOVED_ON', `The copy was already replayed to ${replayedLsn}, beyond ${lsn}; it must be restored again.`);
  }
  return { replayedLsn, repeatedSeconds: repetition.seconds() };
}

/** What a copy that was stopped where it waited has to do once more; it waits to be compared only. */
export interface Repeated {
  /** From its stop until it was back there; 0 for one that did not wait. */
  repeatedSeconds: number;
}

/** How far recovery came. `endLsn` as PostgreSQL prints it, times RFC 3339. */
export interface RecoveredToEnd extends Repeated {
  /** Where recovery ended. */
  endLsn: string;
  newTimeline: number;
  /** When replay was done and promotion began; `null` where the log does not say. Clock of this host. */
  replayDoneAt: string | null;
  /** When the server took writes. Clock of this host. */
  readyAt: string;
}

/**
 * Replays all WAL that the drill has (or up to `target`), promotes, and proves that it came as far as it had to. Safe to
 * repeat.
 * @throws RecoveryFailure `RECOVERY_STOPPED_EARLY`, `RECOVERY_FAILED`, `SERVER_DID_NOT_START`, `HOST_RESTARTED`
 */
export async function recoverToEnd(args: RecoverArgs & { target: { lsn: string } | null; expectedEndLsn: string }): Promise<RecoveredToEnd> {
  const { drill } = args;
  const running = await findServer(drill);
  const repetition = timeRepetition(await whereItWaits(drill));
  let started: StartedServer | undefined;
  if (!running || !(await isPromoted(drill))) {
    if (!(await hasBranchedOff(drill, args.timeline))) await refuseRestartedHost(drill);
    await stopForRestart(args, 'fast');
    await writeConfiguration(drill, { timeline: args.timeline, stopBeforeLsn: args.target?.lsn ?? null, then: 'promote' });
    args.signal?.throwIfAborted();
    started = await startServer(drill);
  }
  await waitForServer({
    drill, started: started ?? { identity: running as NonNullable<typeof running>, logOffset: 0 }, then: 'promote',
    signal: args.signal, onState: reportTo(args, args.expectedEndLsn, repetition.look),
  });
  const readyAt = new Date().toISOString();
  await renewAccess(drill, args.signal);
  const end = await readEndOfRecovery(drill, args.timeline);
  const { text } = await readLogFrom(drillPaths(drill.directory).logFile, started?.logOffset ?? 0);
  const expected = parseLsn(args.target?.lsn ?? args.expectedEndLsn);
  if (end.lsn + PAGE_HEADER < expected || (!args.target && end.lsn < expected)) {
    // PostgreSQL takes WAL that it cannot read for the end of it.
    throw storageFailure(text) ?? new RecoveryFailure(
      'RECOVERY_STOPPED_EARLY',
      `Recovery ended at ${formatLsn(end.lsn)}, but the archive reaches ${formatLsn(expected)}: ${expected - end.lsn} bytes of WAL were not replayed.`,
    );
  }
  return { endLsn: formatLsn(end.lsn), newTimeline: end.timeline, replayDoneAt: timeOfLine(text, 'redo done at')?.toISOString() ?? null, readyAt, repeatedSeconds: repetition.seconds() };
}

/** The history file that promotion wrote says where the old timeline ended; it survives a restart, memory does not. */
async function readEndOfRecovery(drill: Drill, timeline: number): Promise<{ lsn: bigint; timeline: number }> {
  const directory = join(drillPaths(drill.directory).data, 'pg_wal');
  const names = (await readdir(directory)).filter((name) => /^[0-9A-F]{8}\.history$/.test(name)).sort();
  for (const name of names.reverse()) {
    const next = Number.parseInt(name, 16);
    const last = parseHistory(next, await readSmallFile(join(directory, name), HISTORY_BYTES)).ancestors.at(-1);
    if (last?.timeline === timeline && name === historyFileName(next)) return { lsn: last.endLsn, timeline: next };
  }
  throw new RecoveryFailure('RECOVERY_FAILED', `The restored server runs, but did not branch off timeline ${timeline}.`);
}

/**
 * Whether a server brought it to its end, and so to the disk: it begins with that, and keeps to it. That the signal file
 * is gone does not say so where the host lost what it had not written yet.
 */
async function hasBranchedOff(drill: Drill, timeline: number): Promise<boolean> {
  return (await isPromoted(drill)) && readEndOfRecovery(drill, timeline).then(() => true, () => false);
}

/** A predecessor that was stalled may have begun a start: its server must not meet ours; nor ours a successor's. */
async function stopForRestart({ drill, signal }: RecoverArgs, mode: 'fast' | 'immediate'): Promise<void> {
  signal?.throwIfAborted();
  await stopDrill({ drill, mode });
  signal?.throwIfAborted();
  // The copy goes on its way to the disk meanwhile: the server would have to wait for all of it at the end of its recovery.
  await endProcessesOf({ marker: drillMarker(drill.name), directory: drill.directory, spared: isFlushing });
  await removeEmptyLocks(drill);
}

async function whereItWaits(drill: Drill): Promise<bigint | undefined> {
  if (!(await findServer(drill))) return undefined;
  const state = await readState(drill).catch(() => undefined);
  return state !== undefined && isAtGoal(state, 'pause') ? parseLsn(state.replayedLsn ?? '0/0') : undefined;
}

/** From now until a server is seen that is back where it waited. */
function timeRepetition(waitedAt: bigint | undefined): { look: (replayed: bigint) => void; seconds: () => number } {
  const since = performance.now();
  let backAt: number | undefined;
  return {
    look: (replayed) => { if (waitedAt !== undefined && replayed >= waitedAt) backAt ??= performance.now(); },
    seconds: () => (backAt === undefined ? 0 : (backAt - since) / 1000),
  };
}

/** Promotion removes the signal file. */
async function isPromoted(drill: Drill): Promise<boolean> {
  return (await lookAt(join(drillPaths(drill.directory).data, 'recovery.signal'))) === undefined;
}

async function refusePromoted(drill: Drill): Promise<void> {
  if (await isPromoted(drill)) throw new RecoveryFailure('COPY_MOVED_ON', 'The copy is already promoted and cannot be replayed to a position; it must be restored again.');
}

function reportTo(args: RecoverArgs, goal: string, look: (replayed: bigint) => void): (state: RecoveryState) => void {
  const end = Number(parseLsn(goal));
  let start = args.startLsn === undefined ? undefined : Number(parseLsn(args.startLsn));
  return ({ replayedLsn }) => {
    if (replayedLsn === null) return;
    look(parseLsn(replayedLsn));
    const at = Number(parseLsn(replayedLsn));
    start ??= at;
    args.onProgress?.({ phase: 'replay', bytesDone: Math.max(0, Math.min(at, end) - start), bytesTotal: Math.max(0, end - start) });
  };
}

/** Marks a copy as one to be recovered from its archive. */
export async function writeRecoverySignal(drill: Pick<Drill, 'directory' | 'owner'>): Promise<void> {
  await replaceFile(join(drillPaths(drill.directory).data, 'recovery.signal'), '', { mode: 0o600, owner: drill.owner });
}
