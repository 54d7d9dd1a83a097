import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { Client } from '@temporalio/client';
import { findPostgres } from '../../activities/postgres/binaries.ts';
import { TASK_QUEUE } from '../../contracts/search-attributes.ts';
import { writeConfigurationFile } from '../../scripts/demo/configuration-file.ts';
import { endDrills } from '../../scripts/demo/environment.ts';
import { loadShop } from '../../scripts/demo/load.ts';
import { startProduction, type Production } from '../../scripts/demo/production.ts';
import { unlessAborted } from '../../scripts/demo/until-stopped.ts';
import { resolveTemporalCli } from '../../scripts/embedded/temporal-cli.ts';
import { startTemporalServer, type TemporalServer } from '../../scripts/embedded/temporal-server.ts';
import { Started } from '../../scripts/started.ts';
import { archiveUpToNow } from '../support/wal-segments.ts';
import { drillProcesses, isCopying, postmasters, type HostProcess } from './host-processes.ts';
import { findLeftovers } from './leftovers.ts';
import type { Scene } from './scene.ts';
import { readSource } from './source-state.ts';
import { watchPlace } from './watch-place.ts';
import { startWorkerProcess } from './worker-process.ts';
import { withClient } from '../support/user-clients.ts';
import { connectClient } from '../../scripts/client-connection.ts';

/** Everything that faults strike, from nothing: a server that keeps its state, a small production, a backup, a worker. */
export interface Environment extends Scene {
  readonly root: string;
  readonly drillsDirectory: string;
  /** Of the workers, for temporary files. */
  readonly temporaryDirectory: string;
  readonly production: Production;
  /** kill -9 of the Temporal server; then another on the same port and file. Returns whether it was there to be killed. */
  restartServer(): Promise<boolean>;
}

/** How long the host of a drill may be silent here. */
export const HOST_LOSS = '12s';

/** @throws the signal's reason, with all ended that it had started */
export async function startEnvironment(log: (line: string) => void, signal?: AbortSignal): Promise<Environment> {
  const root = await mkdtemp(join(tmpdir(), 'faults-'));
  // The database server's user must be able to walk through.
  await chmod(root, 0o711);
  const started = new Started({ log, signal });
  started.onEnd(() => rm(root, { recursive: true, force: true }));
  try {
    const cli = await resolveTemporalCli({ log: () => undefined });
    const serverOptions = { cliPath: cli.path, searchAttributes: {}, dbFile: join(root, 'temporal.db'), logFile: join(root, 'temporal.log') };
    const startServer = (options: typeof serverOptions & { port?: number }) => started.begin(() => startServerPatiently(options), (one) => one.stop());
    let server = await startServer(serverOptions);
    const port = Number(server.address.split(':')[1]);
    const binaries = await findPostgres({});
    const production = await started.begin(() => startProduction({
      root: join(root, 'production'), binaries, log: () => undefined,
      // No segments but those that are asked for: else each case would have more WAL to copy than the one before.
      settings: { archive_timeout: '0', autovacuum: 'off', checkpoint_timeout: '1h' },
    }), (one) => one.stop());
    await loadShop({ config: production.config, tablespaceDirectory: production.tablespaceDirectory, scale: 0.01, seed: 1 });
    await loadBallast(production);
    const { configurationFile } = await writeConfigurationFile(root, production, {
      // Workers would copy those that they find by themselves to their temporary files.
      root: { lease: { maximum: '30m', hostLoss: HOST_LOSS }, postgres: { binDirectory: binaries.binDirectory } },
      // Slow where a fault must find the time to strike.
      drills: { copyBytesPerSecond: '60MB', settings: { shared_buffers: '4MB' } },
      shop: {
        manifest: { dutyCycle: 0.5 },
        gates: { start: { approvers: ['anna'], assurance: 'claimed', expiresAfter: '1h' } },
        checks: [{ name: 'a slow look', sql: 'SELECT count(*) FROM pg_sleep(1.5)', expect: 1 }],
        probe: { command: ['sleep', '1.5'] },
      },
    });
    const temporaryDirectory = join(root, 'tmp');
    await mkdir(temporaryDirectory, { mode: 0o711 });
    // Their guardians end with the server: what drills still run would outlive all this.
    started.onEnd(() => endDrills(join(root, 'drills')));
    const startWorker = (options: { host?: string } = {}) => started.begin(
      () => startWorkerProcess({ configurationFile, address: server.address, logFile: join(root, 'worker.log'), environment: { TMPDIR: temporaryDirectory }, ...options }),
      (worker) => worker.signal('SIGKILL'),
    );
    const connection = await started.begin(() => connectClient({ address: server.address }), (one) => one.close());
    const environment: Environment = {
      root, drillsDirectory: join(root, 'drills'), temporaryDirectory, evidenceDirectory: join(root, 'evidence'), production, client: new Client({ connection }),
      worker: await startWorker(), startWorker, stop: () => started.end(),
      readOthers: () => readSource(environment),
      findLeftovers: (run) => findLeftovers(environment, run),
      watch: (run) => watchPlace(run.owner, environment.drillsDirectory),
      isUnderWay: (activity, run) => UNDER_WAY[activity]?.(drillProcesses({ owner: run.owner, drillsDirectory: environment.drillsDirectory })) ?? true,
      async restartServer() {
        const old = server;
        process.kill(old.pid, 'SIGKILL');
        await old.exited;
        server = await startServer({ ...serverOptions, port });
        return server.pid !== old.pid;
      },
    };
    // Ctrl-C reaches the worker, too: nobody would end this run.
    await unlessAborted(signal, environment.client.workflow.execute('backup', { workflowId: `backup/shop/${randomUUID()}`, taskQueue: TASK_QUEUE, args: [{}] }));
    await writeMoreWal(production);
    return environment;
  } catch (error) {
    await started.end();
    throw error;
  }
}

/** What a worker lets other processes do for it. */
const UNDER_WAY: Record<string, (processes: readonly HostProcess[]) => boolean> = {
  copyBackup: (processes) => processes.some(isCopying),
  recoverToManifest: (processes) => postmasters(processes).length > 0,
  recoverToEnd: (processes) => postmasters(processes).length > 0,
  compareWithManifest: (processes) => processes.some(({ command }) => /^postgres: .* (SELECT|SAVEPOINT|idle in transaction)/.test(command)),
};

/** On a host under load the embedded server now and then gives up while it starts. */
async function startServerPatiently(options: Parameters<typeof startTemporalServer>[0]): Promise<TemporalServer> {
  return startTemporalServer(options).catch(() => startTemporalServer(options));
}

/** Small on disk and long to read, so that copying is quick and comparing lasts long enough to be struck. */
async function loadBallast(production: Production): Promise<void> {
  await withClient(production.config, async (client) => {
    await client.query('CREATE TABLE public.ballast (id int PRIMARY KEY, body text)');
    await client.query(`INSERT INTO public.ballast SELECT n, repeat(md5(n::text), 4000) FROM generate_series(1, 2500) AS n`);
    await client.query('CHECKPOINT');
  });
}

/** Something to replay after the manifest. */
async function writeMoreWal(production: Production): Promise<void> {
  await withClient(production.config, async (client) => {
    await client.query(`CREATE TABLE public.later AS SELECT n, md5(n::text) || repeat('-', 500) AS filler FROM generate_series(1, 25000) AS n`);
    await archiveUpToNow(client, production.archiveDirectory);
  });
}
