import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@temporalio/client';
import { stringify } from 'yaml';
import { archiveLayout } from '../../../activities/archive/layout.ts';
import { findProcesses, sendSignal, untilGone } from '../../../activities/drill/processes.ts';
import { findPostgres, type PostgresBinaries } from '../../../activities/postgres/binaries.ts';
import type { Production } from '../../../scripts/demo/production.ts';
import { resolveTemporalCli } from '../../../scripts/embedded/temporal-cli.ts';
import { startTemporalServer } from '../../../scripts/embedded/temporal-server.ts';
import { preparedDataSet } from './data-set.ts';
import { takeRecoveryPoint, type Recoverable } from './recovery-point.ts';
import { startSource } from './source.ts';
import { startWorker } from './worker.ts';
import { connectClient } from '../../../scripts/client-connection.ts';
import { Started } from '../../../scripts/started.ts';

/** What the rows run on; each part is started when the first row asks for it. */
export interface Site {
  root: string;
  log: (line: string) => void;
  binaries: () => Promise<PostgresBinaries>;
  source: (name: SourceName) => Promise<Production>;
  /** `tiny`, unless the size that was asked for is as small. */
  smallest: SourceName;
  /** A Temporal server without a worker. */
  server: () => Promise<TemporalSite>;
  /** A Temporal server of the source's own, and a worker with a configuration that has only this source. */
  working: (name: SourceName) => Promise<TemporalSite & { configurationFile: string }>;
  recoveryPoint: (name: SourceName) => Promise<Recoverable>;
  /** Ends everything and removes its files. Can be called twice. */
  stop: () => Promise<void>;
}
/** `shop` has the size that was asked for, `tiny` a few rows, and `busy` at most a gigabyte and a quarter: what is measured beside its writers need not be as large. */
export type SourceName = 'shop' | 'tiny' | 'busy';
/** A server and a client of it, which end with the site. */
export interface TemporalSite { client: Client; address: string }

/** In the environment of copying processes that the bench starts by itself. */
export const BENCH_VARIABLE = 'RUNBOOKS_BENCH';
/** The smallest that `loadShop` makes. */
const TINY_BYTES = 2 ** 20;
/** Enough for a manifest that is read for minutes while it spares who writes. */
const BUSY_BYTES = 1250 * 2 ** 20;

/**
 * Starts nothing yet but a directory for what is to come; `stop` is the caller's to call,
 * also after a failure. `bytes`: size of `shop`.
 */
export async function openSite({ bytes, writeAfterSeconds, log }: { bytes: number; writeAfterSeconds: number; log: (line: string) => void }): Promise<Site> {
  const root = await mkdtemp(join(tmpdir(), 'runbooks-bench-'));
  // The database server's user must be able to walk through.
  await chmod(root, 0o711);
  const ending = new AbortController();
  const started = new Started({ log, signal: ending.signal });
  started.onEnd(() => rm(root, { recursive: true, force: true }));
  started.onEnd(() => endProcessesIn(root));
  const binaries = () => findPostgres({});

  const source = onceEach(async (name: SourceName) => {
    const found = await binaries();
    const size = { tiny: TINY_BYTES, busy: Math.min(BUSY_BYTES, bytes), shop: bytes }[name];
    // Has a server of its own while it loads, and ends that by itself.
    const dataSet = await started.begin(() => preparedDataSet({ bytes: size, binaries: found, log, signal: ending.signal }), () => Promise.resolve());
    log(`starting the ${name} source, PostgreSQL ${found.version}`);
    const production = await started.begin(() => startSource({ root: join(root, name), dataSet, binaries: found, signal: ending.signal }), (one) => one.stop());
    await writeFile(join(root, `${name}.password`), production.superuser.password, { mode: 0o600 });
    await mkdir(join(root, `${name}-backups`), { mode: 0o700 });
    return production;
  });

  const server = async (name: string) => {
    const cli = await resolveTemporalCli({ log });
    const { address } = await started.begin(() => startTemporalServer({ cliPath: cli.path, searchAttributes: {}, logFile: join(root, `temporal-${name}.log`) }), (one) => one.stop());
    const connection = await started.begin(() => connectClient({ address }), (one) => one.close());
    return { address, client: new Client({ connection }) };
  };

  const working = onceEach(async (name: SourceName) => {
    const production = await source(name);
    const configurationFile = join(root, `${name}.yaml`);
    await writeFile(configurationFile, stringify({
      version: 1, evidence: { directory: join(root, 'evidence') }, drills: { directory: join(root, 'drills'), reserve: '200MB' },
      databases: {
        [name]: {
          connection: { host: '127.0.0.1', port: production.port, database: production.database, user: production.superuser.user, passwordFile: join(root, `${name}.password`) },
          provider: { kind: 'archive', repository: join(root, `${name}-backups`), walDirectory: production.archiveDirectory },
          // Nobody's writes are to be spared while recovery points are taken.
          manifest: { dutyCycle: 1 },
        },
      },
    }), { mode: 0o600 });
    const running = { ...(await server(name)), configurationFile };
    await started.begin(() => startWorker(running), (one) => one.stop());
    return running;
  });

  const recoveryPoint = onceEach(async (name: SourceName) => {
    const [production, { client }] = [await source(name), await working(name)];
    return takeRecoveryPoint({ name, production, client, layout: archiveLayout({ root: join(root, `${name}-backups`), walDirectory: production.archiveDirectory }), writeAfterSeconds, log });
  });
  const stop = () => {
    ending.abort(new Error('the bench is ended'));
    return started.end();
  };
  return { root, log, binaries, source, smallest: bytes <= TINY_BYTES ? 'shop' : 'tiny', server: () => server('alone'), working, recoveryPoint, stop };
}

/** An interrupted bench leaves drills whose guardian cannot come any more; all of them work in our directory. */
async function endProcessesIn(root: string): Promise<void> {
  for (const signal of ['SIGQUIT', 'SIGKILL'] as const) {
    const found = await findProcesses({ marker: { name: BENCH_VARIABLE, value: root }, directory: root });
    for (const { pid } of found) sendSignal(pid, signal);
    if ((await untilGone(found, 5_000)).length === 0) return;
  }
}

/** Makes a thing at the first call for a key. */
function onceEach<K, T>(make: (key: K) => Promise<T>): (key: K) => Promise<T> {
  const made = new Map<K, Promise<T>>();
  return (key) => {
    const found = made.get(key) ?? make(key);
    made.set(key, found);
    return found;
  };
}
