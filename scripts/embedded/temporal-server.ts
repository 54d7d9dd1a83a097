import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { open, mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { freeLoopbackPort, requireFreeLoopbackPort } from './free-port.ts';

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
export interface TemporalServer {
  /** `127.0.0.1:<port>` */
  readonly address: string;
  /** Base address of the web UI; undefined when it is off. */
  readonly uiAddress: string | undefined;
  /** Of the server itself, so that a test can kill it. */
  readonly pid: number;
  /** Resolves when the server has gone, for whatever reason. */
  readonly exited: Promise<void>;
  /** Ends the server and waits until it has gone; safe to call again. */
  stop(): Promise<void>;
}

/**
 * The server as child of a shell that reads a pipe which only our process holds open. When our process ends, even by
 * kill -9, the kernel closes the pipe and the shell ends the server. Node offers no PR_SET_PDEATHSIG, and macOS has none.
 * The watcher never outlives the server, because the shell kills it when the server ends first.
 */
const SUPERVISOR = `
exec 3<&0 </dev/null
"$@" 3<&- >&2 & server=$!
echo "$server"
exec >&-
(
  while read -r _ <&3; do :; done
  kill -TERM "$server" 2>/dev/null
  for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$server" 2>/dev/null || exit 0; sleep 0.3; done
  kill -KILL "$server" 2>/dev/null
) 2>/dev/null & watcher=$!
wait "$server"; code=$?
kill "$watcher" 2>/dev/null
exit "$code"
`;

/**
 * A dev server has one shard, and a shard looks for tasks 20 times a second at most: under load every step of a run
 * then waits 50 ms for the next look. Clusters have hundreds of shards and are not held back by it.
 */
const EMBEDDED_SETTINGS = { 'history.transferProcessorMaxPollRPS': 1000, 'history.timerProcessorMaxPollRPS': 1000, 'history.visibilityProcessorMaxPollRPS': 1000 };

/** The dev server answers in under a second; a loaded machine gets longer. */
const READY_TIMEOUT_MS = 30_000;

/** Another process can take a free port between the look and the start: then look again. */
const PORT_ATTEMPTS = 3;

/** Longer than the supervisor lets a server live whose parent was killed. Until it is gone, no other can use its file. */
const ENDING_MS = 3_500;

/**
 * Starts a Temporal dev server on the loopback interface and waits until it answers.
 *
 * @throws Error with the server's last lines when it ends early or does not answer within 30 seconds
 */
export async function startTemporalServer(options: StartTemporalServerOptions): Promise<TemporalServer> {
  await mkdir(dirname(options.logFile), { recursive: true });
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await startOnce(options);
    } catch (error) {
      const isTaken = /address already in use/i.test((error as Error).message);
      const portsAreChosen = options.port !== undefined && (options.uiPort === undefined || options.uiPort > 0);
      if (isTaken ? portsAreChosen || attempt === PORT_ATTEMPTS : options.dbFile === undefined || attempt > 1) throw error;
      if (!isTaken) await sleep(ENDING_MS);
    }
  }
}

async function startOnce(options: StartTemporalServerOptions): Promise<TemporalServer> {
  const port = options.port ?? (await freeLoopbackPort());
  const uiPort = options.uiPort === 0 ? await freeLoopbackPort() : options.uiPort;
  await requireFreeLoopbackPort(port);
  if (uiPort !== undefined) await requireFreeLoopbackPort(uiPort);
  // One file handle for the server, so that its output does not depend on this process reading it.
  const log = await open(options.logFile, 'a');
  const { size: logStart } = await log.stat();
  const shell = spawn('/bin/sh', ['-c', SUPERVISOR, 'temporal-supervisor', options.cliPath, ...serverArguments(options, port, uiPort)], {
    stdio: ['pipe', 'pipe', log.fd],
    // A group of its own: Ctrl-C reaches us first, and the server ends in order afterwards.
    detached: true,
  });
  const exited = new Promise<void>((resolve) => shell.once('close', () => resolve()));
  const address = `127.0.0.1:${port}`;
  try {
    const pid = await readPid(shell);
    await waitUntilItAnswers(address, exited);
    return {
      address, uiAddress: uiPort === undefined ? undefined : `http://127.0.0.1:${uiPort}`, pid, exited,
      stop: () => end(shell, exited),
    };
  } catch (error) {
    await end(shell, exited);
    const said = (await readFile(options.logFile, 'utf8')).slice(logStart).trim().split('\n').slice(-5).join('\n');
    throw new Error(`the Temporal server at ${address} did not start: ${(error as Error).message}\n${said}`.trimEnd(), { cause: error });
  } finally {
    await log.close();
  }
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

async function readPid(shell: ChildProcess): Promise<number> {
  const lines = createInterface({ input: shell.stdout! });
  const [line] = (await Promise.race([once(lines, 'line'), once(shell, 'error').then(([error]) => { throw error as Error; })])) as [string];
  lines.close();
  return Number(line);
}

async function waitUntilItAnswers(address: string, exited: Promise<void>): Promise<void> {
  let gone = false;
  void exited.then(() => { gone = true; });
  let last: unknown;
  for (const deadline = Date.now() + READY_TIMEOUT_MS; Date.now() < deadline; await sleep(50)) {
    if (gone) throw new Error('it ended');
    try {
      const connection = await Connection.connect({ address, connectTimeout: 2_000 });
      try {
        // The port opens before the namespace is there.
        await connection.workflowService.describeNamespace({ namespace: 'default' });
        return;
      } finally {
        await connection.close();
      }
    } catch (error) {
      last = error;
    }
  }
  throw new Error(`no answer within ${READY_TIMEOUT_MS / 1000} seconds`, { cause: last });
}

async function end(shell: ChildProcess, exited: Promise<void>): Promise<void> {
  shell.stdin?.destroy();
  await exited;
}
