import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Configuration } from '../../../contracts/configuration.ts';
import { bundleToy, type KernelEnvironment } from '../kernel-environment.ts';

const PROGRAM = fileURLToPath(new URL('../../../dist/test/support/toy/worker-process.js', import.meta.url));

/** Starts a worker of the toy runbook in a process of its own, and gives what kills it with -9 and waits until it is gone. `gone`: it is, for whatever reason. */
export type StartKillable = () => Promise<{ kill(): Promise<void>; gone: Promise<void> }>;

/** Evidence goes where that configuration says: mostly where the environment looks for it. */
export async function killableWorkers({ server, root }: Pick<KernelEnvironment, 'server' | 'root'>, configuration: Configuration): Promise<StartKillable> {
  if (!existsSync(PROGRAM)) throw new Error('build first: node scripts/build.mjs');
  const directory = await mkdtemp(path.join(root, 'worker-'));
  const [bundle, settings] = [path.join(directory, 'bundle.js'), path.join(directory, 'configuration.json')];
  await writeFile(bundle, (await bundleToy()).code);
  await writeFile(settings, JSON.stringify(configuration));
  return async () => {
    const child = spawn(process.execPath, [PROGRAM, server.address, bundle, settings], { stdio: ['ignore', 'pipe', 'inherit'] });
    // Of a test that fails before it kills it, nothing is left either.
    const endsToo = () => void child.kill('SIGKILL');
    process.once('exit', endsToo);
    const gone = new Promise<void>((resolve) => child.once('exit', () => {
      process.removeListener('exit', endsToo);
      resolve();
    }));
    await new Promise<void>((resolve, reject) => {
      child.stdout.once('data', () => resolve());
      child.once('exit', () => reject(new Error('the worker ended before it was ready')));
    });
    return {
      async kill() {
        child.kill('SIGKILL');
        await gone;
      },
      gone,
    };
  };
}
