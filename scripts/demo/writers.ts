import { fork, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { startWriterPool, type WriterCounts, type WriterSettings } from './writers/pool.ts';

export { writerKindNames } from './writers/kinds.ts';
export type { WriterCounts, WriterSettings } from './writers/pool.ts';

/** Who writes, how much, and who is told when they cannot any more. */
export interface StartWritersInput extends WriterSettings {
  /** Called once if the writers end without having been asked to. */
  onError: (error: Error) => void;
  /** Run in this process instead of one of their own. Default false. */
  inProcess?: boolean;
}

/** They write until they are stopped: whoever started them has to. */
export interface Writers {
  /** At most 0.2 s old when the writers have a process of their own. */
  counts: () => WriterCounts;
  /** Lets every writer end what it does; resolves with the exact counts. Rejects if the writers had failed. */
  stop: () => Promise<WriterCounts>;
  /** The writers' process, if they have one. */
  pid: number | undefined;
}

/**
 * Starts writers that change everything in the shop all the time, in a process of their own, so that they and the caller do not
 * distort each other's timings. The process ends itself when this one goes away. Rejects if the writers cannot start.
 */
export async function startWriters(input: StartWritersInput): Promise<Writers> {
  const { onError, inProcess = false, ...settings } = input;
  if (inProcess) {
    const pool = await startWriterPool(settings);
    pool.ended.catch((error: unknown) => onError(error as Error));
    return { counts: pool.counts, stop: pool.stop, pid: undefined };
  }
  const child = fork(writersProgram(), [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], execArgv: [] });
  return await converse(child, settings, onError);
}

type Report = { started?: true; stopped?: true; failed?: string; counts?: WriterCounts };

async function converse(child: ChildProcess, settings: WriterSettings, onError: (error: Error) => void): Promise<Writers> {
  let latest: WriterCounts = { done: {}, retried: {}, total: 0 };
  let failure: Error | undefined;
  let asked = false;
  let told = false;
  const started = deferred();
  const stopped = deferred();
  const failed = (error: Error) => {
    failure ??= error;
    started.reject(failure);
    stopped.reject(failure);
    if (told && !asked) {
      told = false;
      onError(failure);
    }
  };
  child.on('message', (report: Report) => {
    if (report.counts) latest = report.counts;
    if (report.failed !== undefined) failed(new Error(report.failed));
    if (report.started) {
      told = true;
      started.resolve();
    }
    if (report.stopped) stopped.resolve();
  });
  child.on('error', failed);
  child.on('exit', (code, signal) => failed(new Error(`the writers' process ended [code=${code}, signal=${signal}]`)));
  child.send({ order: 'start', settings }, (error) => error && failed(error));
  await started.promise;
  return {
    counts: () => latest,
    pid: child.pid,
    stop: async () => {
      if (!asked && !failure) child.send({ order: 'stop' }, (error) => error && failed(error));
      asked = true;
      await stopped.promise;
      return latest;
    },
  };
}

/** A promise that may be rejected before anybody waits for it. */
function deferred(): { promise: Promise<void>; resolve: () => void; reject: (error: Error) => void } {
  let resolve: () => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<void>((done, failed) => {
    resolve = done;
    reject = failed;
  });
  promise.catch(() => {});
  return { promise, resolve, reject };
}

/** The compiled program: beside this file, or in `dist` when this file runs from its source. */
function writersProgram(): string {
  const fromSource = import.meta.url.endsWith('.ts');
  const program = fileURLToPath(new URL(fromSource ? '../../dist/scripts/demo/writers/process.js' : './writers/process.js', import.meta.url));
  if (!existsSync(program)) throw new Error(`${program} is missing: run "npm run build", or start the writers with inProcess`);
  return program;
}
