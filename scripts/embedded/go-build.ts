import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { fillAtomically } from './fill-atomically.ts';

const run = promisify(execFile);

/** A cold build takes minutes on 2 cores, so a slow machine gets much more. */
const GO_BUILD_TIMEOUT_MS = 30 * 60_000;

/** -s -w leaves out debugging tables: 138 MB instead of 200. */
export const SMALLER: readonly string[] = ['-trimpath', '-ldflags', '-s -w'];

/** What is built, and where it stays. */
export interface GoBuild {
  readonly name: string;
  /** Where the program is found once the whole of it is there. */
  readonly directory: string;
  readonly environment: NodeJS.ProcessEnv;
  /** What to do when the build fails. */
  readonly advice: string;
}

/** Runs `go` with these arguments, in a directory and with further variables. */
export type RunGo = (parameters: readonly string[], where?: { cwd?: string; variables?: Record<string, string> }) => Promise<unknown>;

/** Whether the Go toolchain is there. */
export function hasGo(environment: NodeJS.ProcessEnv): Promise<boolean> {
  return run('go', ['version'], { env: environment }).then(() => true, () => false);
}

/**
 * Builds a program with Go in a directory that is put in place when it is whole.
 *
 * @throws Error with the compiler's last line and the advice
 */
export async function buildWithGo({ name, directory, environment, advice }: GoBuild, build: (go: RunGo, unfinished: string) => Promise<void>): Promise<void> {
  const go: RunGo = (parameters, { cwd, variables } = {}) => run('go', [...parameters], { ...(cwd === undefined ? {} : { cwd }), env: { ...environment, ...variables }, timeout: GO_BUILD_TIMEOUT_MS, maxBuffer: 64 * 1024 * 1024 });
  try {
    await fillAtomically(directory, (unfinished) => build(go, unfinished));
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    throw new Error(`building ${name} with Go failed (${(stderr || message).trim().split('\n').at(-1)}); ${advice}`, { cause: error });
  }
}
