import type { CheckSetting } from '../../contracts/configuration.ts';
import type { Check } from '../../contracts/evidence.ts';
import type { ClientConfig } from 'pg';
import { sqlState } from '../manifest/errors.ts';
import { withClient } from '../postgres/source.ts';

/** How long an assertion may take. */
const CHECK_TIMEOUT_MS = 5 * 60_000;

/** Runs the owner's SQL assertions. What they return is compared and never shown: it may be personal data. */
export async function runOwnChecks(address: (database: string) => ClientConfig, checks: readonly CheckSetting[], { database, signal }: { database: string; signal: AbortSignal }): Promise<Check[]> {
  const results: Check[] = [];
  for (const check of checks) {
    try {
      const value = await withClient(address(check.database ?? database), async (client) => {
        await client.query('BEGIN READ ONLY');
        await client.query(`SET LOCAL statement_timeout = ${CHECK_TIMEOUT_MS}`);
        const { rows } = await client.query<unknown[]>({ text: check.sql, rowMode: 'array' });
        await client.query('ROLLBACK');
        return rows[0]?.[0];
      }, signal);
      const passed = value !== undefined && value !== null && asText(value) === check.expect;
      results.push({ name: check.name, outcome: passed ? 'passed' : 'failed', detail: passed ? 'as expected' : `is not ${check.expect}` });
    } catch (error) {
      signal.throwIfAborted();
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
