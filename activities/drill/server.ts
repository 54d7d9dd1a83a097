import { spawn } from 'node:child_process';
import { readFile, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findOnPath, serverEnvironment } from '../archive/host-programs.ts';
import { lookAt } from '../archive/look-at.ts';
import { RecoveryFailure } from '../archive/recovery-failure.ts';
import { withDrillClient } from './client.ts';
import { isolationSettings, type RecoveryGoal } from './configuration.ts';
import { DRILL_VARIABLE, type Drill, drillPaths, socketFile } from './drill.ts';
import { explainEnd, explainPause, explainRefusal } from './explain-server.ts';
import { openToAppend, readSmallFile } from './hostile-files.ts';
import { isolatedCommand } from './isolation.ts';
import { writeMounts } from './mounts.ts';
import { commandOf, identifyProcess, isAlive, type ProcessIdentity, sendSignal, untilGone } from './processes.ts';
import { freeBytes, notEnoughSpace } from './space.ts';

/** A server that was started, and where its log was then. */
export interface StartedServer {
  identity: ProcessIdentity;
  logOffset: number;
}

/**
 * How long a server may take to stop that was told to from outside. Only our own sessions use a drill, and they end with
 * what they ask; but a PostgreSQL whose processes all get SIGTERM at once, as `systemctl restart` of a worker sends it,
 * can start its background writer once more and then wait for it for ever (seen with 18.4). To end it at once costs
 * some replay.
 */
const STOPPING_MS = 5_000;

/** What a recovering server answers. */
export interface RecoveryState {
  inRecovery: boolean;
  replayedLsn: string | null;
  pauseState: string | null;
}

/**
 * Starts the restored server in its own session, so that it outlives this process. Returns at once; see
 * `waitForServer`.
 */
