import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { runMigrations } from 'graphile-worker';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Evidence } from '../../contracts/evidence.ts';
import { findPostgres } from '../../activities/postgres/binaries.ts';
import { withClient } from '../../activities/postgres/source.ts';
import { startProduction, type Production } from '../../scripts/demo/production.ts';
import { freeLoopbackPort } from '../../scripts/embedded/free-port.ts';
import { BY_DESIGN } from '../support/by-design.ts';

// The schema is that of graphile-worker (MIT), as its package makes it: this project had no hand in it, and knows nothing
// of it. Only the configuration file says which database is meant.
const cli = fileURLToPath(new URL('../../dist/scripts/cli/main.js', import.meta.url));

let root: string;
let production: Production;
let environment: NodeJS.ProcessEnv;
let dev: ChildProcess;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'public-'));
  await chmod(root, 0o711);
  production = await startProduction({ root: join(root, 'production'), binaries: await findPostgres({}), log: () => undefined });
  const { superuser, port, database } = production;
  await runMigrations({ connectionString: `postgresql://${superuser.user}:${encodeURIComponent(superuser.password)}@127.0.0.1:${port}/${database}` });
  await withClient(production.config, (client) => client.query(
    `SELECT graphile_worker.add_job('task_' || i % 7, json_build_object('number', i), queue_name := CASE WHEN i % 3 = 0 THEN 'queue ' || i % 5 END, job_key := CASE WHEN i % 11 = 0 THEN 'key ' || i END)
     FROM generate_series(1, 5000) i`));
  await mkdir(join(root, 'backups'), { mode: 0o700 });
  await writeFile(join(root, 'password'), superuser.password, { mode: 0o600 });
  const [serverPort, uiPort] = [await freeLoopbackPort(), await freeLoopbackPort()];
  environment = { ...process.env, RUNBOOKS_CONFIG: join(root, 'runbooks.yaml'), TEMPORAL_ADDRESS: `127.0.0.1:${serverPort}` };
  await writeFile(join(root, 'runbooks.yaml'), `
version: 1
evidence: { directory: ./evidence }
drills: { directory: ./drills, reserve: 100MB }
databases:
  jobs:
    connection: { host: 127.0.0.1, port: ${port}, database: ${database}, user: ${superuser.user}, passwordFile: ./password }
    provider: { kind: archive, repository: ./backups, walDirectory: ./production/archive }
    objectives: { rto: 10m, rpo: 10m }
    checks:
      - name: every job is there
        sql: SELECT count(*) >= 5000 - 5000 / 11 FROM graphile_worker.jobs
        expect: true
`, { mode: 0o600 });
  dev = spawn(process.execPath, [cli, 'dev', '--port', String(serverPort), '--ui-port', String(uiPort)], { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
  await new Promise<void>((resolve, reject) => {
    let said = '';
    const listen = (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes('worker ready')) resolve();
    };
    dev.stdout?.on('data', listen);
    dev.stderr?.on('data', listen);
    dev.once('exit', (code) => reject(new Error(`runbook dev ended with ${code}: ${said}`)));
  });
}, 180_000);

afterAll(async () => {
  if (dev && dev.exitCode === null && dev.signalCode === null) {
    const gone = new Promise((resolve) => dev.once('exit', resolve));
    dev.kill('SIGINT');
    await gone;
  }
  await production?.stop();
  await rm(root, { recursive: true, force: true });
}, 60_000);

async function runbook(...words: string[]): Promise<unknown> {
  const { stdout } = await promisify(execFile)(process.execPath, [cli, ...words, '--json'], { env: environment, maxBuffer: 2 ** 26 });
  return JSON.parse(stdout) as unknown;
}

it('a database that this project did not design is backed up and drilled by its commands and a configuration file alone', async () => {
  await runbook('start', 'backup', '--wait');
  await runbook('start', 'dr-test', '--wait', '--id', 'dr-test/jobs/first');
  const { evidence } = await runbook('report', 'dr-test/jobs/first') as { evidence: Evidence };
  expect(evidence).toMatchObject({ outcome: 'succeeded', verdict: { restore: 'sound', rto: 'met', rpo: 'met' }, teardown: { provenAbsent: true } });
  expect(evidence.notVerified.filter((reason) => !BY_DESIGN.test(reason))).toEqual([]);
  expect(evidence.checks.find((check) => check.name === 'every job is there')).toMatchObject({ outcome: 'passed' });
  const tables = await withClient(production.config, async (client) => (await client.query<{ n: number }>(
    `SELECT count(*)::int AS n FROM pg_class WHERE relkind IN ('r', 'm') AND relpersistence = 'p' AND oid >= 16384 AND relnamespace <> 'pg_toast'::regnamespace`)).rows[0]?.n);
  expect(tables).toBeGreaterThan(3);
  // And the two that hold large objects.
  expect(evidence.checks.find((check) => check.name === 'contents of shop')?.detail).toContain(` in ${(tables ?? 0) + 2} tables`);
  expect(await readdir(join(root, 'drills'))).toEqual([]);
}, 300_000);
