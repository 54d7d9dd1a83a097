import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger, type BundleOptions } from '@temporalio/worker';
import { resolveTemporalCli } from '../../../scripts/embedded/temporal-cli.ts';
import { startTemporalServer } from '../../../scripts/embedded/temporal-server.ts';
import { bundleOptions } from '../../../workers/workflow-bundle.ts';
import { built } from '../stage/run.ts';
import { startMeasuredWorker, type MeasuredWorker } from './worker.ts';
import type { WorkerSettings } from './worker-process.ts';
import { connectClient } from '../../../scripts/client-connection.ts';

/** What the rows of the kernel's bench run on. */
export interface Stage {
  log: (line: string) => void;
  /** Runs `work` on a server of its own, which has forgotten what others left, and ends it with its workers. */
  onServer: <T>(work: (server: Server) => Promise<T>) => Promise<T>;
  /** Ends everything and removes its files. Can be called twice. */
  stop: () => Promise<void>;
}
/** Workers that are started on it are ended with it. */
export interface Server { client: Client; startWorker: (bundle: BundleName, settings: Pick<WorkerSettings, 'taskQueues' | 'maxCachedWorkflows'>) => Promise<MeasuredWorker> }
/** `kernel`: runbooks with all that production's bundle has; `bare`: what the SDK makes of the bare workflows alone. */
export type BundleName = 'kernel' | 'bare';

const BUNDLES: Readonly<Record<BundleName, () => BundleOptions>> = {
  kernel: () => bundleOptions({ workflowsPath: built('test/bench/kernel/workflows.js'), shared: [built('test/bench/kernel/shared-modules.js')] }),
  bare: () => ({ workflowsPath: built('test/bench/kernel/bare-workflows.js') }),
};

/** Starts nothing yet but a directory for what is to come; `stop` is the caller's to call, also after a failure. */
export async function openStage({ log }: { log: (line: string) => void }): Promise<Stage> {
  const root = await mkdtemp(join(tmpdir(), 'runbooks-bench-'));
  const stops: (() => Promise<unknown>)[] = [() => rm(root, { recursive: true, force: true })];
  const endAll = async (from: number): Promise<void> => {
    for (const end of stops.splice(from).reverse()) await end().catch((error: Error) => log(`while cleaning up: ${error.message}`));
  };
  const bundles = new Map<BundleName, Promise<string>>();
  const configuration = configurationIn(root);

  return {
    log,
    async onServer(work) {
      const from = stops.length;
      try {
        const cli = await resolveTemporalCli({ log });
        const server = await startTemporalServer({ cliPath: cli.path, searchAttributes: {}, logFile: join(root, 'temporal.log') });
        stops.push(() => server.stop());
        const connection = await connectClient({ address: server.address });
        stops.push(() => connection.close());
        return await work({
          client: new Client({ connection }),
          async startWorker(name, settings) {
            const bundle = bundles.get(name) ?? writeBundle(name, join(root, `${name}-bundle.js`));
            bundles.set(name, bundle);
            const worker = await startMeasuredWorker({ ...settings, address: server.address, codePath: await bundle, configuration });
            stops.push(() => worker.stop());
            return worker;
          },
        });
      } finally {
        await endAll(from);
      }
    },
    stop: () => endAll(0),
  };
}

async function writeBundle(name: BundleName, file: string): Promise<string> {
  const { code } = await bundleWorkflowCode({ ...BUNDLES[name](), logger: new DefaultLogger('ERROR') });
  await writeFile(file, code);
  return file;
}

/** A target with a gate, and the same for runs without a guardian. */
function configurationIn(root: string): unknown {
  const gated = {
    connection: {}, provider: { kind: 'archive', repository: root, walDirectory: root },
    gates: { start: { approvers: ['anna', 'ben'], quorum: 2, assurance: 'claimed', expiresAfter: '2d' } },
  };
  return { version: 1, evidence: { directory: join(root, 'evidence') }, databases: { shop: gated } };
}
