import { spawn } from 'node:child_process';
import { ownServerEnvironment } from '../../../scripts/embedded/own-server-environment.ts';
import { built } from './run.ts';

/** A worker process that said that it is ready. */
export interface BenchWorker {
  /** From the start of the process to the line "worker ready". */
  readySeconds: number;
  /** Ends it and waits until it is gone. Can be called twice. */
  stop(): Promise<void>;
}

/** Starts the built worker, as in production, or another `program`. */
export async function startWorker({ configurationFile, address, program = 'workers/main.js' }: { configurationFile: string; address: string; program?: string }): Promise<BenchWorker> {
  const started = performance.now();
  const child = spawn(process.execPath, [built(program)], {
    env: { ...ownServerEnvironment(address), RUNBOOKS_CONFIG: configurationFile }, stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async () => {
    child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), 15_000);
    await gone;
    clearTimeout(late);
  };
  child.stderr.on('data', (chunk: Buffer) => { output += chunk.toString(); });
  const readySeconds = await new Promise<number>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (output.includes('worker ready')) resolve((performance.now() - started) / 1000);
    });
    child.once('error', reject);
    void gone.then(() => reject(new Error(`the worker ended before it was ready:\n${output.slice(-2000)}`)));
  });
  return { readySeconds, stop };
}
