import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { DRILL_VARIABLE } from '../../activities/drill/drill.ts';

/** What anybody on this host could have seen meanwhile. */
export interface SeenProcesses {
  /** How often the list was read. */
  looks: number;
  /** Command lines, each once. */
  commands: string[];
  /** Environments of the processes of drills. */
  environments: string[];
}

/** Reads the list of all processes of this host every few milliseconds, until it is asked what it saw. */
export async function watchProcesses(): Promise<{ seen: () => Promise<SeenProcesses> }> {
  const thread = new Worker(new URL('./process-lists.mjs', import.meta.url), { workerData: { variable: DRILL_VARIABLE } });
  await once(thread, 'online');
  let seen: Promise<SeenProcesses> | undefined;
  return {
    seen: () => (seen ??= (async () => {
      const told = once(thread, 'message') as Promise<[SeenProcesses]>;
      thread.postMessage('stop');
      const [found] = await told;
      await thread.terminate();
      return found;
    })()),
  };
}
