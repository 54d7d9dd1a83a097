import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { recoveryPointSchema } from '../../contracts/recovery-point.ts';
import { copyBinaries } from '../support/copied-binaries.ts';
import { runDrill, takeBackup } from '../support/drill-run.ts';
import { type MeasuredSource, reconfigure, startMeasuredSource } from '../support/measured-source.ts';

/** Whole drills on a host whose PostgreSQL has the control file of an extension, and not its library. */
let source: MeasuredSource;
let library: string;
let description: string;

beforeAll(async () => {
  source = await startMeasuredSource();
  const binaries = await copyBinaries();
  library = join(binaries.libDirectory, 'hstore.so');
  const configuration = parse(await readFile(source.configurationFile, 'utf8')) as Record<string, unknown>;
  await writeFile(source.configurationFile, stringify({ ...configuration, postgres: { binDirectory: binaries.binDirectory } }), { mode: 0o600 });
  await reconfigure(source, (database) => { database['checks'] = [{ name: 'labels', sql: `SELECT labels -> 'bin' FROM ops.label WHERE id = 7`, expect: 'B7' }]; });
  description = join(source.repository, 'backups', (await takeBackup(source)).id, 'backup.json');
});
afterAll(() => source.stop());

it('a host that has all of them makes a drill', async () => {
  expect((await runDrill(source)).evidence).toMatchObject({ outcome: 'succeeded', verdict: { restore: 'sound' } });
});

it('one that lacks a library of the backup is refused before anything is made', async () => {
  await rename(library, `${library}.aside`);
  const { evidence } = await runDrill(source);
  expect(evidence.failure).toMatchObject({ type: 'PREFLIGHT', message: expect.stringMatching(/this host's PostgreSQL lacks the libraries \$libdir\/hstore \(extension hstore \d+\.\d+\) that functions of the backup are in; install their packages, in the versions that the source has/) as string });
  expect([evidence.verdict.restore, evidence.steps.map(({ name }) => name)]).toEqual([null, ['plan', 'pre-flight']]);
});

it('of a backup that does not say what it needs, what needs it is open, and nothing is unsound', async () => {
  const point = recoveryPointSchema.parse(JSON.parse(await readFile(description, 'utf8')));
  await writeFile(description, JSON.stringify({ ...point, databases: point.databases.map((database) => ({ ...database, libraries: undefined })) }));
  const { evidence } = await runDrill(source);
  expect(evidence.verdict.restore).toBe('notProven');
  expect(evidence.failure).toMatchObject({ type: 'RESTORE_NOT_PROVEN', message: expect.stringMatching(/shop, contents of ops\.label: this host's PostgreSQL cannot load a library that reading it needs \(could not access file "(\$libdir\/)?hstore": No such file or directory\): install that library/) as string });
  expect(evidence.notVerified).toContainEqual(expect.stringMatching(/^check labels: could not be run, since the PostgreSQL of the copy cannot load a library/));
  expect(evidence.checks.filter(({ outcome }) => outcome === 'failed')).toEqual([]);
  expect(evidence.recovery?.rtaSeconds).toBeGreaterThan(0);
});
