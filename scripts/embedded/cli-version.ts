import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Older ones know no extensions such as `temporal runbook`. */
export const OLDEST_TEMPORAL_CLI = '1.6';

/** A program of more than a hundred megabytes, which a slow disk may have to read first. */
const VERSION_MS = 30_000;

/** What builds from source call themselves that nobody gave a version, ours among them: how old one is, it does not say. */
const NOBODY_KNOWS = '0.0.0';

/**
 * Why a program is not a Temporal CLI that is new enough, as the second half of a sentence; undefined for one that is. It is asked for
 * its version, which says `temporal version 1.8.2 (Server 1.31.2, UI 2.50.1)`.
 */
export async function whyUnfit(path: string, environment: NodeJS.ProcessEnv, withinMs = VERSION_MS): Promise<string | undefined> {
  let said: string;
  try {
    said = (await run(path, ['--version'], { env: environment, timeout: withinMs, killSignal: 'SIGKILL' })).stdout;
  } catch (error) {
    const { killed, code, message } = error as Error & { killed?: boolean; code?: number | string };
    return `does not say its version (${killed ? `no answer within ${withinMs / 1_000} s` : typeof code === 'number' ? `it ended with ${code}` : message.split('\n')[0]})`;
  }
  const [, version = '', major, minor] = /^temporal version ((\d+)\.(\d+)\.\d+)/m.exec(said) ?? [];
  if (version === '') return 'does not say its version';
  const [oldestMajor = 0, oldestMinor = 0] = OLDEST_TEMPORAL_CLI.split('.').map(Number);
  const isOld = Number(major) < oldestMajor || (Number(major) === oldestMajor && Number(minor) < oldestMinor);
  return isOld && version !== NOBODY_KNOWS ? `is Temporal CLI ${version}, and ${OLDEST_TEMPORAL_CLI} or newer is needed` : undefined;
}
