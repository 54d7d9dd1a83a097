import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { open, mkdir, readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from '@temporalio/client';
import { connectClient } from '../client-connection.ts';

/** A running server program, which ends when this process does, however it ends. */
export interface SupervisedServer {
  /** Of the server itself, so that a test can kill it. */
  readonly pid: number;
  /** Resolves when the server has gone, for whatever reason. */
  readonly exited: Promise<void>;
  /** Ends the server and waits until it has gone; safe to call again. */
  stop(): Promise<void>;
}

/** What a server is called, and how to tell that it answers. */
export interface SupervisedProgram {
  readonly name: string;
  /** Receives what the server prints; appended to. */
  readonly logFile: string;
  /** Beside those of this process, such as a secret: arguments can be read by everybody on the host. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Asks what only a server that is ready answers; rejects until then. */
  readonly ask: () => Promise<unknown>;
  /** For how long it may give no answer; {@link READY_TIMEOUT_MS} when left out. */
  readonly readyTimeoutMs?: number;
}

/** Where a Temporal server will answer, and how to tell that it does. */
export interface SupervisedOptions {
  readonly address: string;
  /** Receives what the server prints; appended to. */
  readonly logFile: string;
  /** Environment variables beside those of this process. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Sent with every call, such as a token. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Asks what only a server that is ready answers; rejects until then. */
  readonly isReady: (connection: Connection) => Promise<unknown>;
  /** As of a {@link SupervisedProgram}. */
  readonly readyTimeoutMs?: number;
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

/** The dev server answers in under a second; a loaded machine gets longer. */
const READY_TIMEOUT_MS = 60_000;

/** What does not answer by then is asked anew: a server that is about to be ready may never answer who came too early. */
const [KNOCK_MS, ASK_MS] = [2_000, 5_000];

/** Resolves where something listens. A gRPC channel that comes too early waits a second before it tries again. */
async function knock(address: string): Promise<void> {
  const { hostname, port } = new URL(`tcp://${address}`);
  const socket = connect(Number(port), hostname);
  socket.setTimeout(KNOCK_MS, () => socket.destroy(new Error(`${address} does not take the connection`)));
  await once(socket, 'connect').finally(() => socket.destroy());
}

/** Starts a Temporal server, as {@link superviseProgram} does. */
export async function startSupervised(command: readonly string[], { address, logFile, variables, metadata = {}, isReady, readyTimeoutMs }: SupervisedOptions): Promise<SupervisedServer> {
  return superviseProgram(command, {
    name: `the Temporal server at ${address}`, logFile, ...(variables && { variables }), ...(readyTimeoutMs !== undefined && { readyTimeoutMs }),
    ask: async () => {
      await knock(address);
      const connection = await connectClient({ address, metadata, connectTimeout: 2_000 });
      await connection.withDeadline(Date.now() + ASK_MS, () => isReady(connection)).finally(() => connection.close());
    },
  });
}

/**
 * Starts a server program and waits until it answers.
 *
 * @throws Error with the server's last lines when it ends early or does not answer within a minute
 */
export async function superviseProgram(command: readonly string[], { name, logFile, variables, ask, readyTimeoutMs = READY_TIMEOUT_MS }: SupervisedProgram): Promise<SupervisedServer> {
  await mkdir(dirname(logFile), { recursive: true });
  // One file handle for the server, so that its output does not depend on this process reading it.
  const log = await open(logFile, 'a');
  const { size: logStart } = await log.stat();
  const shell = spawn('/bin/sh', ['-c', SUPERVISOR, 'temporal-supervisor', ...command], {
    stdio: ['pipe', 'pipe', log.fd],
    env: { ...process.env, ...variables },
    // A group of its own: Ctrl-C reaches us first, and the server ends in order afterwards.
    detached: true,
  });
  const exited = new Promise<void>((resolve) => shell.once('close', () => resolve()));
  try {
    const pid = await readPid(shell);
    await waitUntilItAnswers(ask, exited, readyTimeoutMs);
    return { pid, exited, stop: () => end(shell, exited) };
  } catch (error) {
    await end(shell, exited);
    const said = (await readFile(logFile, 'utf8')).slice(logStart).trim().split('\n').slice(-5).join('\n');
    throw new Error(`${name} did not start: ${(error as Error).message}\n${said}`.trimEnd(), { cause: error });
  } finally {
    await log.close();
  }
}

async function readPid(shell: ChildProcess): Promise<number> {
  const lines = createInterface({ input: shell.stdout! });
  const [line] = (await Promise.race([once(lines, 'line'), once(shell, 'error').then(([error]) => { throw error as Error; })])) as [string];
  lines.close();
  return Number(line);
}

/** What `ask` still waits for when the server has ended, or the time is over, is not waited for. */
async function waitUntilItAnswers(ask: SupervisedProgram['ask'], exited: Promise<void>, readyTimeoutMs: number): Promise<void> {
  const over = new AbortController();
  let last: unknown;
  const answer = async (): Promise<void> => {
    for (; !over.signal.aborted; await sleep(50)) {
      try {
        await ask();
        return;
      } catch (error) {
        last = error;
      }
    }
  };
  const ended = exited.then(() => { throw new Error('it ended', { cause: last }); });
  const tooLate = sleep(readyTimeoutMs, undefined, { signal: over.signal }).then(() => { throw new Error(`no answer within ${readyTimeoutMs / 1000} seconds`, { cause: last }); });
  await Promise.race([answer(), ended, tooLate]).finally(() => over.abort());
}

async function end(shell: ChildProcess, exited: Promise<void>): Promise<void> {
  shell.stdin?.destroy();
  await exited;
}
