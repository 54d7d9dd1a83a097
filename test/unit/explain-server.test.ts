import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Drill, drillPaths } from '../../activities/drill/drill.ts';
import { explainEnd, explainRefusal } from '../../activities/drill/explain-server.ts';
import { classify } from '../../activities/temporal/classify.ts';

let directory: string;
beforeEach(() => { directory = mkdtempSync(join(tmpdir(), 'drb-log-')); });
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** A server that began to replay and then said this. */
const log = (...lines: string[]) => {
  const { logFile } = drillPaths(directory);
  mkdirSync(dirname(logFile), { recursive: true });
  writeFileSync(logFile, ['1763694000.000 [7] LOG:  starting archive recovery', '1763694000.100 [7] LOG:  redo starts at 0/2000028', ...lines, ''].join('\n'));
};
/** Why it ended. */
const explain = async (...lines: string[]) => {
  log(...lines, '1763694001.000 [1] LOG:  database system is shut down');
  return explainEnd({ directory } as Drill, 0);
};

it.each([
  ['cannot be read', '1763694000.500 [7] FATAL:  could not read block 3 in file "base/5/16384": Input/output error'],
  ['took no more writes', '1763694000.500 [9] PANIC:  could not write to file "pg_wal/xlogtemp.7": Read-only file system'],
  ['failed what copies WAL', "cp: error reading '/drill/wal/000000010000000000000003': Input/output error\n1763694000.600 [7] FATAL:  WAL ends before consistent recovery point"],
])('storage that %s is no finding about the backup', async (_what, said) => {
  const failure = await explain(said);
  expect(failure).toMatchObject({ type: 'SERVER_KILLED', message: expect.stringMatching(/^The storage of this host failed the restored server: (could not|cp: )/) as string });
  expect(classify(failure)).toMatchObject({ type: 'UNAVAILABLE', nonRetryable: false });
});

it.each(['PANIC:  invalid page in block 3 of relation base/5/16384', 'FATAL:  could not read block 3 in file "base/5/16384": read only 0 of 8192 bytes'])('a server that says "%s" found a bad backup', async (said) => {
  expect(classify(await explain(`1763694000.500 [7] ${said}`))).toMatchObject({ type: 'RECOVERY_FAILED', nonRetryable: true });
});

it('a server that found a bad page began to replay, however much it said since', async () => {
  const restored = Array.from({ length: 12_000 }, (_, n) => `1763694000.200 [7] LOG:  restored log file "0000000100000000${n.toString(16).toUpperCase().padStart(8, '0')}" from archive`);
  const failure = await explain(...restored, '1763694000.500 [7] PANIC:  WAL contains references to invalid pages');
  expect(failure).toMatchObject({ type: 'RECOVERY_FAILED', message: expect.stringContaining('invalid pages') as string });
});

it('a server that took writes and is gone was killed, however an earlier one of the same copy had ended', async () => {
  const { logFile } = drillPaths(directory);
  mkdirSync(dirname(logFile), { recursive: true });
  const life = (begin: string) => [`${begin} [1] LOG:  starting PostgreSQL 18.4 on x86_64-pc-linux-gnu`, `${begin} [7] LOG:  starting point-in-time recovery to WAL location (LSN) "0/3000000"`];
  writeFileSync(logFile, [...life('1763694000.000'), '1763694001.000 [1] LOG:  database system is shut down', ...life('1763694002.000'), '1763694003.000 [1] LOG:  database system is ready to accept connections', ''].join('\n'));
  const failure = await explainEnd({ directory } as Drill, 0);
  expect(failure).toMatchObject({ type: 'SERVER_KILLED' });
  expect(classify(failure)).toMatchObject({ type: 'UNAVAILABLE', nonRetryable: false });
});

/** As PostgreSQL 18 writes it, from the postmaster and its children. */
const told = (request: string) => [`1763694000.700 [1] LOG:  received ${request} request`, '1763694000.710 [11] FATAL:  terminating connection due to administrator command', '1763694000.715 [13] FATAL:  canceling authentication due to timeout', '1763694000.720 [12] FATAL:  the database system is shutting down', '1763694000.730 [8] LOG:  shutting down'];

