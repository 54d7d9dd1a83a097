import { execFile, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** The clone's directory, from sources and from the build alike. */
const root = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? '../../../' : '../../../../', import.meta.url));

/** A file of the build, such as `scripts/cli/main.js`: what is measured is what people run. */
export function built(path: string): string {
  return `${root}dist/${path}`;
}

/** Runs a program to its end. Its last lines are in the error when it fails. */
export async function execute(command: string, args: readonly string[], options: { env?: NodeJS.ProcessEnv; uid?: number; gid?: number; cwd?: string; signal?: AbortSignal } = {}): Promise<string> {
  try {
    return (await promisify(execFile)(command, [...args], { maxBuffer: 64 * 2 ** 20, ...options })).stdout;
  } catch (cause) {
    const { stderr = '', message } = cause as Error & { stderr?: string };
    throw new Error(`${command.split('/').at(-1)} failed: ${(stderr.trim() || message).split('\n').slice(-5).join('\n')}`, { cause });
  }
}

/** Runs a shell script of `baselines/` with nothing but what it is given. */
export async function runBaseline(script: string, variables: Record<string, string>): Promise<string> {
  // Ended as a group: a script that is interrupted must not leave its children at work.
  const child = spawn('bash', [`${root}test/bench/baselines/${script}`], {
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C', ...variables }, stdio: ['ignore', 'pipe', 'pipe'], detached: true,
  });
  running.add(child.pid as number);
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => { output.stdout += chunk.toString(); });
  child.stderr.on('data', (chunk: Buffer) => { output.stderr = (output.stderr + chunk.toString()).slice(-4000); });
  const code = await new Promise<number | string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => resolve(status ?? signal ?? 'unknown'));
  }).finally(() => running.delete(child.pid as number));
  if (code !== 0) throw new Error(`${script} ended with ${code}: ${output.stderr.trim().split('\n').slice(-8).join('\n')}`);
  return output.stdout;
}

const running = new Set<number>();

/** Ends the scripts that still run; for an interrupted bench. */
export function endBaselines(): void {
  for (const pid of running) {
    try {
      process.kill(-pid, 'SIGTERM');
    } catch {
      // It ended meanwhile.
    }
  }
}

/** Brings a file system's dirty pages to the disk, so that nobody pays for what another one wrote. */
export async function flush(directory: string): Promise<void> {
  await execute('sync', ['-f', directory]);
}
