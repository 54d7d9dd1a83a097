import { execFile } from 'node:child_process';
import type { CheckSetting, ProbeSetting } from '../../contracts/configuration.ts';
import type { Check } from '../../contracts/evidence.ts';
import type { ClientConfig } from 'pg';
import { sqlState } from '../manifest/errors.ts';
import { withClient } from '../postgres/source.ts';

/** How long an assertion may take. */
const CHECK_TIMEOUT_MS = 5 * 60_000;

/** Runs the owner's SQL assertions. What they return is compared and never shown: it may be personal data. */
export async function runOwnChecks(address: (database: string) => ClientConfig, checks: readonly CheckSetting[], database: string): Promise<Check[]> {
  const results: Check[] = [];
  for (const check of checks) {
    try {
      const value = await withClient(address(check.database ?? database), async (client) => {
        await client.query('BEGIN READ ONLY');
        await client.query(`SET LOCAL statement_timeout = ${CHECK_TIMEOUT_MS}`);
        const { rows } = await client.query<unknown[]>({ text: check.sql, rowMode: 'array' });
        await client.query('ROLLBACK');
        return rows[0]?.[0];
      });
      const passed = value !== undefined && value !== null && asText(value) === check.expect;
      results.push({ name: check.name, outcome: passed ? 'passed' : 'failed', detail: passed ? 'as expected' : `is not ${check.expect}` });
    } catch (error) {
      // No SQLSTATE, or one of these classes: the server went away, which says nothing about what was restored.
      if (sqlState(error) === '' || /^(08|57P)/.test(sqlState(error))) throw error;
      results.push({ name: check.name, outcome: 'failed', detail: `could not be run (${(error as { code?: string }).code ?? 'no code'})` });
    }
  }
  return results;
}

function asText(value: unknown): string {
  if (value instanceof Date) return value.toISOString();
  return typeof value === 'object' ? JSON.stringify(value) : String(value as string | number | boolean | bigint);
}

export interface ProbeContext {
  address: (database: string) => ClientConfig;
  /** Used where the probe names none. */
  database: string;
  environment: Readonly<Record<string, string>>;
  signal: AbortSignal;
}

/** Stands in a probe's URL for the address of the copy, percent-encoded. */
const URL_PLACEHOLDER = '{DATABASE_URL}';

/** Lets the application try the restored database: a command with its address in the environment, or a URL that carries it. */
export async function probe(setting: ProbeSetting, { address, database, environment, signal }: ProbeContext): Promise<Check> {
  const name = 'application probe';
  const config = address(setting.database ?? database);
  const user = setting.user ?? config.user ?? '';
  const databaseUrl = `postgresql://${encodeURIComponent(user)}@/${encodeURIComponent(config.database ?? '')}?host=${encodeURIComponent(config.host ?? '')}&port=${config.port}`;
  if ('url' in setting) {
    const url = setting.url.replaceAll(URL_PLACEHOLDER, encodeURIComponent(databaseUrl));
    const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(setting.timeout)]) }).catch((error: Error) => error);
    const ok = response instanceof Response && response.ok;
    return { name, outcome: ok ? 'passed' : 'failed', detail: response instanceof Response ? `HTTP ${response.status}` : 'no answer' };
  }
  const [command = '', ...args] = setting.command;
  const variables = {
    ...environment, LANG: 'C.UTF-8', PGHOST: config.host, PGPORT: String(config.port), PGUSER: user, PGDATABASE: config.database, DATABASE_URL: databaseUrl,
  };
  return new Promise((resolve) => {
    execFile(command, args, { env: variables, signal, timeout: setting.timeout, maxBuffer: 2 ** 20 }, (error) => {
      const code = error && 'code' in error ? String(error.code) : 'signal';
      resolve({ name, outcome: error ? 'failed' : 'passed', detail: error ? `${command} ended with ${code}` : `${command} ended with 0` });
    });
  });
}
