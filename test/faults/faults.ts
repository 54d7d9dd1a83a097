import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ownerTag } from '../../activities/kernel/names.ts';
import type { DrillRun } from './drill-run.ts';
import type { Environment } from './environment.ts';
import type { Fault as AnyFault } from './fault.ts';
import { drillProcesses, isCopying, isPostgres } from './host-processes.ts';
import { inside, type Point } from './points.ts';
import { killed, runCancelled, runTerminated, runTimedOut, workerKilled, workerStopped, workerStoppedRunTerminated } from './worker-faults.ts';

type Fault = AnyFault<Environment>;

/** Work that needs the restored server. */
const WITH_SERVER = ['recoverToManifest', 'compareWithManifest', 'recoverToEnd', 'runChecks', 'probeApplication'];
/** Work on the host of the drill that takes long enough to be stopped in. */
const LONG = ['copyBackup', 'recoverToManifest', 'compareWithManifest', 'recoverToEnd'];

/** Boundaries, phases of the kernel, and the inside of what takes long. */
const anywhere = ({ where, activity }: Point): boolean => where !== 'inside' || LONG.includes(activity ?? '');

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
  workerKilled(anywhere), workerStopped(anywhere), workerStoppedRunTerminated(inside(LONG)), runTerminated(anywhere), runTimedOut(inside(LONG)), runCancelled(anywhere), serverRestarted, postgresKilled, postgresTold, copyKilled, hostLost,
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
