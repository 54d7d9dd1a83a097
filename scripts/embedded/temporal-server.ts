import { setTimeout as sleep } from 'node:timers/promises';
import { Client, WorkflowNotFoundError, type Connection } from '@temporalio/client';
import { freeLoopbackPort, requireFreeLoopbackPort } from './free-port.ts';
import { startSupervised, type SupervisedServer } from './supervised-server.ts';

/** How to start an embedded server. */
export interface StartTemporalServerOptions {
  readonly cliPath: string;
  /** Keeps state over restarts; everything is in memory when left out. */
  readonly dbFile?: string;
  /** A free port is taken when left out. */
  readonly port?: number;
  /** Port of the web UI, 0 for a free one; without it there is no web UI. */
  readonly uiPort?: number;
  /** Search attributes to register: name to type, such as `{ RunbookTarget: 'Keyword' }`. */
  readonly searchAttributes: Readonly<Record<string, string>>;
  /** Receives what the server prints; appended to. */
  readonly logFile: string;
  /** Server settings, such as `{ 'frontend.namespaceRPS': 5000 }`; they go over {@link EMBEDDED_SETTINGS}. */
  readonly dynamicConfig?: Readonly<Record<string, string | number | boolean>>;
}

/** A running embedded server, which ends when this process does, however it ends. */
export interface TemporalServer extends SupervisedServer {
  /** `127.0.0.1:<port>` */
  readonly address: string;
  /** Base address of the web UI; undefined when it is off. */
  readonly uiAddress: string | undefined;
}

/**
 * A dev server has one shard, and a shard looks for tasks 20 times a second at most: under load every step of a run
 * then waits 50 ms for the next look. Clusters have hundreds of shards and are not held back by it. Nor do a handful of
 * workers need a task queue in four parts, which ask each other for tasks.
 */
export const EMBEDDED_SETTINGS = {
  'history.transferProcessorMaxPollRPS': 1000, 'history.timerProcessorMaxPollRPS': 1000, 'history.visibilityProcessorMaxPollRPS': 1000,
  'matching.numTaskqueueReadPartitions': 1, 'matching.numTaskqueueWritePartitions': 1,
};

/**
 * A dev server holds little in memory, and Go looks through that whenever it has doubled: a fifth of what the server takes
 * of the processor in the kernel's tests. Above the limit Go looks as often as it must.
 */
const COLLECTOR = { GOGC: '400', GOMEMLIMIT: '2GiB' };

/** Another process can take a free port between the look and the start: then look again. */
const PORT_ATTEMPTS = 3;

/** Longer than the supervisor lets a server live whose parent was killed. Until it is gone, no other can use its file. */
const ENDING_MS = 3_500;

/**
 * Starts a Temporal dev server on the loopback interface and waits until it answers.
 *
 * @throws Error with the server's last lines when it ends early or does not answer within a minute
 */
export async function startTemporalServer(options: StartTemporalServerOptions): Promise<TemporalServer> {
  for (let [ports, ends] = [1, 0]; ;) {
    try {
      return await startOnce(options);
    } catch (error) {
      const isTaken = /address already in use/i.test((error as Error).message);
      const portsAreChosen = options.port !== undefined && (options.uiPort === undefined || options.uiPort > 0);
      // A server that is started for the first time on a busy machine has been seen to give up on itself.
      if (isTaken ? portsAreChosen || ports === PORT_ATTEMPTS : ends > 0) throw error;
      if (isTaken) ports += 1;
      else {
        ends += 1;
        if (options.dbFile !== undefined) await sleep(ENDING_MS);
      }
    }
  }
}

async function startOnce(options: StartTemporalServerOptions): Promise<TemporalServer> {
  const port = options.port ?? (await freeLoopbackPort());
  const uiPort = options.uiPort === 0 ? await freeLoopbackPort() : options.uiPort;
  await requireFreeLoopbackPort(port);
  if (uiPort !== undefined) await requireFreeLoopbackPort(uiPort);
  const address = `127.0.0.1:${port}`;
  const server = await startSupervised([options.cliPath, ...serverArguments(options, port, uiPort)], {
    address, logFile: options.logFile,
    variables: Object.fromEntries(Object.entries(COLLECTOR).map(([name, value]) => [name, process.env[name] ?? value])),
    isReady,
  });
  return { address, uiAddress: uiPort === undefined ? undefined : `http://127.0.0.1:${uiPort}`, ...server };
}

/** The port opens before the namespace is there, and that is described before all parts of the server know it. */
async function isReady(connection: Connection): Promise<void> {
  await connection.workflowService.describeNamespace({ namespace: 'default' });
  await new Client({ connection }).workflow.getHandle('asked for to see whether the server is ready').describe().catch((error: unknown) => {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  });
}

function serverArguments(options: StartTemporalServerOptions, port: number, uiPort: number | undefined): string[] {
  const pairs = (flag: string, values: Readonly<Record<string, unknown>>, format: (value: unknown) => string) =>
    Object.entries(values).flatMap(([name, value]) => [flag, `${name}=${format(value)}`]);
  return [
    'server', 'start-dev', '--ip', '127.0.0.1', '--port', String(port), '--log-level', 'warn', '--log-format', 'json',
    ...(uiPort === undefined ? ['--headless'] : ['--ui-port', String(uiPort), '--ui-disable-news-fetch']),
    ...(options.dbFile === undefined ? [] : ['--db-filename', options.dbFile]),
    ...pairs('--search-attribute', options.searchAttributes, String),
    ...pairs('--dynamic-config-value', { ...EMBEDDED_SETTINGS, ...options.dynamicConfig }, JSON.stringify),
  ];
}
