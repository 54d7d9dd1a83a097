#!/usr/bin/env node
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker';
import type { SweepTools } from '../activities/archive-provider/sweep.ts';
import { createWorkers } from './create-workers.ts';
import { registerSearchAttributes } from './search-attributes.ts';
import { temporalConnectOptions, type TemporalFlags } from './temporal-connection.ts';

/** How often drills are looked for that nobody guards any more. */
const SWEEP_EVERY_MS = 60_000;

/** Starts the workers of this host and runs them until the process is asked to end. */
export async function runWorker(options: { config?: string | undefined; flags?: TemporalFlags; log: (line: string) => void }): Promise<void> {
  Runtime.install({ logger: new DefaultLogger('WARN'), shutdownSignals: ['SIGINT', 'SIGTERM'] });
  const { address, namespace, connectionOptions } = await temporalConnectOptions(options.flags);
  const native = await NativeConnection.connect(connectionOptions).catch(async (error: unknown) => {
    // People correct the configuration first, if that is wrong too.
    await loadConfigurationLate(options.config);
    throw error;
  });
  let connection: Connection | undefined;
  try {
    let sweep = (): Promise<void> => Promise.resolve();
    let file = '';
    const workers = await createWorkers({
      connection: native, namespace,
      // While the workflow thread starts: what reads the configuration takes as long to load.
      prepare: async () => {
        const { configuration, warnings, resolvePassword, probeEnvironment, ...loaded } = await loadConfigurationLate(options.config);
        ({ file } = loaded);
        for (const warning of warnings) options.log(`warning: ${warning}`);
        connection = await Connection.connect(connectionOptions);
        const client = new Client({ connection, namespace });
        const onStuck = (place: string, error: Error) => options.log(`warning: ${place}, left by a lost run, could not be removed: ${error.message}`);
        sweep = () => sweepAll({ client, configuration, onStuck }).then(
          (removed) => removed.forEach((one) => options.log(`removed what a lost run left here: ${one}`)),
          (error: Error) => options.log(`warning: what lost runs left here could not be removed: ${error.message}`),
        );
        const searchAttributes = await registerSearchAttributes(connection, namespace, options.log);
        return { client, configuration, codeVersion: await packageVersion(), searchAttributes, resolvePassword, probeEnvironment: probeEnvironment() };
      },
    });
    options.log(`worker ready: ${address}, namespace ${namespace}, task queues ${workers.map((worker) => worker.options.taskQueue).join(' and ')}, configuration ${file}`);
    // Not awaited: it must not keep new runs waiting. Again, since a guardian may give this host up while it comes back.
    void sweep();
    const sweeping = setInterval(() => void sweep(), SWEEP_EVERY_MS);
    await Promise.all(workers.map((worker) => worker.run())).finally(() => clearInterval(sweeping));
  } finally {
    // Workers that never ran still hold it when preparing failed; that failure is what people must see.
    await native.close().catch(() => undefined);
    await connection?.close();
  }
}

async function loadConfigurationLate(file: string | undefined) {
  const { loadConfiguration, resolvePassword, probeEnvironment } = await import('./config.ts');
  return { ...await loadConfiguration(file), resolvePassword, probeEnvironment };
}

/** What lost runs left: drills, and backups that were never published. Loaded late: nobody waits for it at the start. */
async function sweepAll(tools: SweepTools): Promise<string[]> {
  const [{ sweepAbandonedPlaces }, { sweepAbandonedBackups }] = await Promise.all([import('../activities/archive-provider/sweep-places.ts'), import('../activities/backup/sweep-incoming.ts')]);
  return [...await sweepAbandonedPlaces(tools), ...await sweepAbandonedBackups(tools)];
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
