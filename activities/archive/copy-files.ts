import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { findOnPath, searchPath } from './host-programs.ts';
import { type OnProgress, RecoveryFailure } from './recovery-failure.ts';
import { makeRoom, type PlaceSetting } from './room.ts';

/** Sent to the copying process. Directories are made in order and not recursively. */
export interface CopyRequest {
  directories: string[];
  jobs: { source: string; target: string; size: number }[];
  threads: number;
  owner?: { uid: number; gid: number } | undefined;
  bytesPerSecond?: number | undefined;
  /** File system that must keep `reserveBytes` free. */
  spaceOf: string;
  reserveBytes?: number | undefined;
  /** `false`: no file is cloned. Else each is that can be, and the others are copied. */
  reflink?: boolean | undefined;
  /** `false`: for what proves itself, as WAL does; `sha256` is then empty. */
  sums?: boolean | undefined;
  /**
   * Begins to bring large files to the disk while they are copied. The process goes on with that after the copy, which
   * does not wait for it, and ends with this one or by its marker.
   */
  flush?: boolean | undefined;
}

/** What became of one job; `missing` is no failure here: a running server removes files while they are copied. */
export type CopiedFile = { state: 'copied'; size: number; sha256: string } | { state: 'missing' } | { state: 'symlink' };

/** A copy, and whom it tells of itself. Without `threads`: two to eight, as the host has processors. */
export interface CopyFilesArgs extends Omit<CopyRequest, 'threads'> {
  threads?: number | undefined;
  phase: string;
  /** What says where `spaceOf` lies: told where it has too little room. */
  setting: PlaceSetting;
  /** In the copying process's environment, so that it can be found and ended. */
  marker?: { name: string; value: string } | undefined;
  /** Called before the first byte is copied, with the id of the process that will do it. */
  onStarted?: (pid: number) => Promise<void>;
  signal?: AbortSignal | undefined;
  onProgress?: OnProgress | undefined;
}

const PROGRAM = fileURLToPath(new URL('./copy-process.mjs', import.meta.url));

/**
 * Copies files and hashes them on the way, in one process of low priority that ends when this one does.
 * Aborting ends it at once. Results are in the order of `jobs`.
 * @throws RecoveryFailure `NOT_ENOUGH_SPACE`, `COPY_FAILED`
 */
export async function copyFiles(args: CopyFilesArgs): Promise<CopiedFile[]> {
  args.signal?.throwIfAborted();
  const child = startCopyProcess(args.marker);
  const abort = () => child.kill('SIGKILL');
  args.signal?.addEventListener('abort', abort, { once: true });
  // From the very beginning: a process that is killed before it says a word would else be waited for until the end of time.
  const ended = failureOf(child, args.signal);
  let isFlushing = false;
  try {
    await Promise.race([once(child, 'message'), ended]);
    await args.onStarted?.(child.pid ?? 0);
    args.signal?.throwIfAborted();
    const files = await Promise.race([converse(child, args), ended]);
    isFlushing = args.flush === true;
    return files;
  } finally {
    args.signal?.removeEventListener('abort', abort);
    if (isFlushing) letFlush(child);
    else if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  }
}

/** Copying processes of this one that are done, and bring what they copied to the disk. */
const flushing = new Set<number>();

/** Whether this is a copying process of ours that copies no more, and only brings to the disk what it copied. */
export function isFlushing(pid: number): boolean {
  return flushing.has(pid);
}

/** This process may end without waiting; the other one notices. */
function letFlush(child: ChildProcess): void {
  const { pid, exitCode, signalCode } = child;
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  flushing.add(pid);
  // No other process has its number before that.
  child.once('exit', () => flushing.delete(pid));
  child.unref();
  child.channel?.unref();
}

/** Rejects when the process ends or cannot be reached. */
function failureOf(child: ChildProcess, signal: AbortSignal | undefined): Promise<never> {
  const failure = new Promise<never>((_, reject) => {
    child.on('error', (cause) => reject(new RecoveryFailure('COPY_FAILED', `The copying process could not be started or reached: ${cause.message}`, { cause })));
    child.once('exit', (code, killedBy) => {
      if (signal?.aborted) reject(signal.reason as Error);
      else reject(new RecoveryFailure('COPY_FAILED', `The copying process ended early (${killedBy ?? `exit code ${code}`}).`));
    });
  });
  // It ends after its work too, when nobody listens any more.
  failure.catch(() => undefined);
  return failure;
}

function startCopyProcess(marker: CopyFilesArgs['marker']): ChildProcess {
  // The idle class lets every other process go first at the disk; it survives exec and reaches the threads.
  const idle = findOnPath('ionice');
  const command = [...(idle ? [idle, '-c', '3'] : []), process.execPath, PROGRAM];
  // Only what the program needs: passwords in our environment are none of its business.
  const env: NodeJS.ProcessEnv = { PATH: searchPath() ?? '', ...(marker ? { [marker.name]: marker.value } : {}) };
  return spawn(command[0] as string, command.slice(1), { env, cwd: '/', stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
}

type Reply = { bytesDone: number } | { done: CopiedFile[] } | { failed: { code: string; message: string } };

function converse(child: ChildProcess, args: CopyFilesArgs): Promise<CopiedFile[]> {
  const { phase, setting, signal: _signal, onProgress, marker: _marker, onStarted: _onStarted, ...request } = args;
  const bytesTotal = args.jobs.reduce((sum, job) => sum + job.size, 0);
  return new Promise((resolve, reject) => {
    child.on('message', (reply: Reply) => {
      if ('bytesDone' in reply) onProgress?.({ phase, bytesDone: reply.bytesDone, bytesTotal });
      else if ('done' in reply) {
        onProgress?.({ phase, bytesDone: bytesTotal, bytesTotal });
        resolve(reply.done);
      } else {
        const { code, message } = reply.failed;
        const isFull = code === 'NOT_ENOUGH_SPACE' || code === 'ENOSPC';
        reject(isFull ? new RecoveryFailure('NOT_ENOUGH_SPACE', `${message}; ${makeRoom(setting)}`) : new RecoveryFailure('COPY_FAILED', message));
      }
    });
    const threads = args.threads ?? Math.max(2, Math.min(8, availableParallelism()));
    child.send({ ...request, threads } satisfies CopyRequest);
  });
}
