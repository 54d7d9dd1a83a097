#!/usr/bin/env node
import { keepCompiled } from './compile-cache.ts';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { NativeConnection, Runtime, TransportError } from '@temporalio/worker';
import type { SweepTools } from '../activities/archive-provider/sweep.ts';
import { createWorkers } from './create-workers.ts';
import { workerLogger } from './log.ts';
import { temporalConnectOptions, type TemporalFlags } from './temporal-connection.ts';

/** How often drills are looked for that nobody guards any more. */
const SWEEP_EVERY_MS = 60_000;
/** How often runs are looked for that were ended by force without a guardian: people wait for their evidence. */
const LOOK_FOR_ENDS_EVERY_MS = 10_000;
/** How often copies of evidence are made up for: a share may have been away for longer than runs wait for it. */
const COPY_EVERY_MS = 3_600_000;

/** Starts the workers of this host and runs them until the process is asked to end. */
export async function runWorker(options: { config?: string | undefined; flags?: TemporalFlags; log: (line: string) => void }): Promise<void> {
  Runtime.install({ logger: workerLogger(), shutdownSignals: ['SIGINT', 'SIGTERM'] });
  const { address, namespace, connectionOptions } = await temporalConnectOptions(options.flags);
  const connection = await within(options.flags?.connectTimeoutMs, NativeConnection.connect(connectionOptions)).catch(async (error: unknown) => {
    // People correct the configuration first, if that is wrong too.
    await loadConfigurationLate(options.config);
    throw error;
  });
  try {
    const threadStarted = new Promise<void>((resolve) => process.once('worker', () => resolve()));
    const creating = createWorkers({
      connection, namespace, threadStarted, identity: options.flags?.identity,
      prepare: async () => {
        const registered = import('./worker-parts.ts').then(({ registerSearchAttributes }) => registerSearchAttributes(connection, namespace, options.log));
        const [{ configuration, resolvePassword, resolveSecret, probeEnvironment, signHead }, searchAttributes, codeVersion] = await Promise.all([configured, registered, packageVersion()]);
        return { configuration, codeVersion, searchAttributes, resolvePassword, resolveSecret, signHead, probeEnvironment: probeEnvironment() };
      },
    });
    // While the workflow thread starts, and not before: what is loaded here would keep it waiting.
    const configured = Promise.race([threadStarted, creating]).then(() => loadConfigurationLate(options.config));
    const [{ workers, client, loaded }, { configuration, warnings, file }] = await Promise.all([creating, configured]);
    for (const warning of warnings) options.log(`warning: ${warning}`);
    const onStuck = (place: string, error: Error) => options.log(`warning: ${place}, left by a lost run, could not be removed: ${error.message}`);
    // Each by itself: a repository on a mount whose server is gone must not keep drills that run.
    const sweeps = SWEEPS.map((kind) => onlyOne(() => sweepOne(kind, { client, configuration, onStuck }).then(
      (removed) => removed.forEach((one) => options.log(`removed what a lost run left here: ${one}`)),
      (error: Error) => options.log(`warning: what lost runs left here could not be removed: ${error.message}`),
    )));
    const sweep = () => sweeps.forEach((one) => void one());
    const copy = () => copyLate(configuration).then((lines) => lines.forEach((line) => options.log(line)), (error: Error) => options.log(`warning: evidence could not be copied: ${error.message}`));
    const lookForEnds = onlyOne(endsOf({ client, configuration, log: options.log }));
    const timers: NodeJS.Timeout[] = [];
    const begin = () => {
      // Not before they poll and have their activities: whoever waits for this line starts a run next, or measures.
      options.log(`worker ready: ${address}, namespace ${namespace}, task queues ${workers.map((worker) => worker.options.taskQueue).join(' and ')}, configuration ${file}`);
      // Not awaited: it must not keep new runs waiting. Again, since a guardian may give this host up while it comes back.
      sweep();
      void lookForEnds();
      void copy();
      keepCompiled();
      timers.push(setInterval(sweep, SWEEP_EVERY_MS), setInterval(() => void lookForEnds(), LOOK_FOR_ENDS_EVERY_MS), setInterval(() => void copy(), COPY_EVERY_MS));
    };
    const running = workers.map((worker) => worker.run());
    // Workers without activities must not take the tasks of those that have them.
    const working = loaded.then(begin, (error: unknown) => {
      for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
      throw error;
    });
    await Promise.all([working, ...running]).finally(() => timers.forEach(clearInterval));
  } finally {
    // Workers that never ran still hold it when preparing failed; that failure is what people must see.
    await connection.close().catch(() => undefined);
  }
}

