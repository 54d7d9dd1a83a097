import { mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Runtime, Worker, type WorkflowBundle } from '@temporalio/worker';
import { createKernelActivities } from '../../activities/kernel/create-kernel-activities.ts';
import type { KernelActivities } from '../../activities/kernel/kernel-activities.ts';
import { createEndWatch } from '../../activities/kernel/unguarded-ends.ts';
import { createNotifyActivities } from '../../activities/notify/create-notify-activities.ts';
import type { NotifyActivities } from '../../activities/notify/notify-activities.ts';
import type { Configuration } from '../../contracts/configuration.ts';
import { evidenceSchema, type Evidence } from '../../contracts/evidence.ts';
import { resolveTemporalCli } from '../../scripts/embedded/temporal-cli.ts';
import { startTemporalServer, type TemporalServer } from '../../scripts/embedded/temporal-server.ts';
import { parseConfiguration, resolveSecret } from '../../workers/config.ts';
import { onlyOne } from '../../workers/main.ts';
import { registerSearchAttributes } from '../../workers/search-attributes.ts';
import { bundleOptions } from '../../workers/workflow-bundle.ts';
import { WORKFLOW_THREAD } from '../../workers/workflow-thread.ts';
import { BUNDLES } from './place-of-this-run.ts';
import { toyActivities } from './toy/activities.ts';
import { connectClient } from '../../scripts/client-connection.ts';

/** A server, and whatever hosts a test wants on it; nothing works there before `startWorker`. */
export interface KernelEnvironment {
  server: Pick<TemporalServer, 'address' | 'stop'>;
  client: Client;
  root: string;
  /** The kernel's activities as a host with another evidence directory has them. */
  kernelActivities(evidenceDirectory: string): KernelActivities;
  /** @param instead activities that take the place of the kernel's own, or of the toy's */
  startWorker(instead?: Partial<KernelActivities & NotifyActivities & typeof toyActivities>): Promise<{ worker: Worker; stop(): Promise<void> }>;
  evidence(): Promise<Evidence[]>;
  /** Ends the looking for runs that were ended by force before they had a guardian, which a worker's process does. */
  stopLooking(): Promise<void>;
  stop(): Promise<void>;
}

// Failing runs are what these tests are about: the SDK's warnings of them would bury the results.
Runtime.install({ logger: new DefaultLogger('ERROR') });

/** Settings beside gates, lease and evidence. */
type OtherSettings = Record<string, unknown> & { each?: Record<string, unknown> };

/** The configuration of the toy's targets: `shop`, and further ones with the gates that are given. `each`: further settings of every database; else other parts of the file. */
export function toyConfiguration(root: string, gates: Record<string, unknown>, lease: Record<string, string>, further: Record<string, Record<string, unknown>> = {}, { each = {}, ...top }: OtherSettings = {}): Configuration {
  const database = (its: Record<string, unknown>) => ({ connection: {}, provider: { kind: 'archive', repository: root, walDirectory: root }, gates: its, ...each });
  // As text and as users' files are read, so that nothing is tested that nobody can configure.
  return parseConfiguration(JSON.stringify({
    version: 1,
    ...top,
    lease,
    evidence: { directory: path.join(root, 'evidence') },
    databases: { shop: database(gates), ...Object.fromEntries(Object.entries(further).map(([name, its]) => [name, database(its)])) },
  }), 'toy.yaml');
}

/** The toy runbook with its guardian and lock, as a worker takes it. Made once for a run of the tests: that takes seconds of both cores. */
export function bundleToy(): Promise<WorkflowBundle> {
  return (bundle ??= takeOrMakeBundle());
}
let bundle: Promise<WorkflowBundle> | undefined;

async function takeOrMakeBundle(): Promise<WorkflowBundle> {
  const directory = process.env[BUNDLES];
  if (directory === undefined) return makeToyBundle();
  const file = path.join(directory, 'toy.js');
  const made = await readFile(file, 'utf8').catch(() => undefined);
  if (made !== undefined) return { code: made };
  const bundled = await makeToyBundle();
  // Several files may make it at once, and none may read half of it.
  const own = `${file}.${process.pid}`;
  await writeFile(own, bundled.code);
  await rename(own, file);
  return bundled;
}

