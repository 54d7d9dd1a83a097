import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault, Target } from './fault.ts';
import { actorOf } from './points.ts';
import type { Scene } from './scene.ts';
import type { WorkerProcess } from './worker-process.ts';

/** Longer than the heartbeat time-out of activities on the host of the drill (10 s). */
const PAST_HEARTBEAT_MS = 11_500;

/** kill -9 of the worker; when, or null where it was not there. */
export async function killed({ environment }: Target): Promise<number | null> {
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
async function wake(environment: Scene, sleeper: WorkerProcess, successor: WorkerProcess): Promise<boolean> {
  const wasStopped = await sleeper.isStopped();
  await sleeper.signal('SIGCONT');
  environment.worker = successor;
  return wasStopped && sleeper.isAlive();
}

/** Ends a worker with nothing written down; another one goes on where histories say. */
export const workerKilled = (strikes: Fault['strikes']): Fault => ({
  name: 'worker killed', expected: 'recovered', retried: true, strikes,
  async strike(target) {
    const atMs = await killed(target);
    if (atMs === null) return null;
    target.environment.worker = await target.environment.startWorker();
    return { atMs, proof: 'kill -9 ended the worker' };
  },
});

/** A worker that sleeps through its heartbeats, while another does its work, and then wakes: what it still does must change nothing. */
export const workerStopped = (strikes: Fault['strikes']): Fault => ({
  name: 'worker stopped and continued', expected: 'recovered', retried: true, strikes,
  async strike({ environment, run, point }) {
    const sleeper = environment.worker;
    const atMs = await stopped(sleeper);
    if (atMs === null) return null;
    const successor = await environment.startWorker();
    run.drive();
    await sleep(PAST_HEARTBEAT_MS - (Date.now() - atMs));
    const of = actorOf(point);
    // Not before the work was given to somebody else: then it would only have been slow.
    for (const end = Date.now() + 70_000; Date.now() < end; await sleep(50)) {
      const pending = (await run.pending(of).catch(() => undefined))?.find(({ type }) => type === point.activity);
      if (!pending || pending.attempt > 1 || point.where === 'before') break;
    }
    const woken = await wake(environment, sleeper, successor);
    return woken ? { atMs, proof: `stopped for ${((Date.now() - atMs) / 1000).toFixed(0)} s, then continued`, relieve: () => retire(sleeper) } : null;
  },
});

/** The run is dead and torn down by others while its worker sleeps; what the sleeper does afterwards must do nothing. */
export const workerStoppedRunTerminated = (strikes: Fault['strikes']): Fault => ({
  name: 'worker stopped, run terminated, worker continued', expected: 'terminated', retried: false, strikes,
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
});

/** Time for the late writes of a worker that was woken. */
async function retire(sleeper: WorkerProcess): Promise<void> {
  await sleep(2_500);
  await sleeper.signal('SIGTERM');
}

/** Ends a run so that it can do nothing more itself: its guardian undoes and writes the evidence. */
export const runTerminated = (strikes: Fault['strikes']): Fault => ({
  name: 'run terminated', expected: 'terminated', retried: false, strikes,
  async strike({ run }) {
    const atMs = Date.now();
    const delivered = await run.handle.terminate('faults').then(() => true, () => false);
    return delivered ? { atMs, proof: 'WorkflowExecutionTerminated' } : null;
  },
});

/**
 * Long enough to lead a run to any of its steps on a machine of a quarter of the speed, at which the way takes a minute: the
 * time-out comes when it comes, and where the run is then is for us to see to.
 */
const EXECUTION_TIMEOUT_MS = 75_000;
/** How long before it what is to be struck begins; shorter than the heartbeat's time-out. */
const LEAD_MS = 3_000;

/** As where somebody started the run with `--execution-timeout`: Temporal ends it, and asks it for nothing. */
export const runTimedOut = (strikes: Fault['strikes']): Fault => ({
  name: 'run timed out', expected: 'timedOut', retried: false, strikes, executionTimeoutMs: EXECUTION_TIMEOUT_MS,
  aim: async (run) => sleep(Math.max(0, await run.startedMs() + EXECUTION_TIMEOUT_MS - LEAD_MS - Date.now())),
  async strike({ environment: { worker }, run }) {
    // Some of it takes half a second, and would be over: for the moment that is left it is held where it is.
    if (await stopped(worker) === null) return null;
    const closed = await run.closed(2 * EXECUTION_TIMEOUT_MS).finally(() => worker.signal('SIGCONT'));
    return closed?.status === 'TIMED_OUT' ? { atMs: closed.atMs, proof: 'WorkflowExecutionTimedOut' } : null;
  },
});

/** Asks a run to end: it has its guardian undo what it did, and writes the evidence itself. */
export const runCancelled = (strikes: Fault['strikes']): Fault => ({
  // From the teardown on there is nothing left to cancel: the run ends as it would have.
  name: 'run cancelled', expected: 'cancelled', retried: false, strikes: (point) => strikes(point) && point.step !== 'tearing down' && point.step !== 'evidence',
  async strike({ run }) {
    const atMs = Date.now();
    const delivered = await run.handle.cancel().then(() => true, () => false);
    return delivered ? { atMs, proof: 'WorkflowExecutionCancelRequested' } : null;
  },
});