/** The native core has no bound of its own to be set. */
async function within<T>(ms: number | undefined, connecting: Promise<T>): Promise<T> {
  if (ms === undefined || ms >= 2 ** 31) return connecting;
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<never>((_, reject) => { timer = setTimeout(() => reject(new TransportError(`no answer within ${ms} ms`)), ms); });
  return Promise.race([connecting, over]).finally(() => clearTimeout(timer));
}

async function loadConfigurationLate(file: string | undefined) {
  const { loadConfiguration, resolvePassword, resolveSecret, probeEnvironment, evidenceSigner } = await import('./worker-parts.ts');
  const loaded = await loadConfiguration(file);
  return { ...loaded, resolvePassword, resolveSecret, probeEnvironment, signHead: await evidenceSigner(loaded.configuration) };
}

/** What lost runs left: drills, backups that were never published, and what a killed worker needed for a moment. Loaded late: nobody waits for it at the start. */
async function sweepOne(kind: typeof SWEEPS[number], tools: SweepTools): Promise<string[]> {
  return (await import('./worker-parts.ts'))[kind](tools);
}

/** Looks for runs without a guardian. Never fails; says once that it does not work, and not every ten seconds. */
function endsOf({ client, configuration, log }: Pick<SweepTools, 'client' | 'configuration'> & { log: (line: string) => void }): () => Promise<void> {
  let watch: (() => Promise<string[]>) | undefined;
  let said = '';
  return async () => {
    try {
      const { createEndWatch, RUNBOOKS } = await import('./worker-parts.ts');
      watch ??= createEndWatch({ client, configuration, types: Object.keys(RUNBOOKS) });
      for (const workflowId of await watch()) log(`the evidence of ${workflowId}, which was ended by force and has no guardian, is being written`);
      said = '';
    } catch (error) {
      const problem = `warning: runs that were ended by force cannot be looked for, and get no evidence meanwhile: ${(error as Error).message}`;
      if (problem !== said) log(problem);
      said = problem;
    }
  };
}

const SWEEPS = ['sweepAbandonedPlaces', 'sweepAbandonedBackups', 'sweepBriefDirectories'] as const;

/** Loaded late as well, and not at all where there are no copies. */
async function copyLate(configuration: SweepTools['configuration']): Promise<string[]> {
  if (configuration.evidence.copies.length === 0) return [];
  return (await import('./worker-parts.ts')).sendLateCopies(configuration);
}

/** Does nothing while it is still under way: what one that hangs waits for would keep the next ones waiting, too. */
export function onlyOne(work: () => Promise<void>): () => Promise<void> {
  let underWay: Promise<void> | undefined;
  return () => underWay ??= work().finally(() => { underWay = undefined; });
}

async function packageVersion(): Promise<string> {
  for (const candidate of ['../package.json', '../../package.json']) {
    const text = await readFile(fileURLToPath(new URL(candidate, import.meta.url)), 'utf8').catch(() => undefined);
    if (text !== undefined) return (JSON.parse(text) as { version: string }).version;
  }
  return 'unknown';
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await runWorker({ log: (line) => process.stdout.write(`${line}\n`) });
}
