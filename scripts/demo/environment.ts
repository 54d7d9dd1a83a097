import { spawn, type ChildProcess } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, type Connection } from '@temporalio/client';
import { DRILL_VARIABLE } from '../../activities/drill/drill.ts';
import { findProcesses, sendSignal, untilGone } from '../../activities/drill/processes.ts';
import { findPostgres } from '../../activities/postgres/binaries.ts';
import { connectClient } from '../client-connection.ts';
import { ownServerEnvironment } from '../embedded/own-server-environment.ts';
import { resolveTemporalCli } from '../embedded/temporal-cli.ts';
import { startTemporalServer, type TemporalServer } from '../embedded/temporal-server.ts';
import { Started } from '../started.ts';
import { writeConfigurationFile } from './configuration-file.ts';
import { loadShop } from './load.ts';
import { startProduction, type Production, type StartProductionInput } from './production.ts';
import { unlessAborted } from './until-stopped.ts';
import { startWriters } from './writers.ts';

/** All that was started: whoever has it has to `stop` it, since servers outlive this process. */
export interface DemoEnvironment {
  /** The Temporal CLI that started the server. */
  temporalCli: string;
  root: string;
  configurationFile: string;
  production: Production;
  server: TemporalServer;
  client: Client;
  repository: string;
  writers: Awaited<ReturnType<typeof startWriters>>;
  /** Ends the worker with a signal, and starts another when asked. */
  endWorker: (signal: NodeJS.Signals) => Promise<void>;
  startWorker: () => Promise<void>;
  /** Ends everything and removes its files. Can be called twice. */
  stop(): Promise<void>;
}

/** How large and how busy production is; the same scale and seed make the same rows, within a month. */
export interface DemoOptions {
  scale: number;
  seed: number;
  /** 0: nobody writes. */
  writersPerSecond: number;
  /** Further settings of the production server, and of its environment. */
  production?: Pick<StartProductionInput, 'settings' | 'environment'>;
  /** Names from `writerKindNames`; default all. */
  writerKinds?: readonly string[];
  log: (line: string) => void;
  /** Absolute path of a directory with PostgreSQL's programs, for production and its copies. Default: what `findPostgres` finds. */
  postgres?: string | undefined;
  /** Directory that will hold everything; it must not be there yet. Default: a new one for temporary files. */
  root?: string;
  /** Aborted while this starts: what was started so far is ended and its files removed. Of one that is up it ends nothing. */
  signal?: AbortSignal;
}

/**
 * Starts everything from nothing: Temporal server, production under write load, configuration, worker. Leaves nothing where it throws.
 * @throws the signal's reason
 */
