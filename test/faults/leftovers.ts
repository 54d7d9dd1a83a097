import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DrillRun } from './drill-run.ts';
import type { Environment } from './environment.ts';
import type { Scene } from './scene.ts';
import { drillProcesses, processesWithOpenFiles } from './host-processes.ts';
import { readSourceSessions } from './source-state.ts';

/** What a run left on its host and at its source. An empty list is what every case must end with. */
export async function findLeftovers(environment: Environment, run: DrillRun): Promise<string[]> {
  const { drillsDirectory, evidenceDirectory, temporaryDirectory } = environment;
  const directories = await readdir(drillsDirectory).catch(() => []);
  const processes = [...drillProcesses({ drillsDirectory }), ...drillProcesses({ drillsDirectory, owner: run.owner })];
  const sockets = (await readFile('/proc/net/unix', 'utf8')).split('\n').filter((line) => line.includes(` ${drillsDirectory}/`));
  const halfWritten = (await readdir(evidenceDirectory).catch(() => [])).filter((name) => name.endsWith('.part'));
  return [...new Set([
    ...directories.map((name) => `directory ${name}`),
    ...processes.map(({ pid, command }) => `process ${pid} (${command.slice(0, 60)})`),
    ...processesWithOpenFiles(drillsDirectory),
    ...sockets.map((line) => `socket ${line.split(' ').at(-1)}`),
    ...halfWritten.map((name) => `half-written ${name}`),
    ...(await readdir(temporaryDirectory)).map((name) => `temporary ${name}`),
    ...await readSourceSessions(environment),
  ])];
}

/** Looks until nothing is left, at most so long; gives what is left then. */
export async function leftoversAfter(scene: Scene, run: DrillRun, withinMs: number): Promise<string[]> {
  for (const end = Date.now() + withinMs; ; await sleep(100)) {
    const left = await scene.findLeftovers(run);
    if (left.length === 0 || Date.now() > end) return left;
  }
}