it.each(['smart shutdown', 'fast shutdown', 'immediate shutdown'])('a server that was told to stop (%s) is no finding about the backup', async (request) => {
  const failure = await explain(...told(request));
  expect(failure).toMatchObject({ type: 'SERVER_KILLED', message: expect.stringContaining('told to stop from outside') as string });
  expect(failure.message).toContain(request);
  expect(classify(failure)).toMatchObject({ type: 'UNAVAILABLE', nonRetryable: false });
});

it('nor is one of which the signal reached the parts first: what replays, or what copies its WAL', async () => {
  expect(await explain('1763694000.600 [1] LOG:  startup process (PID 7) exited with exit code 1', '1763694000.610 [1] LOG:  shutting down due to startup process failure')).toMatchObject({ type: 'SERVER_KILLED' });
  const copying = ['1763694000.600 [7] FATAL:  could not restore file "000000010000000000000003" from archive: child process exited with exit code 200', '1763694000.610 [1] LOG:  startup process (PID 7) exited with exit code 1'];
  expect(await explain(...copying)).toMatchObject({ type: 'SERVER_KILLED', message: expect.stringContaining('did not hand the restored server its WAL') as string });
  expect(await explain(...copying, ...told('smart shutdown'))).toMatchObject({ type: 'SERVER_KILLED', message: expect.stringContaining('told to stop') as string });
});

it.each([
  ['found a bad page', '1763694000.500 [7] PANIC:  WAL contains references to invalid pages'],
  ['crashed', '1763694000.500 [1] LOG:  startup process (PID 7) was terminated by signal 11: Segmentation fault'],
])('a server that %s before it was told to stop is a finding all the same', async (_what, said) => {
  expect(await explain(said, ...told('fast shutdown'))).toMatchObject({ type: 'RECOVERY_FAILED' });
});

it.each([
  ['was left out', 'FATAL:  resource manager with ID 128 not registered', 'name the one that is needed in drills.preloadLibraries'],
  ['has to be there from the start', 'FATAL:  citus must be loaded via "shared_preload_libraries"', 'name the one that is needed in drills.preloadLibraries'],
  ['is not installed', 'FATAL:  could not access file "pg_cron": No such file or directory', 'Install that library'],
])('a library that %s is no finding about the backup', async (_what, said, todo) => {
  const failure = await explain(`1763694000.500 [7] ${said}`, '1763694000.510 [1] LOG:  startup process (PID 7) exited with exit code 1');
  expect(failure).toMatchObject({ type: 'UNFIT_HOST', message: expect.stringContaining(said.replace('FATAL:  ', '')) as string });
  expect(failure.message).toContain(todo);
  expect(classify(failure)).toMatchObject({ type: 'PREFLIGHT', nonRetryable: true });
});

const ENDS = ['LOG:  pausing at the end of recovery', 'LOG:  database system is ready to accept connections'];
const REFUSED: [string, string][] = [['28000', 'role "postgres" is not permitted to log in'], ['3D000', 'database "template1" does not exist'], ['55000', 'database "template1" is not currently accepting connections']];
const refusal = (code: string, message: string, severity = 'FATAL') => explainRefusal({ directory, superuser: 'postgres', maintenanceDatabase: 'template1' } as Drill, 0, Object.assign(new Error(message), { code, severity }));

it.each(REFUSED)('a copy at its end that refuses us (%s: %s) does so for good, and is no finding', async (code, message) => {
  for (const end of ENDS) {
    log('1763694000.400 [1] LOG:  database system is ready to accept read-only connections', `1763694000.500 [7] ${end}`);
    const failure = await refusal(code, message);
    expect(failure).toMatchObject({ type: 'UNFIT_HOST', message: expect.stringContaining(message) as string });
    expect(classify(failure)).toMatchObject({ type: 'PREFLIGHT', nonRetryable: true });
  }
});

it('one that may let us in yet is waited for: it replays, starts or stops, or only a question failed', async () => {
  log('1763694000.400 [1] LOG:  database system is ready to accept read-only connections');
  for (const [code, message] of REFUSED) expect(await refusal(code, message)).toBeUndefined();
  log(`1763694000.500 [7] ${ENDS[0]}`);
  expect(await refusal('57P03', 'the database system is starting up')).toBeUndefined();
  expect(await refusal('55000', 'recovery is not in progress', 'ERROR')).toBeUndefined();
  expect(await explainRefusal({ directory } as Drill, 0, Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }))).toBeUndefined();
});
