import { execFile, spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { runMigrations } from 'graphile-worker';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Evidence } from '../../contracts/evidence.ts';
import { DRILL_VARIABLE } from '../../activities/drill/drill.ts';
import { findProcesses, sendSignal } from '../../activities/drill/processes.ts';
import { findPostgres } from '../../activities/postgres/binaries.ts';
import { startProduction, type Production } from '../../scripts/demo/production.ts';
import { freeLoopbackPort, requireFreeLoopbackPort } from '../../scripts/embedded/free-port.ts';
import { resolveTemporalCli } from '../../scripts/embedded/temporal-cli.ts';
import { BY_DESIGN } from '../support/by-design.ts';
import { withClient } from '../support/user-clients.ts';

// The schema is that of graphile-worker (MIT), as its package makes it: this project had no hand in it, and knows nothing
// of it. Only the configuration file says which database is meant.
const cli = fileURLToPath(new URL('../../dist/scripts/cli/main.js', import.meta.url));

let root: string;
let production: Production;
let environment: NodeJS.ProcessEnv;
let devOptions: string[];
let dev: Dev;

interface Dev { said: () => string; /** Ends it, and what it started. */ end: (signal: NodeJS.Signals) => Promise<void> }

const drillServers = () => findProcesses({ marker: { name: DRILL_VARIABLE, value: 'by directory' }, directory: join(root, 'drills') });

async function startDev(): Promise<Dev> {
  const child = spawn(process.execPath, [cli, 'dev', ...devOptions], { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  // The server ends after it, and lets go of what it says to last.
  const gone = new Promise((resolve) => child.once('close', resolve));
  await new Promise<void>((resolve, reject) => {
    const listen = (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes('worker ready')) resolve();
    };
    child.stdout.on('data', listen);
    child.stderr.on('data', listen);
    child.once('exit', (code) => reject(new Error(`runbook dev ended with ${code}: ${said}`)));
  });
  return {
    said: () => said,
    end: async (signal) => {
      child.kill(signal);
      await gone;
      const port = Number(devOptions[1]);
      for (const end = Date.now() + 10_000; Date.now() < end; await sleep(100)) if (await requireFreeLoopbackPort(port).then(() => true, () => false)) return;
    },
  };
}

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
  // What it keeps belongs to whoever runs the tests, and no test should leave any there.
  const temporal = await resolveTemporalCli({ log: () => undefined });
  environment = { ...process.env, XDG_CACHE_HOME: join(root, 'cache'), XDG_STATE_HOME: join(root, 'state'), TEMPORAL_CLI_PATH: temporal.path, RUNBOOKS_CONFIG: join(root, 'runbooks.yaml'), TEMPORAL_ADDRESS: `127.0.0.1:${serverPort}` };
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
  devOptions = ['--port', String(serverPort), '--ui-port', String(uiPort)];
  dev = await startDev();
});

afterAll(async () => {
  await dev?.end('SIGINT');
  for (const { pid } of await drillServers()) sendSignal(pid, 'SIGKILL');
  await production?.stop();
  await rm(root, { recursive: true, force: true });
});

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
});

it('a drill that is under way when `runbook dev` is stopped, and killed, comes to its end, and is gone, when it is started again', async () => {
  const id = 'dr-test/jobs/stopped';
  await runbook('start', 'dr-test', '--id', id);
  for (const end = Date.now() + 60_000; Date.now() < end && (await drillServers()).length === 0;) await sleep(50);
  await dev.end('SIGINT');
  expect((await drillServers()).length).toBeGreaterThan(0);
  // Whoever empties caches now must not make it forget what it has to tear down.
  await rm(join(root, 'cache'), { recursive: true, force: true });
  expect(dev.said()).toMatch(new RegExp(`drills/.* stays, with a copy of production .*${id} is under way`));
  dev = await startDev();
  await dev.end('SIGKILL');
  dev = await startDev();
  await runbook('watch', id);
  expect(await drillServers()).toEqual([]);
  expect(await readdir(join(root, 'drills'))).toEqual([]);
});
