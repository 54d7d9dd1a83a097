import { execFile } from 'node:child_process';
import type { CheckSetting, ProbeSetting } from '../../contracts/configuration.ts';
import type { Check } from '../../contracts/evidence.ts';
import { drillClientConfig, withDrillClient } from '../drill/client.ts';
import type { Drill } from '../drill/drill.ts';

/** How long an assertion may take. */
const CHECK_TIMEOUT_MS = 5 * 60_000;

/** Runs the owner's SQL assertions. What they return is compared and never shown: it may be personal data. */
export async function runOwnChecks(drill: Drill, checks: readonly CheckSetting[], database: string): Promise<Check[]> {
  const results: Check[] = [];
  for (const check of checks) {
    try {
      const value = await withDrillClient(drill, check.database ?? database, async (client) => {
        await client.query('BEGIN READ ONLY');
        await client.query(`SET LOCAL statement_timeout = ${CHECK_TIMEOUT_MS}`);
        const { rows } = await client.query<unknown[]>({ text: check.sql, rowMode: 'array' });
        await client.query('ROLLBACK');
        return rows[0]?.[0];
      });
      const passed = value !== undefined && value !== null && asText(value) === check.expect;
      results.push({ name: check.name, outcome: passed ? 'passed' : 'failed', detail: passed ? 'as expected' : `is not ${check.expect}` });
    } catch (error) {
      results.push({ name: check.name, outcome: 'failed', detail: `could not be run (${(error as { code?: string }).code ?? 'no code'})` });
    }
  }
  return results;
}

function asText(value: unknown): string {
  if (value instanceof Date) return value.toISOString();
  return typeof value === 'object' ? JSON.stringify(value) : String(value as string | number | boolean | bigint);
}

/** Lets the application try the restored database: a command with its address in the environment, or a URL. */
export async function probe(drill: Drill, setting: ProbeSetting, database: string, signal: AbortSignal): Promise<Check> {
  const name = 'application probe';
  if ('url' in setting) {
    const response = await fetch(setting.url, { signal: AbortSignal.any([signal, AbortSignal.timeout(setting.timeout)]) }).catch((error: Error) => error);
    const ok = response instanceof Response && response.ok;
    return { name, outcome: ok ? 'passed' : 'failed', detail: response instanceof Response ? `HTTP ${response.status}` : 'no answer' };
  }
  const config = drillClientConfig(drill, { database: setting.database ?? database });
  const [command = '', ...args] = setting.command;
  const environment = {
    PATH: process.env['PATH'], HOME: process.env['HOME'], LANG: 'C.UTF-8',
    PGHOST: config.host, PGPORT: String(config.port), PGUSER: setting.user ?? config.user, PGDATABASE: config.database,
    DATABASE_URL: `postgresql://${encodeURIComponent(setting.user ?? config.user ?? '')}@/${encodeURIComponent(config.database ?? '')}?host=${encodeURIComponent(config.host ?? '')}&port=${config.port}`,
  };
  return new Promise((resolve) => {
    execFile(command, args, { env: environment, signal, timeout: setting.timeout, maxBuffer: 2 ** 20 }, (error) => {
      const code = error && 'code' in error ? String(error.code) : 'signal';
      resolve({ name, outcome: error ? 'failed' : 'passed', detail: error ? `${command} ended with ${code}` : `${command} ended with 0` });
    });
  });
}