export async function startServer(drill: Drill): Promise<StartedServer> {
  const paths = drillPaths(drill.directory);
  const log = await openToAppend(paths.logFile, 0o600);
  try {
    const logOffset = (await log.stat()).size;
    await writeMounts(drill);
    const overrides = Object.entries({ config_file: join(paths.conf, 'postgresql.conf'), ...isolationSettings(drill) });
    const command = [...gentle(drill), ...isolatedCommand({
      isolation: drill.isolation, name: drill.name, directory: drill.directory, owner: drill.owner,
      command: [join(drill.binDirectory, 'postgres'), '-D', paths.data, ...overrides.flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    })];
    const child = spawn(command[0] as string, command.slice(1), {
      cwd: drill.directory, detached: true, stdio: ['ignore', log.fd, log.fd],
      env: { ...serverEnvironment(), LANG: 'C', [DRILL_VARIABLE]: drill.name },
    });
    const failed = new Promise<never>((_, reject) => child.once('error', reject));
    const spawned = new Promise<void>((resolve) => child.once('spawn', () => resolve()));
    await Promise.race([spawned, failed]).catch((cause: Error) => {
      throw new RecoveryFailure('SERVER_DID_NOT_START', `The restored server could not be started: ${cause.message}`, { cause });
    });
    child.unref();
    const identity = await identifyProcess(child.pid ?? 0);
    return { identity: identity ?? { pid: child.pid ?? 0, startedAt: 'ended' }, logOffset };
  } finally {
    await log.close();
  }
}

/** What its own processes inherit. Not the idle class of the copy: on a busy disk, replay would wait for ever. */
function gentle({ priority }: Pick<Drill, 'priority'>): string[] {
  if (priority === 'normal') return [];
  const [nice, ionice] = [findOnPath('nice'), findOnPath('ionice')];
  return [...(nice ? [nice, '-n', '10'] : []), ...(ionice ? [ionice, '-c', '2', '-n', '7'] : [])];
}

/** The drill's running server, found by its own lock file. */
export async function findServer(drill: Pick<Drill, 'directory'>): Promise<ProcessIdentity | undefined> {
  const text = await readSmallFile(join(drillPaths(drill.directory).data, 'postmaster.pid')).catch(() => '');
  const identity = await identifyProcess(Number(text.split('\n')[0]));
  if (!identity) return undefined;
  // The number may belong to another process by now.
  if (process.platform !== 'linux') return (await commandOf(identity.pid)).includes(drillPaths(drill.directory).data) ? identity : undefined;
  const environment = await readFile(`/proc/${identity.pid}/environ`, 'utf8').catch(() => '');
  const cwd = await stat(`/proc/${identity.pid}/cwd`).catch(() => undefined);
  const data = await stat(drillPaths(drill.directory).data);
  return environment.split('\0').includes(`${DRILL_VARIABLE}=${basename(drill.directory)}`) || (cwd?.ino === data.ino && cwd.dev === data.dev) ? identity : undefined;
}

/**
 * Removes lock files without a word in them: PostgreSQL refuses to start beside one, and a server that was killed between
 * making it and writing it leaves one. For when no server of the drill runs.
 */
export async function removeEmptyLocks(drill: Pick<Drill, 'directory'>): Promise<void> {
  const { data, socket } = drillPaths(drill.directory);
  for (const file of [join(data, 'postmaster.pid'), `${socketFile(socket)}.lock`]) {
    if ((await lookAt(file))?.size === 0) await rm(file, { force: true });
  }
}

/** Stops the drill's server if it runs. `fast` ends it cleanly, `immediate` at once. */
export async function stopDrill(args: { drill: Pick<Drill, 'directory'>; mode: 'fast' | 'immediate'; timeoutMs?: number }): Promise<void> {
  const identity = await findServer(args.drill);
  if (!identity) return;
  sendSignal(identity.pid, args.mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
  let left = await untilGone([identity], args.timeoutMs ?? (args.mode === 'fast' ? 120_000 : 5_000));
  if (left.length === 0) return;
  sendSignal(identity.pid, 'SIGQUIT');
  left = await untilGone([identity], 5_000);
  if (left.length > 0) sendSignal(identity.pid, 'SIGKILL');
  await untilGone([identity], 5_000);
}

/** Whether recovery came to its end, be that to wait or to take writes. */
export function isAtGoal(state: RecoveryState, then: RecoveryGoal['then']): boolean {
  return then === 'pause' ? state.inRecovery && state.pauseState === 'paused' : !state.inRecovery;
}

/**
 * Polls a starting server until it waits or takes writes, whichever it was to do. A server that does the other will never
 * do what it was to, and one that takes the reserve of the file system is stopped.
 * @throws RecoveryFailure `NOT_OUR_DRILL`, `RECOVERY_STOPPED_EARLY`, `RECOVERY_FAILED`, `SERVER_KILLED`, `SERVER_DID_NOT_START`, `UNFIT_HOST`, `COPY_MOVED_ON` or `NOT_ENOUGH_SPACE`, with the server's reason
 */
export async function waitForServer(args: {
  drill: Drill;
  started: StartedServer;
  then: RecoveryGoal['then'];
  onState?: ((state: RecoveryState) => void) | undefined;
  signal?: AbortSignal | undefined;
}): Promise<RecoveryState> {
  const { drill, started, then, signal } = args;
  let stoppingSince: number | undefined;
  for (;;) {
    signal?.throwIfAborted();
    // Looked at before the log, so that the log is complete when the process is gone.
    const alive = await isAlive(started.identity);
    const status = alive ? await readStatus(drill, started.identity) : undefined;
    // A client that comes before leaves two lines in the log each time, and there are many before replay is consistent.
    const state = status === 'ready' ? await readState(drill).catch(async (error: unknown) => {
      // Another server than ours answers.
      if (error instanceof RecoveryFailure) throw error;
      const final = await explainRefusal(drill, started.logOffset, error);
      if (final) throw final;
    }) : undefined;
    if (state) {
      args.onState?.(state);
      if (isAtGoal(state, then)) return state;
      if (!state.inRecovery) throw new RecoveryFailure('COPY_MOVED_ON', 'The copy was promoted where it had to wait, before it could be read there; it must be restored again.');
      if (state.pauseState === 'paused') throw await explainPause(drill, started.logOffset, `at ${state.replayedLsn}, though it had to go on to the end`);
    }
    if (!alive) throw await explainEnd(drill, started.logOffset);
    if (status === 'stopping') {
      stoppingSince ??= performance.now();
      if (performance.now() - stoppingSince > STOPPING_MS) {
        signal?.throwIfAborted();
        await stopDrill({ drill, mode: 'immediate' });
      }
    }
    const free = await freeBytes(drill);
    if (free < drill.reserveBytes) {
      signal?.throwIfAborted();
      await stopDrill({ drill, mode: 'immediate' });
      throw notEnoughSpace('Replay', drill, free);
    }
    await sleep(state ? 20 : 30);
  }
}

/** What the server's lock file says of it in its eighth line: `starting`, `standby`, `ready` or `stopping`. */
async function readStatus(drill: Pick<Drill, 'directory'>, { pid }: ProcessIdentity): Promise<string | undefined> {
  const lines = (await readSmallFile(join(drillPaths(drill.directory).data, 'postmaster.pid')).catch(() => '')).split('\n');
  return Number(lines[0]) === pid ? lines[7]?.trim() : undefined;
}

/** Asks a server that answers. @throws RecoveryFailure `NOT_OUR_DRILL` where another one does; what keeps it from connecting */
export async function readState(drill: Drill): Promise<RecoveryState> {
  return withDrillClient(drill, drill.maintenanceDatabase, async (client) => {
    const { rows } = await client.query(
      `SELECT pg_is_in_recovery() AS "inRecovery", pg_last_wal_replay_lsn()::text AS "replayedLsn",
              CASE WHEN pg_is_in_recovery() THEN pg_get_wal_replay_pause_state() END AS "pauseState"`,
    );
    return rows[0] as RecoveryState;
  });
}
