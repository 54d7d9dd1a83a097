import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, openSync, closeSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ownServerEnvironment } from '../../scripts/embedded/own-server-environment.ts';

/** A worker in a process of its own, as in production, which faults can strike. */
export interface WorkerProcess {
  readonly pid: number;
  /** Sends a signal; SIGKILL and SIGTERM also wait until it is gone. Returns whether it was there to receive it. */
  signal(signal: 'SIGKILL' | 'SIGTERM' | 'SIGSTOP' | 'SIGCONT'): Promise<boolean>;
  isAlive(): boolean;
  /** Stopped by SIGSTOP, according to the kernel. */
  isStopped(): Promise<boolean>;
}

/** What the process is told; `address` is the Temporal server's, `logFile` is appended to by each worker that has it. */
export interface StartWorkerArgs {
  configurationFile: string;
  address: string;
  logFile: string;
  /** Poses as a host of this name; without it, the worker is of this host. */
  host?: string;
  /** Beside the environment of this process. */
  environment?: Readonly<Record<string, string>>;
}

/** The built programs; from sources (under vitest) those that the build before the tests made. */
function program(host: string | undefined): string {
  const dist = import.meta.url.endsWith('.ts') ? '../../dist/' : '../../';
  return fileURLToPath(new URL(`${dist}${host === undefined ? 'workers/main.js' : 'test/faults/other-host.js'}`, import.meta.url));
}

/** Starts a worker and waits until it polls. */
export async function startWorkerProcess({ configurationFile, address, logFile, host, environment = {} }: StartWorkerArgs): Promise<WorkerProcess> {
  const log = openSync(logFile, 'a');
  let child: ChildProcess;
  try {
    child = spawn(process.execPath, [program(host), ...(host === undefined ? [] : [host])], {
      env: { ...ownServerEnvironment(address), ...environment, RUNBOOKS_CONFIG: configurationFile }, stdio: ['ignore', 'pipe', log],
    });
  } finally {
    closeSync(log);
  }
  await new Promise<void>((resolve, reject) => {
    let said = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      appendFileSync(logFile, chunk);
      said += chunk.toString();
      if (said.includes('worker ready')) resolve();
    });
    child.once('error', reject);
    child.once('exit', (code, signal) => reject(new Error(`a worker ended before it was ready [${signal ?? code}]; its log is ${logFile}`)));
  });
  const isAlive = () => child.exitCode === null && child.signalCode === null;
  return {
    pid: child.pid ?? 0,
    isAlive,
    async signal(signal) {
      if (!isAlive()) return false;
      const gone = once(child, 'exit');
      const sent = child.kill(signal);
      if (signal === 'SIGTERM') {
        // A stopped process does not end before it is continued.
        child.kill('SIGCONT');
        await Promise.race([gone, sleep(15_000, undefined, { ref: false }).then(() => child.kill('SIGKILL'))]);
      }
      if (signal === 'SIGTERM' || signal === 'SIGKILL') await gone;
      return sent;
    },
    async isStopped() {
      const stat = await readFile(`/proc/${child.pid}/stat`, 'utf8').catch(() => '');
      return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T');
    },
  };
}
