import { ApplicationFailure } from '@temporalio/common';
import type { ClientConfig, QueryArrayConfig } from 'pg';
import type { CheckSetting } from '../../contracts/configuration.ts';
import type { Check } from '../../contracts/evidence.ts';
import { limitReached, queryCanceled, saysNothingOfTheData, sqlState } from '../manifest/errors.ts';
import { withClient } from '../postgres/source.ts';

/** How long an assertion may take. */
const CHECK_TIMEOUT_MS = 5 * 60_000;
/** Type OID of boolean. */
const BOOLEAN = 16;
/** Values stay the text that PostgreSQL sends: the driver would make objects of dates and arrays. */
const TEXT = { getTypeParser: () => (value: string) => value };

/**
 * Runs the owner's SQL assertions. The text that PostgreSQL writes is compared, and never shown: it may be personal data.
 *
 * A check that PostgreSQL refuses (a syntax error, but also a table that is missing, or damage) has failed, for that is
 * what a bad restore looks like. One that ran out of time is `skipped`: it was asked for and has no answer, so the
 * restore is not proven.
 * @throws ApplicationFailure `CONFIGURATION` for more than one statement; what says nothing about the restored data as it is
 */
export async function runOwnChecks(address: (database: string) => ClientConfig, checks: readonly CheckSetting[], { database, signal }: { database: string; signal: AbortSignal }): Promise<Check[]> {
  const results: Check[] = [];
  for (const check of checks) {
    try {
      const passed = await holds(check, address(check.database ?? database), signal);
      results.push({ name: check.name, outcome: passed ? 'passed' : 'failed', detail: passed ? 'as expected' : `is not ${check.expect}` });
    } catch (error) {
      signal.throwIfAborted();
      const code = sqlState(error);
      if (code === queryCanceled) results.push({ name: check.name, outcome: 'skipped', detail: `did not finish: it was cancelled, or took longer than ${CHECK_TIMEOUT_MS / 60_000} minutes` });
      else if (code === limitReached) results.push({ name: check.name, outcome: 'skipped', detail: 'did not finish: it needs more temporary files than the drill may have; raise temp_file_limit in drills.settings' });
      else if (saysNothingOfTheData(error)) throw error;
      else if (isSeveralStatements(error)) throw ApplicationFailure.nonRetryable(`The check "${check.name}" holds more than one statement; write one in its sql, in checks of the database in the configuration.`, 'CONFIGURATION');
      else results.push({ name: check.name, outcome: 'failed', detail: `could not be run (${code})` });
    }
  }
  return results;
}

async function holds({ sql, expect }: CheckSetting, config: ClientConfig, signal: AbortSignal): Promise<boolean> {
  return withClient(config, async (client) => {
    await client.query('BEGIN READ ONLY');
    await client.query(`SET LOCAL statement_timeout = ${CHECK_TIMEOUT_MS}`);
    // The extended protocol takes one statement only: a second one could end the transaction that may not write.
    const statement: QueryArrayConfig & { queryMode: 'extended' } = { text: sql, rowMode: 'array', types: TEXT, queryMode: 'extended' };
    const { rows, fields } = await client.query<(string | null)[]>(statement);
    await client.query('ROLLBACK');
    const value = rows[0]?.[0] ?? null;
    if (value === null) return false;
    // A boolean is written as t, and cast to text as true, which is also what YAML makes of it.
    return value === expect || (fields[0]?.dataTypeID === BOOLEAN && (value === 't' ? 'true' : 'false') === expect);
  }, signal);
}

/** By the function that reports it: the same SQLSTATE stands for any syntax error, and messages may be translated. */
function isSeveralStatements(error: unknown): boolean {
  return sqlState(error) === '42601' && (error as { routine?: string }).routine === 'exec_parse_message';
}
