import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ownerTag } from '../../activities/kernel/names.ts';
import type { DrillRun } from './drill-run.ts';
import type { Environment } from './environment.ts';
import { drillProcesses, isCopying, isPostgres } from './host-processes.ts';
import type { Point } from './points.ts';
import type { WorkerProcess } from './worker-process.ts';

export interface Target { environment: Environment; run: DrillRun; point: Point }

/** A fault that was really delivered: when, and what shows it. What it set in motion ends with `relieve`. */
export interface Struck {
  atMs: number;
  proof: string;
  /** Called once the run and its guardian are closed: what was taken away comes back. */
  relieve?: () => Promise<void>;
}

export interface Fault {
  name: string;
  /** How the run must end. `recovered`: sound, as if nothing had happened. */
  expected: 'recovered' | 'terminated' | 'cancelled' | 'hostLost';
  /** The activity aimed at must have been tried again. */
  retried: boolean;
  strikes(point: Point): boolean;
  /** Delivers the fault; null when there was nothing to strike. */
  strike(target: Target): Promise<Struck | null>;
}

/** Longer than the heartbeat time-out of activities on the host of the drill (10 s). */
const PAST_HEARTBEAT_MS = 11_500;
/** Work that needs the restored server. */
const WITH_SERVER = ['recoverToManifest', 'compareWithManifest', 'recoverToEnd', 'runChecks', 'probeApplication'];
/** Work on the host of the drill that takes long enough to be stopped in. */
const LONG = ['copyBackup', 'recoverToManifest', 'compareWithManifest', 'recoverToEnd'];

/** Boundaries, phases of the kernel, and the inside of what takes long. */
const anywhere = ({ where, activity }: Point): boolean => where !== 'inside' || LONG.includes(activity ?? '');
const inside = (activities: readonly string[]) => ({ where, activity }: Point): boolean => where === 'inside' && activities.includes(activity ?? '');

async function killed({ environment }: Target): Promise<number | null> {
  const atMs = Date.now();
  return (await environment.worker.signal('SIGKILL')) ? atMs : null;
}

async function stopped(worker: WorkerProcess): Promise<number | null> {
  const atMs = Date.now();
  if (!(await worker.signal('SIGSTOP'))) return null;
  // A process stops when the last of its threads has: one that waits for a disk takes its time (89 ms were measured).
  for (const end = atMs + 5_000; Date.now() < end; await sleep(5)) if (await worker.isStopped()) return atMs;
  // Left like this it would stop later, and nobody would wake it.
  await worker.signal('SIGCONT');
  return null;
}

/** Wakes a worker whose work was given to another one; the environment keeps the other. */
async function wake(environment: Environment, sleeper: WorkerProcess, successor: WorkerProcess): Promise<boolean> {
  const wasStopped = await sleeper.isStopped();
  await sleeper.signal('SIGCONT');
  environment.worker = successor;
  return wasStopped && sleeper.isAlive();
}

const workerKilled: Fault = {
  name: 'worker killed', expected: 'recovered', retried: true, strikes: anywhere,
  async strike(target) {
    const atMs = await killed(target);
    if (atMs === null) return null;
    target.environment.worker = await target.environment.startWorker();
    return { atMs, proof: 'kill -9 ended the worker' };
  },
};

const workerStopped: Fault = {
  name: 'worker stopped and continued', expected: 'recovered', retried: true, strikes: anywhere,
  async strike({ environment, run, point }) {
    const sleeper = environment.worker;
    const atMs = await stopped(sleeper);
    if (atMs === null) return null;
    const successor = await environment.startWorker();
    run.drive();
    await sleep(PAST_HEARTBEAT_MS - (Date.now() - atMs));
    const of = point.step === 'tearing down' ? 'guardian' : 'run';
    // Not before the work was given to somebody else: then it would only have been slow.
    for (const end = Date.now() + 70_000; Date.now() < end; await sleep(50)) {
      const pending = (await run.pending(of).catch(() => undefined))?.find(({ type }) => type === point.activity);
      if (!pending || pending.attempt > 1 || point.where === 'before') break;
    }
    const woken = await wake(environment, sleeper, successor);
    return woken ? { atMs, proof: `stopped for ${((Date.now() - atMs) / 1000).toFixed(0)} s, then continued`, relieve: () => retire(sleeper) } : null;
  },
};

/** The run is dead and torn down by others while its worker sleeps; what the sleeper does afterwards must do nothing. */
const workerStoppedRunTerminated: Fault = {
  name: 'worker stopped, run terminated, worker continued', expected: 'terminated', retried: false, strikes: inside(LONG),
  async strike({ environment, run }) {
    const sleeper = environment.worker;
    const atMs = await stopped(sleeper);
    if (atMs === null) return null;
    await run.handle.terminate('faults');
    const successor = await environment.startWorker();
    await run.ended(150_000);
    const woken = await wake(environment, sleeper, successor);
    return woken ? { atMs, proof: 'slept while its run was terminated and torn down', relieve: () => retire(sleeper) } : null;
  },
};

