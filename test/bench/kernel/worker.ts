import { fork } from 'node:child_process';
import { built } from '../stage/run.ts';
import type { Answer, Question, WorkerMemory, WorkerSettings } from './worker-process.ts';

/** A worker in a process of its own. */
export interface MeasuredWorker {
  /** How many workflows it has in memory. */
  cached(): Promise<number>;
  memory(): Promise<WorkerMemory>;
  /** Ends it at once, whatever it holds. Can be called twice. */
  stop(): Promise<void>;
}

/** So much each heap may hold, in MiB: what is measured must not be what a limit made of it. */
const HEAP_MIB = 20_000;

/** Starts it and waits until it takes tasks. */
export async function startMeasuredWorker(settings: WorkerSettings): Promise<MeasuredWorker> {
  const child = fork(built('test/bench/kernel/worker-process.js'), [JSON.stringify(settings)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    execArgv: ['--expose-gc', `--max-old-space-size=${HEAP_MIB}`, '--import', built('test/bench/kernel/thread-memory.js')],
  });
  const ended = new Promise<never>((_, reject) => child.once('exit', (code, signal) => reject(new Error(`the measured worker ended with ${signal ?? code}`))));
  ended.catch(() => undefined);
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const answer = <T>() => Promise.race([new Promise<T>((resolve) => child.once('message', (said: T) => resolve(said))), ended]);
  let last: Promise<unknown> = Promise.resolve();
  // One question at a time: an answer does not say which it is for.
  const ask = <T extends Answer>(question: Question): Promise<T> => {
    const asked = last.then(() => askNow<T>(question));
    last = asked.catch(() => undefined);
    return asked;
  };
  const askNow = async <T extends Answer>(question: Question): Promise<T> => {
    const answered = answer<T | { failed: string }>();
    child.send(question);
    const said = await answered;
    if ('failed' in said) throw new Error(`the measured worker: ${said.failed}`);
    return said;
  };
  await answer<string>();
  return {
    cached: async () => (await ask<{ cached: number }>('status')).cached,
    memory: () => ask<WorkerMemory>('memory'),
    async stop() {
      child.kill('SIGKILL');
      await gone;
    },
  };
}
