import { spawn } from 'node:child_process';
import type { ClientConfig } from 'pg';
import type { ProbeSetting } from '../../contracts/configuration.ts';
import type { Check } from '../../contracts/evidence.ts';

export interface ProbeContext {
  address: (database: string) => ClientConfig;
  /** Used where the probe names none. */
  database: string;
  environment: Readonly<Record<string, string>>;
  /** Added to the environment: what by any chance outlives the probe is found by it. */
  marker: Readonly<Record<string, string>>;
  signal: AbortSignal;
}

/** Stands in a probe's URL for the address of the copy, percent-encoded. */
const URL_PLACEHOLDER = '{DATABASE_URL}';
const NAME = 'application probe';

/**
 * Lets the application try the restored database: a command with its address in the environment, or a URL that carries
 * it. Rejects only when it is cancelled.
 */
export async function probe(setting: ProbeSetting, { address, database, environment, marker, signal }: ProbeContext): Promise<Check> {
  const config = address(setting.database ?? database);
  const user = setting.user ?? config.user ?? '';
  const databaseUrl = `postgresql://${encodeURIComponent(user)}@/${encodeURIComponent(config.database ?? '')}?host=${encodeURIComponent(config.host ?? '')}&port=${config.port}`;
  if ('url' in setting) {
    const url = setting.url.replaceAll(URL_PLACEHOLDER, encodeURIComponent(databaseUrl));
    const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(setting.timeout)]) }).catch((error: Error) => error);
    signal.throwIfAborted();
    const ok = response instanceof Response && response.ok;
    return { name: NAME, outcome: ok ? 'passed' : 'failed', detail: response instanceof Response ? `HTTP ${response.status}` : 'no answer' };
  }
  const variables = {
    ...environment, LANG: 'C.UTF-8', PGHOST: config.host, PGPORT: String(config.port), PGUSER: user, PGDATABASE: config.database, DATABASE_URL: databaseUrl, ...marker,
  };
  const end = await runInOwnGroup(setting.command, { variables, timeoutMs: setting.timeout, signal });
  return { name: NAME, outcome: end === '0' ? 'passed' : 'failed', detail: `${setting.command[0] ?? ''} ended with ${end}` };
}

/** Runs a command as the leader of a process group, and ends the whole group with it: what it left behind would outlive the drill. */
async function runInOwnGroup([command = '', ...args]: readonly string[], { variables, timeoutMs, signal }: { variables: NodeJS.ProcessEnv; timeoutMs: number; signal: AbortSignal }): Promise<string> {
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
  const end = await new Promise<string>((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    child.once('exit', (code, by) => resolve(String(code ?? by)));
  });
  clearTimeout(timer);
  signal.removeEventListener('abort', endGroup);
  endGroup();
  signal.throwIfAborted();
  return timedOut ? `its time-out of ${timeoutMs / 1000} s` : end;
}