function makeToyBundle(): Promise<WorkflowBundle> {
  return bundleWorkflowCode(bundleOptions({ workflowsPath: fileURLToPath(new URL('./toy/workflows.ts', import.meta.url)) }));
}

/** Every piece of evidence that was written, checked against its schema. */
export async function readEvidence({ evidence: { directory } }: Configuration): Promise<Evidence[]> {
  const names = (await readdir(directory).catch(() => [])).filter((name) => name.endsWith('.json')).sort();
  return Promise.all(names.map(async (name) => evidenceSchema.parse(JSON.parse(await readFile(path.join(directory, name), 'utf8')))));
}

async function startEmbedded(root: string, dynamicConfig: Record<string, number>): Promise<TemporalServer> {
  const cli = await resolveTemporalCli({ log: () => undefined });
  return startTemporalServer({ cliPath: cli.path, searchAttributes: {}, dynamicConfig, logFile: path.join(root, 'server.log') });
}

/** Where the toy runs, in place of an embedded server. */
export interface Site {
  server: Pick<TemporalServer, 'address' | 'stop'>;
  /** What the worker sends with every call. */
  metadata: Record<string, string>;
}

/** A real server and the toy runbook on it. @param site a server that is there already, or what an embedded one is to be told */
export async function startKernelEnvironment(gates: Record<string, unknown> = {}, lease: Record<string, string> = {}, further: Record<string, Record<string, unknown>> = {}, other: OtherSettings = {}, site: Site | { dynamicConfig: Record<string, number> } = { dynamicConfig: {} }): Promise<KernelEnvironment> {
  const root = await mkdtemp(path.join(tmpdir(), 'kernel-'));
  const { server, metadata } = 'server' in site ? site : { server: await startEmbedded(root, site.dynamicConfig), metadata: {} };
  const connection = await connectClient({ address: server.address, metadata });
  const client = new Client({ connection });
  const native = await NativeConnection.connect({ address: server.address, metadata });
  const configuration = toyConfiguration(root, gates, lease, further, other);
  const searchAttributes = await registerSearchAttributes(connection, 'default', () => undefined);
  const workers: (() => Promise<void>)[] = [];
  const watchEnds = createEndWatch({ client, configuration, types: ['toy'] });
  const lookForEnds = onlyOne(() => watchEnds().then(() => undefined, (error: unknown) => console.error('looking for ends:', error)));
  // As a worker's process does, which waits longer.
  const looks = setInterval(() => void lookForEnds(), 500);
  const stopLooking = async () => {
    clearInterval(looks);
    await lookForEnds();
  };
  const kernelActivities = (evidence = configuration.evidence) => createKernelActivities({ client: new Client({ connection: native }), configuration: { ...configuration, evidence }, codeVersion: 'test', searchAttributes });
  return {
    server, client, root,
    kernelActivities: (directory) => kernelActivities({ ...configuration.evidence, directory }),
    async startWorker(instead = {}) {
      const worker = await Worker.create({
        ...WORKFLOW_THREAD, connection: native, taskQueue: 'runbooks', workflowBundle: await bundleToy(),
        activities: { ...kernelActivities(), ...createNotifyActivities({ configuration, namespace: 'default', resolveSecret }), ...toyActivities, ...instead },
        shutdownGraceTime: '100ms', shutdownForceTime: '2s',
      });
      const running = worker.run();
      let stopping: Promise<void> | undefined;
      const stop = () => (stopping ??= (async () => {
        if (worker.getState() === 'RUNNING') worker.shutdown();
        await running.catch(() => undefined);
      })());
      workers.push(stop);
      return { worker, stop };
    },
    evidence: () => readEvidence(configuration),
    stopLooking,
    async stop() {
      await stopLooking();
      for (const stop of workers) await stop();
      await native.close();
      await connection.close();
      await server.stop();
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** Does something while no evidence can be written: where its directory should be lies a file. */
export async function withoutEvidenceDirectory<T>({ root }: Pick<KernelEnvironment, 'root'>, work: () => Promise<T>): Promise<T> {
  const directory = path.join(root, 'evidence');
  const aside = `${directory}.aside`;
  // Where nothing was written yet there is none.
  await rename(directory, aside).catch(() => undefined);
  await writeFile(directory, 'no directory');
  try {
    return await work();
  } finally {
    await rm(directory);
    await rename(aside, directory).catch(() => undefined);
  }
}
