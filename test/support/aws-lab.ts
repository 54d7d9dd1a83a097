import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { findPostgres } from '../../activities/postgres/binaries.ts';
import { createLabControl, type LabControl } from './aws-lab-control.ts';
import { LAB_DIRECTORY, resolveLabPython } from './aws-lab-python.ts';

/** Importing moto takes two seconds; a loaded machine gets longer. */
const READY_TIMEOUT_MS = 60_000;

/** Ending a dozen servers takes a second or two. */
const STOP_TIMEOUT_MS = 30_000;

/** moto's account for whoever it does not know. */
const ACCOUNT = '123456789012';

/** A running lab, which ends when this process does, however it ends. See test/aws-lab/README.md. */
export interface AwsLab {
  /** For all services. */
  readonly endpoint: string;
  readonly region: string;
  readonly account: string;
  /** Of nobody in particular: the lab checks no signature. */
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly control: LabControl;
  /** Of the lab's own process. */
  readonly pid: number;
  /**
   * Ends the lab and everything that it started, and removes its folder. Safe to call again.
   *
   * @throws Error after that, when something was asked of the lab that it does not have, unless that is tolerated
   */
  stop(options?: { tolerateUnimplemented?: boolean }): Promise<void>;
}

/**
 * Starts an empty lab on a free port of the loopback interface. Ready when it resolves.
 *
 * @throws Error that says what is missing, or with the lab's last lines when it does not start
 */
export async function startAwsLab({ log = () => undefined }: { log?: (line: string) => void } = {}): Promise<AwsLab> {
  const python = await resolveLabPython(log);
  const { binDirectory, runAs } = await findPostgres(process.env['TEST_POSTGRES_BIN'] === undefined ? {} : { binDirectory: process.env['TEST_POSTGRES_BIN'] });
  const folder = await mkdtemp(path.join(tmpdir(), 'aws-lab-'));
  // Servers run as another user when this one is root.
  await chmod(folder, 0o711);
  const child = spawn(python, ['-B', LAB_DIRECTORY, '--directory', folder, '--postgres-bin', binDirectory, ...(runAs ? ['--run-as', `${runAs.uid}:${runAs.gid}`] : [])], {
    // Its standard input is what tells it that we have gone. A group of its own: Ctrl-C reaches us first.
    stdio: ['pipe', 'pipe', 'pipe'], detached: true, cwd: tmpdir(),
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => { said = (said + chunk.toString()).slice(-20_000); });
  const exited = new Promise<void>((resolve) => { child.once('close', () => resolve()); child.once('error', () => resolve()); });
  const end = async (): Promise<void> => {
    child.stdin.destroy();
    const impatient = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await exited;
    clearTimeout(impatient);
    // It removes its folder itself, unless it could not start or was killed; its servers may end a moment later then.
    await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  };
  try {
    const ready = await readReady(child, exited);
    const endpoint = `http://127.0.0.1:${ready.port}`;
    const region = 'eu-central-1';
    const control = createLabControl(endpoint, { account: ACCOUNT, region });
    let stopped: Promise<void> | undefined;
    const stop = async (tolerated: boolean): Promise<void> => {
      const missing = await control.unimplemented().catch(() => []);
      await end();
      if (missing.length === 0 || tolerated) return;
      throw new Error(`the AWS lab was asked for what it does not have:\n${missing.map(({ service, action, detail }) => `  ${service} ${action}: ${detail}`).join('\n')}\n${said}`.trimEnd());
    };
    return {
      endpoint, region, account: ACCOUNT, credentials: { accessKeyId: 'AKIALABLABLABLABLAB0', secretAccessKey: 'of the lab' }, control, pid: ready.pid,
      stop: ({ tolerateUnimplemented = false } = {}) => (stopped ??= stop(tolerateUnimplemented)),
    };
  } catch (error) {
    await end();
    throw new Error(`the AWS lab did not start: ${(error as Error).message}\n${said.trim().split('\n').slice(-8).join('\n')}`.trimEnd(), { cause: error });
  }
}

async function readReady(child: ChildProcess, exited: Promise<void>): Promise<{ port: number; pid: number }> {
  const lines = createInterface({ input: child.stdout! });
  const timeout = AbortSignal.timeout(READY_TIMEOUT_MS);
  try {
    const [line] = (await Promise.race([
      once(lines, 'line', { signal: timeout }),
      exited.then(() => { throw new Error('it ended'); }),
    ])) as [string];
    return JSON.parse(line) as { port: number; pid: number };
  } catch (error) {
    if (timeout.aborted) throw new Error(`it was not ready within ${READY_TIMEOUT_MS / 1000} seconds`, { cause: error });
    throw error;
  } finally {
    lines.close();
    child.stdout?.resume();
  }
}