/** Time for the late writes of a worker that was woken. */
async function retire(sleeper: WorkerProcess): Promise<void> {
  await sleep(2_500);
  await sleeper.signal('SIGTERM');
}

const runTerminated: Fault = {
  name: 'run terminated', expected: 'terminated', retried: false, strikes: anywhere,
  async strike({ run }) {
    const atMs = Date.now();
    const delivered = await run.handle.terminate('faults').then(() => true, () => false);
    return delivered ? { atMs, proof: 'WorkflowExecutionTerminated' } : null;
  },
};

const runCancelled: Fault = {
  // From the teardown on there is nothing left to cancel: the run ends as it would have.
  name: 'run cancelled', expected: 'cancelled', retried: false, strikes: (point) => anywhere(point) && point.step !== 'tearing down' && point.step !== 'evidence',
  async strike({ run }) {
    const atMs = Date.now();
    const delivered = await run.handle.cancel().then(() => true, () => false);
    return delivered ? { atMs, proof: 'WorkflowExecutionCancelRequested' } : null;
  },
};

const serverRestarted: Fault = {
  name: 'Temporal server restarted', expected: 'recovered', retried: false, strikes: (point) => point.where !== 'before' && anywhere(point),
  async strike({ environment }) {
    const atMs = Date.now();
    return (await environment.restartServer()) ? { atMs, proof: 'kill -9 ended the server; another answers' } : null;
  },
};

const postgresKilled: Fault = {
  name: 'restoring PostgreSQL killed', expected: 'recovered', retried: false,
  strikes: inside(WITH_SERVER),
  async strike({ environment, run }) {
    const pid = await readPostmaster(environment, run);
    if (pid === undefined) return null;
    const atMs = Date.now();
    return send(pid, 'SIGKILL') ? { atMs, proof: `kill -9 of postmaster ${pid}` } : null;
  },
};

/** As `systemctl restart` of the worker does to all in its control group, without the worker, whose end other faults are. */
const postgresTold: Fault = {
  name: 'restoring PostgreSQL told to stop', expected: 'recovered', retried: false,
  strikes: inside(WITH_SERVER),
  async strike({ environment, run }) {
    const atMs = Date.now();
    const told = drillProcesses({ owner: run.owner, drillsDirectory: environment.drillsDirectory }).filter((one) => isPostgres(one) && send(one.pid, 'SIGTERM'));
    return told.length > 0 ? { atMs, proof: `SIGTERM to ${told.length} processes of the server` } : null;
  },
};

const copyKilled: Fault = {
  name: 'copying process killed', expected: 'recovered', retried: true, strikes: inside(['copyBackup']),
  async strike({ environment, run }) {
    const copying = drillProcesses({ owner: run.owner, drillsDirectory: environment.drillsDirectory }).find(isCopying);
    const atMs = Date.now();
    return copying && send(copying.pid, 'SIGKILL') ? { atMs, proof: `kill -9 of process ${copying.pid}` } : null;
  },
};

const hostLost: Fault = {
  name: 'host lost', expected: 'hostLost', retried: false,
  strikes: (point) => inside([...LONG, 'runChecks'])(point) || (point.where === 'during' && point.step !== 'evidence') || (point.where === 'before' && point.activity === 'checkDrillIsPossible'),
  async strike(target) {
    const { environment } = target;
    const atMs = await killed(target);
    if (atMs === null) return null;
    // Runs go on elsewhere; only this host's own task queue has nobody. Not earlier: it would plan the drill for itself.
    const other = await environment.startWorker({ host: 'another-host' });
    return {
      atMs, proof: 'kill -9 ended the only worker of the host',
      async relieve() {
        environment.worker = await environment.startWorker();
        await other.signal('SIGTERM');
      },
    };
  },
};

export const FAULTS: readonly Fault[] = [
  workerKilled, workerStopped, workerStoppedRunTerminated, runTerminated, runCancelled, serverRestarted, postgresKilled, postgresTold, copyKilled, hostLost,
];

async function readPostmaster({ drillsDirectory }: Environment, run: DrillRun): Promise<number | undefined> {
  const tag = ownerTag(run.owner);
  const place = (await readdir(drillsDirectory).catch(() => [])).find((name) => name.startsWith(`${tag}-`));
  if (place === undefined) return undefined;
  const text = await readFile(join(drillsDirectory, place, `d-${place}`, 'data', 'postmaster.pid'), 'utf8').catch(() => '');
  const pid = Number(text.split('\n')[0]);
  return pid > 1 ? pid : undefined;
}

function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}
