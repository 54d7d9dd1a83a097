import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Drill, drillPaths } from '../../activities/drill/drill.ts';
import { explainEnd } from '../../activities/drill/explain-server.ts';
import { classify } from '../../activities/temporal/classify.ts';

let directory: string;
beforeEach(() => { directory = mkdtempSync(join(tmpdir(), 'drb-log-')); });
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Why a server ended that began to replay and then said this. */
const explain = async (...lines: string[]) => {
  const { logFile } = drillPaths(directory);
  mkdirSync(dirname(logFile), { recursive: true });
  writeFileSync(logFile, ['1763694000.000 [7] LOG:  starting archive recovery', '1763694000.100 [7] LOG:  redo starts at 0/2000028', ...lines, '1763694001.000 [1] LOG:  database system is shut down', ''].join('\n'));
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

it('a server that took writes and is gone was killed, however an earlier one of the same copy had ended', async () => {
  const { logFile } = drillPaths(directory);
  mkdirSync(dirname(logFile), { recursive: true });
  const life = (begin: string) => [`${begin} [1] LOG:  starting PostgreSQL 18.4 on x86_64-pc-linux-gnu`, `${begin} [7] LOG:  starting point-in-time recovery to WAL location (LSN) "0/3000000"`];
  writeFileSync(logFile, [...life('1763694000.000'), '1763694001.000 [1] LOG:  database system is shut down', ...life('1763694002.000'), '1763694003.000 [1] LOG:  database system is ready to accept connections', ''].join('\n'));
  const failure = await explainEnd({ directory } as Drill, 0);
  expect(failure).toMatchObject({ type: 'SERVER_KILLED' });
  expect(classify(failure)).toMatchObject({ type: 'UNAVAILABLE', nonRetryable: false });
});