export async function startDemoEnvironment({ scale, seed, writersPerSecond, writerKinds, production: further, postgres, log, root: chosen, signal }: DemoOptions): Promise<DemoEnvironment> {
  const root = chosen ?? await mkdtemp(join(tmpdir(), 'runbooks-demo-'));
  if (chosen !== undefined) await mkdir(root);
  // The database server's user must be able to walk through.
  await chmod(root, 0o711);
  const started = new Started({ log, signal });
  const stop = () => started.end();
  let connection: Connection | undefined;
  started.onEnd(() => rm(root, { recursive: true, force: true, maxRetries: 5 }));
  // After everything else: whoever still asks hears that the server is gone, which is so, and not that a call was cancelled.
  started.onEnd(async () => connection?.close());
  try {
    const cli = await unlessAborted(signal, resolveTemporalCli({ log }));
    log(`Temporal server: ${cli.source}`);
    const server = await started.begin(() => startTemporalServer({ cliPath: cli.path, uiPort: 0, searchAttributes: {}, logFile: join(root, 'temporal.log') }), (one) => one.stop());
    const binaries = await findPostgres({ binDirectory: postgres });
    log(`PostgreSQL ${binaries.version}: starting production`);
    const production = await started.begin(() => startProduction({ root: join(root, 'production'), binaries, log: () => undefined, ...further }), (one) => one.stop());
    log('PostgreSQL answers: loading the shop');
    const loaded = await unlessAborted(signal, loadShop({ config: production.config, tablespaceDirectory: production.tablespaceDirectory, scale, seed }));
    log(`loaded the shop: ${Math.round(loaded.databaseBytes / 2 ** 20)} MiB, ${loaded.orders} orders in ${loaded.seconds.toFixed(1)} s`);
    const writers = await started.begin(() => startWriters({ config: production.config, count: writersPerSecond === 0 ? 0 : 4, seed, opsPerSecond: writersPerSecond, ...(writerKinds ? { kinds: writerKinds } : {}), onError: (error) => log(`writers: ${String(error)}`) }), (one) => one.stop());
    const { configurationFile, repository } = await writeConfigurationFile(root, production, {
      root: { ...(server.uiAddress === undefined ? {} : { webUi: server.uiAddress }), ...(postgres === undefined ? {} : { postgres: { binDirectory: postgres } }) },
      drills: {},
      shop: {
        objectives: { rto: '2m', rpo: '1m', rtaIs: 'withoutWait' },
        // Read in a fifth of the time that sparing production would take: people are waiting for the demo to end.
        manifest: { dutyCycle: 0.5 },
        gates: { start: { approvers: ['anna', 'ben'], assurance: 'claimed', expiresAfter: '1h' } },
        checks: [
          { name: 'there are orders', sql: 'SELECT count(*) > 0 FROM sales."order"', expect: 'true' },
          { name: 'the heartbeat is there', sql: 'SELECT count(*) >= 4 FROM ops.heartbeat', expect: 'true' },
        ],
      },
    });
    // Their guardians end with the server: a drill that is under way would outlive all this.
    started.onEnd(() => endDrills(join(root, 'drills')));
    let worker: ChildProcess | undefined;
    const startWorker = async () => { worker = await startWorkerProcess({ configurationFile, address: server.address, log }); };
    const endWorker = async (by: NodeJS.Signals) => { if (worker) await stopProcess(worker, by); };
    await started.begin(startWorker, () => endWorker('SIGTERM'));
    connection = await connectClient({ address: server.address });
    signal?.throwIfAborted();
    return { root, temporalCli: cli.path, configurationFile, production, server, client: new Client({ connection }), repository, writers, startWorker, endWorker, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Ends what runs of drills below a directory. */
export async function endDrills(directory: string): Promise<void> {
  const left = await findProcesses({ marker: { name: DRILL_VARIABLE, value: 'by directory' }, directory });
  for (const { pid } of left) sendSignal(pid, 'SIGKILL');
  await untilGone(left, 10_000);
}

/** The built worker; from sources (in tests) it is the one that the build before them made. */
function workerProgram(): string {
  const fromSource = import.meta.url.endsWith('.ts');
  return fileURLToPath(new URL(fromSource ? '../../dist/workers/main.js' : '../../workers/main.js', import.meta.url));
}

/** A worker says within seconds that it is ready. */
const WORKER_READY_MS = 120_000;

/** Starts a worker as a process of its own, as in production, and waits until it says that it is ready. */
async function startWorkerProcess({ configurationFile, address, log }: { configurationFile: string; address: string; log: (line: string) => void }): Promise<ChildProcess> {
  const child = spawn(process.execPath, [workerProgram()], {
    env: { ...ownServerEnvironment(address), RUNBOOKS_CONFIG: configurationFile }, stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output: string[] = [];
  const collect = (chunk: Buffer) => output.push(chunk.toString());
  child.stderr.on('data', collect);
  let late: NodeJS.Timeout | undefined;
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      collect(chunk);
      if (output.join('').includes('worker ready')) resolve();
    });
    child.once('exit', (code) => reject(new Error(`the worker ended with ${code}:\n${output.join('')}`)));
    late = setTimeout(() => child.kill('SIGKILL'), WORKER_READY_MS);
  }).finally(() => clearTimeout(late));
  log('worker: ready');
  return child;
}

/** Ends a process and waits until it is gone. */
async function stopProcess(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  const late = setTimeout(() => child.kill('SIGKILL'), 15_000);
  await gone;
  clearTimeout(late);
}
