import { spawn } from 'node:child_process';
import { ApplicationFailure } from '@temporalio/common';
import { PROBE_CHECK } from '../../contracts/asked-checks.ts';
import type { ProbeSetting } from '../../contracts/configuration.ts';
import type { Check } from '../../contracts/evidence.ts';
import type { GuardedConfig } from '../postgres/source.ts';

/** How the application gets to the copy, and what it may see of the worker: of the environment, only what is given here. */
export interface ProbeContext {
  address: (database: string) => GuardedConfig;
  /** Used where the probe names none. */
  database: string;
  environment: Readonly<Record<string, string>>;
  /** Added to the environment: what by any chance outlives the probe is found by it. */
  marker: Readonly<Record<string, string>>;
  signal: AbortSignal;
  /** An earlier check has failed: that counts, and not a probe that cannot be started. */
  hasFailed?: boolean;
}

/** Stands in a probe's URL for the address of the copy, percent-encoded. */
const URL_PLACEHOLDER = '{DATABASE_URL}';

/**
 * Lets the application try the restored database: a command with its address in the environment, or a URL that carries
 * it. Only an exit code or a status of HTTP is an answer; without one the check is `skipped`, for it says nothing about what
 * was restored. It connects by itself, so it is shown an address that cannot come to be another server's.
 * @throws RecoveryFailure `NOT_OUR_DRILL` where it could have reached another server; ApplicationFailure `CONFIGURATION` for a command that cannot be started, where nothing has failed before; what an aborted signal throws
 */
export async function probe(setting: ProbeSetting, context: ProbeContext): Promise<Check> {
  const config = context.address(setting.database ?? context.database);
  const held = await config.guard?.hold(context.signal);
  const check = await askApplication(setting, held ? { ...config, host: held.host } : config, context);
  await held?.confirm();
  return check;
}

async function askApplication(setting: ProbeSetting, config: GuardedConfig, { environment, marker, signal, hasFailed = false }: ProbeContext): Promise<Check> {
  const user = setting.user ?? config.user ?? '';
  const databaseUrl = `postgresql://${encodeURIComponent(user)}@/${encodeURIComponent(config.database ?? '')}?host=${encodeURIComponent(config.host ?? '')}&port=${config.port}`;
  if ('url' in setting) {
    const url = setting.url.replaceAll(URL_PLACEHOLDER, encodeURIComponent(databaseUrl));
    const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(setting.timeout)]) }).catch((error: Error) => error);
    signal.throwIfAborted();
    if (response instanceof Response) return { name: PROBE_CHECK, outcome: response.ok ? 'passed' : 'failed', detail: `HTTP ${response.status}` };
    return { name: PROBE_CHECK, outcome: 'skipped', detail: response.name === 'TimeoutError' ? `no answer within ${setting.timeout / 1000} s` : `no answer: ${whyUnanswered(response)}` };
  }
  const variables = {
    ...environment, LANG: 'C.UTF-8', PGHOST: config.host, PGPORT: String(config.port), PGUSER: user, PGDATABASE: config.database, DATABASE_URL: databaseUrl, ...marker,
  };
  const [command = ''] = setting.command;
  const end = await runInOwnGroup(setting.command, { variables, timeoutMs: setting.timeout, signal });
  if (end instanceof Error) {
    const sentence = `cannot be started (${end.message}); correct probe.command of the database in the configuration, or install it on this host.`;
    if (!hasFailed) throw ApplicationFailure.nonRetryable(`The application probe ${sentence}`, 'CONFIGURATION');
    return { name: PROBE_CHECK, outcome: 'skipped', detail: sentence };
  }
  if (typeof end === 'number') return { name: PROBE_CHECK, outcome: end === 0 ? 'passed' : 'failed', detail: `${command} ended with ${end}` };
  return { name: PROBE_CHECK, outcome: 'skipped', detail: `no answer: ${command} ${end === 'timedOut' ? `did not end within ${setting.timeout / 1000} s` : `was ended by ${end}`}` };
}

/** The system's word for it, such as ECONNREFUSED: fetch hides it in the cause. */
function whyUnanswered({ message, cause }: Error): string {
  const { code } = (cause ?? {}) as NodeJS.ErrnoException;
  return code ?? (cause instanceof Error ? cause.message : message);
}

/** What the system says of a program that is not there or may not be run. */
const CANNOT_BE_STARTED = new Set(['ENOENT', 'EACCES', 'ENOEXEC', 'ENOTDIR', 'EISDIR']);

/**
 * Runs a command as the leader of a process group, and ends the whole group with it: what it left behind would outlive the
 * drill. Gives its exit code, the signal that ended it, or why it could not be started.
 */
async function runInOwnGroup([command = '', ...args]: readonly string[], { variables, timeoutMs, signal }: { variables: NodeJS.ProcessEnv; timeoutMs: number; signal: AbortSignal }): Promise<number | NodeJS.Signals | 'timedOut' | Error> {
  signal.throwIfAborted();
  const child = spawn(command, args, { env: variables, detached: true, stdio: 'ignore' });
  const endGroup = () => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // All gone already, or of another user: tearing down finds those by the marker.
    }
  };
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    endGroup();
  }, timeoutMs);
  signal.addEventListener('abort', endGroup, { once: true });
  const end = await new Promise<number | NodeJS.Signals | NodeJS.ErrnoException>((resolve) => {
    child.once('error', (error) => resolve(error));
    child.once('exit', (code, by) => resolve(code ?? by ?? 'SIGKILL'));
  });
  clearTimeout(timer);
  signal.removeEventListener('abort', endGroup);
  endGroup();
  signal.throwIfAborted();
  if (end instanceof Error) {
    if (!CANNOT_BE_STARTED.has(end.code ?? '')) throw end;
    return end;
  }
  return timedOut ? 'timedOut' : end;
}
