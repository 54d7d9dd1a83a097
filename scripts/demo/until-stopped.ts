import { constants } from 'node:os';

/** Whether somebody wants the program to end: the demo, or what tests with its environment. */
export interface UntilStopped {
  /** Aborted once the demo is to end: what it has started has to be ended then. */
  signal: AbortSignal;
  /** What to end with, once it is aborted. */
  exitCode: () => number;
}

/**
 * Hears from now on of Ctrl-C, of a signal, of a terminal that is closed, and of an error that nobody caught. The database server
 * is no child of ours: it would outlive a program that ends of these. A second signal, as a terminal and npm send one each, changes nothing.
 */
export function untilStopped(log: (line: string) => void): UntilStopped {
  const stop = new AbortController();
  let exitCode = 1;
  const end = (line: string, code: number): void => {
    // What is under way when all is ended may fail where nobody waits for it; and nothing can be printed where nobody reads.
    if (stop.signal.aborted) return;
    exitCode = code;
    stop.abort(new Error('stopped'));
    log(line);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => end('stopping, and removing everything', 128 + constants.signals[signal]));
  process.on('uncaughtException', (error) => end(`crashed, cleaning up: ${error.stack ?? error.message}`, 1));
  return { signal: stop.signal, exitCode: () => exitCode };
}

/**
 * What is awaited, and no longer once the signal is aborted. For what needs no undoing, or fails by itself when what it uses is ended.
 * @throws the signal's reason
 */
export function unlessAborted<T>(signal: AbortSignal | undefined, work: Promise<T>): Promise<T> {
  if (!signal) return work;
  return Promise.race([work, new Promise<never>((_resolve, reject) => {
    const abandon = () => reject(signal.reason as Error);
    if (signal.aborted) abandon();
    else signal.addEventListener('abort', abandon, { once: true });
  })]);
}
