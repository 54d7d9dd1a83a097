import { ApplicationFailure } from '@temporalio/common';
import type { QueryArrayConfig } from 'pg';
import type { CheckSetting } from '../../contracts/configuration.ts';
import type { Check } from '../../contracts/evidence.ts';
import { limitReached, queryCanceled, saysNothingOfTheData, sqlState, transactionTimeout } from '../manifest/errors.ts';
import { INSTALL_LIBRARY, libraryTrouble } from '../postgres/library-trouble.ts';
import { type GuardedConfig, withClient } from '../postgres/source.ts';
import { conditionOf } from './condition.ts';
import { GRANT_IT, lacksRight } from './lacks-right.ts';

/** How long an assertion may take. */
const CHECK_TIMEOUT_MS = 5 * 60_000;
/** Type OID of boolean. */
const BOOLEAN = 16;
/** What a statement by itself cannot be right with, whatever was restored: a syntax error, an attempt to write. */
const MISTAKES: ReadonlySet<string> = new Set(['42601', '25006']);
/** What extensions say whose library a drill leaves out by itself: no finding about the backup. */
const LIBRARY_LEFT_OUT = /must be (pre)?loaded (via|by|through|using) "?shared_preload_libraries/;
/** Values stay the text that PostgreSQL sends: the driver would make objects of dates and arrays. */
const TEXT = { getTypeParser: () => (value: string) => value };

/**
 * Runs the owner's SQL assertions. The text that PostgreSQL writes is compared, and never shown: it may be personal data.
 *
 * A check that PostgreSQL refuses (a table that is missing, or damage) has failed, for that is what a bad restore looks
 * like. One that ran out of time is `skipped`: it was asked for and has no answer, so the restore is not proven. So is one that
 * needs a library which the server cannot load, for that is the host's, and one with a mistake of its own where anything else
 * has failed: `found` are the checks that were made before, which come first, and `hasFailed` says it of all that were made before those.
 * @throws ApplicationFailure `CONFIGURATION` for mistakes (a syntax error, more than one statement, an attempt to write)
 * where nothing has failed; what says nothing about the restored data as it is
 */
export async function runOwnChecks(address: (database: string) => GuardedConfig, checks: readonly CheckSetting[], { database, signal, found = [], hasFailed = false }: { database: string; signal: AbortSignal; found?: readonly Check[]; hasFailed?: boolean }): Promise<Check[]> {
  const results: Check[] = [...found];
  const mistakes: string[] = [];
  for (const check of checks) {
    try {
      const passed = await holds(check, address(check.database ?? database), signal);
      results.push({ name: check.name, outcome: passed ? 'passed' : 'failed', detail: passed ? 'as expected' : `is not ${check.expect}` });
    } catch (error) {
      signal.throwIfAborted();
      const code = sqlState(error);
      const unloaded = libraryTrouble(error);
      if (code === queryCanceled || code === transactionTimeout) results.push({ name: check.name, outcome: 'skipped', detail: `did not finish: it was cancelled, or took longer than ${CHECK_TIMEOUT_MS / 60_000} minutes` });
      else if (code === limitReached) results.push({ name: check.name, outcome: 'skipped', detail: 'did not finish: it needs more temporary files than the drill may have; raise temp_file_limit in drills.settings' });
      else if (LIBRARY_LEFT_OUT.test((error as Error).message)) results.push({ name: check.name, outcome: 'skipped', detail: 'needs a library that a drill does not load; name it in drills.preloadLibraries, or in provider.drill.preloadLibraries of a database in RDS' });
      else if (saysNothingOfTheData(error)) throw error;
      else if (unloaded !== undefined) results.push({ name: check.name, outcome: 'skipped', detail: `could not be run, since the PostgreSQL of the copy cannot load a library that it needs (${unloaded}): ${INSTALL_LIBRARY}` });
      else if (await lacksRight(error, address(check.database ?? database))) results.push({ name: check.name, outcome: 'skipped', detail: `could not be run (${conditionOf(error)}): ${GRANT_IT}` });
      else if (isMistake(error)) {
        const detail = isSeveralStatements(error) ? 'holds more than one statement' : `could not be run (${conditionOf(error)})`;
        mistakes.push(`The check "${check.name}" ${detail}.`);
        results.push({ name: check.name, outcome: 'skipped', detail: `${detail}: correct its sql` });
      } else results.push({ name: check.name, outcome: 'failed', detail: `could not be run (${conditionOf(error)})` });
    }
  }
  if (mistakes.length > 0 && !hasFailed && results.every(({ outcome }) => outcome !== 'failed')) {
    throw ApplicationFailure.nonRetryable(`${mistakes.join(' ')} Write one statement that reads in its sql, in checks of the database in the configuration.`, 'CONFIGURATION');
  }
  return results;
}

async function holds({ sql, expect }: CheckSetting, config: GuardedConfig, signal: AbortSignal): Promise<boolean> {
  return withClient({ ...config, searchPath: 'ofDatabase' }, async (client) => {
    await client.query('BEGIN READ ONLY');
    await client.query(`SET LOCAL statement_timeout = ${CHECK_TIMEOUT_MS}`);
    // Rows that a policy hides from who is no superuser would be missed as if they were gone: refused is better.
    await client.query(`SELECT set_config('row_security', 'off', true) WHERE current_setting('is_superuser') = 'off'`);
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

/** An error with a context comes from a function of the restored database: what that holds is not the check's mistake. */
function isMistake(error: unknown): boolean {
  return MISTAKES.has(sqlState(error)) && (error as { where?: string }).where === undefined;
}

/** By the function that reports it: the same SQLSTATE stands for any syntax error, and messages may be translated. */
function isSeveralStatements(error: unknown): boolean {
  return sqlState(error) === '42601' && (error as { routine?: string }).routine === 'exec_parse_message';
}
