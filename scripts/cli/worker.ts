import { CommandError, EXIT, type ExitCode } from './exit.ts';
import type { TemporalOptions } from './options.ts';

/** What `workers/main` offers: runs until it is told to stop by SIGINT or SIGTERM. */
export interface WorkerProgram {
  runWorker(options: { config?: string; address?: string; namespace?: string; profile?: string; apiKey?: string; tls?: boolean }): Promise<void>;
}

/** `runbook worker`: runs workflows, and activities on this host, until it is told to stop. */
export async function worker(options: TemporalOptions): Promise<ExitCode> {
  const { json, ...rest } = options;
  void json;
  const { runWorker } = await loadWorker();
  await runWorker(rest);
  return EXIT.done;
}

/** The worker with the SDK's native core takes long to load: only the commands that run one do it. */
export async function loadWorker(): Promise<WorkerProgram> {
  const program = `../../workers/main.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`;
  const loaded = (await import(program).catch((cause: unknown) => {
    throw new CommandError(EXIT.failed, `the worker cannot be loaded: ${(cause as Error).message}`, { cause });
  })) as Partial<WorkerProgram>;
  if (typeof loaded.runWorker !== 'function') throw new CommandError(EXIT.failed, 'workers/main exports no runWorker: this build is incomplete, run `npm run build`');
  return loaded as WorkerProgram;
}
