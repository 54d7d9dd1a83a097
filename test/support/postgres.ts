import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client, type ClientConfig } from 'pg';
import { findPostgres } from '../../activities/postgres/binaries.ts';
import { freeLoopbackPort } from '../../scripts/embedded/free-port.ts';
import { setEpoch } from './set-epoch.ts';

/** Settings of a throw-away server, as `name: value` of postgresql.conf. */
export type Settings = Record<string, string | number | boolean>;

/** A running PostgreSQL that a test may do anything to. */
export interface Server {
  dataDirectory: string;
  socketDirectory: string;
  port: number;
  superuser: string;
  pid: number;
  config(database?: string): ClientConfig;
  /** Opens a client, runs `work` with it and closes it whatever happens. */
  withClient<T>(database: string, work: (client: Client) => Promise<T>): Promise<T>;
  /** Everything the server wrote to its log so far. */
  log(): string;
  /** Ends the server and removes what was created for it. Safe to call twice. */
  stop(mode?: 'fast' | 'immediate'): Promise<void>;
}

/** How a cluster is made. `settings` outrank those that make it quick: it does not wait for the disk. */
export interface StartOptions {
  settings?: Settings;
  /** `wal_level = logical`, so that exact manifests can be taken. */
  logical?: boolean;
  /** Also listen on 127.0.0.1 at a free port; otherwise on the private socket only. */
  tcp?: boolean;
  /** Arguments of initdb besides the usual, such as `--locale-provider=icu`. */
  initdb?: string[];
  /** Programs by which it is run, and not made: those of the same version, in another place. */
  binDirectory?: string;
  /** Rounds of 2^32 transactions that it is to have behind it. */
  epoch?: number;
}

const superuser = 'postgres';
const quickSettings: Settings = { fsync: false, full_page_writes: true, shared_buffers: '128MB', max_connections: 60 };
const alive = new Set<ChildProcess>();
const directories = new Set<string>();

// vitest ends a worker by SIGTERM, which would skip 'exit'.
process.once('SIGTERM', () => process.exit(143));
// A crashed test must not leave servers behind: vitest ends its workers without running afterAll.
process.once('exit', () => {
  for (const child of alive) child.kill('SIGQUIT');
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

/** Creates a new cluster in a private directory and starts it. Ready for connections when it resolves. */
export async function startCluster(options: StartOptions = {}): Promise<Server> {
  const root = createPrivateDirectory('pg');
  const dataDirectory = join(root, 'data');
  await promisify(execFile)(
    join(await binDirectory(), 'initdb'),
    ['-D', dataDirectory, '-U', superuser, '--auth=trust', '--no-sync', '-E', 'UTF8', '--locale=C.UTF-8', ...(options.initdb ?? [])],
    { ...runAs(), cwd: root },
  );
  if (options.epoch !== undefined) setEpoch(dataDirectory, options.epoch);
  const logical: Settings = options.logical ? { wal_level: 'logical', max_prepared_transactions: 20 } : {};
  return startServer({ ...options, dataDirectory, settings: { ...quickSettings, ...logical, ...options.settings }, owns: root });
}

/**
 * Starts a server on a data directory that is already there, such as a restored copy.
 * @param options.owns directory removed by `stop`; by default the data directory stays.
 */
export async function startServer(
  options: { dataDirectory: string; settings?: Settings; tcp?: boolean; owns?: string; binDirectory?: string },
): Promise<Server> {
  const socketRoot = createPrivateDirectory('sock');
  const port = options.tcp ? await freeLoopbackPort() : 5432;
  const settings: Settings = {
    listen_addresses: options.tcp ? '127.0.0.1' : '',
    unix_socket_directories: socketRoot,
    port,
    ...options.settings,
  };
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${String(value)}`]);
  const child = spawn(join(options.binDirectory ?? await binDirectory(), 'postgres'), ['-D', options.dataDirectory, ...args], {
    ...runAs(), cwd: socketRoot, stdio: ['ignore', 'pipe', 'pipe'],
  });
  alive.add(child);
  let log = '';
  const append = (chunk: Buffer): void => { log = (log + chunk.toString()).slice(-1_000_000); };
  child.stdout.on('data', append);
  child.stderr.on('data', append);
  const exited = once(child, 'exit').then(() => { alive.delete(child); });
  const config = (database = 'postgres'): ClientConfig =>
    ({ host: options.tcp ? '127.0.0.1' : socketRoot, port, user: superuser, database, application_name: 'test' });

  const server: Server = {
    dataDirectory: options.dataDirectory, socketDirectory: socketRoot, port, superuser, pid: child.pid ?? -1, config,
    log: () => log,
    async withClient(database, work) {
      const client = new Client(config(database));
      client.on('error', () => undefined);
      await client.connect();
      try { return await work(client); } finally { await client.end(); }
    },
    async stop(mode = 'fast') {
      if (alive.has(child)) child.kill(mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
      await exited;
      for (const directory of [socketRoot, ...(options.owns ? [options.owns] : [])]) {
        rmSync(directory, { recursive: true, force: true });
        directories.delete(directory);
      }
    },
  };
  try {
    await untilReady(server, child);
  } catch (error) {
    await server.stop('immediate');
    throw error;
  }
  return server;
}

/** Makes a directory that only the server's user can enter; removed when the process ends at the latest. */
export function createPrivateDirectory(name: string): string {
  const directory = mkdtempSync(join(tmpdir(), `drb-test-${name}-`));
  directories.add(directory);
  const { uid, gid } = runAs();
  if (uid !== undefined && gid !== undefined) chownSync(directory, uid, gid);
  return directory;
}

/** Makes a directory that everybody may walk through and only this user may change, as drills need it; removed when the process ends at the latest. */
export function createWalkableDirectory(name: string): string {
  const directory = mkdtempSync(join(tmpdir(), `drb-test-${name}-`));
  directories.add(directory);
  chmodSync(directory, 0o711);
  return directory;
}

/** Copies a cluster by `pg_backup_start` / `pg_backup_stop`; answers the directory of the copy, with all WAL that the server still has. */
export async function backUpByCopy(server: Server, meanwhile?: () => Promise<void>): Promise<string> {
  const target = join(createPrivateDirectory('copy'), 'data');
  await server.withClient('postgres', async (client) => {
    await client.query(`SELECT pg_backup_start('test', true)`);
    mkdirSync(target, { mode: 0o700 });
    const { uid, gid } = runAs();
    if (uid !== undefined && gid !== undefined) chownSync(target, uid, gid);
    const exclude = ['pg_wal', 'pg_replslot', 'postmaster.pid', 'postmaster.opts'].map((name) => `--exclude=./${name}`).join(' ');
    // tar answers 1 when files changed or vanished while it read them: replay repairs those.
    await promisify(execFile)('bash', ['-c', `(tar -C "$1" ${exclude} -cf - . || [ $? = 1 ]) | tar -C "$2" -xf -`, 'copy', server.dataDirectory, target], { ...runAs(), cwd: '/' });
    await meanwhile?.();
    const stopped = await client.query<{ labelfile: string }>('SELECT labelfile FROM pg_backup_stop(false)');
    const label = stopped.rows[0]?.labelfile ?? '';
    await promisify(execFile)('bash', ['-c', 'mkdir -p "$1/pg_wal" "$1/pg_replslot"; printf %s "$2" > "$1/backup_label"', 'label', target, label], { ...runAs(), cwd: '/' });
  });
  return target;
}

async function untilReady(server: Server, child: ChildProcess): Promise<void> {
  for (const deadline = Date.now() + 60_000; Date.now() < deadline;) {
    if (child.exitCode !== null) throw new Error(`PostgreSQL ended at its start:\n${server.log()}`);
    try {
      await server.withClient('postgres', (client) => client.query('SELECT 1'));
      return;
    } catch { await new Promise((resolve) => setTimeout(resolve, 30)); }
  }
  throw new Error(`PostgreSQL did not get ready within 60 s:\n${server.log()}`);
}

/** PostgreSQL refuses to run as root, so root starts it as the system's `postgres` (else `nobody`). */
export function runAs(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n').map((line) => line.split(':'));
  const entry = lines.find(([name]) => name === 'postgres') ?? lines.find(([name]) => name === 'nobody');
  if (!entry) throw new Error('run the tests as an ordinary user, or add a user "postgres"');
  return { uid: Number(entry[2]), gid: Number(entry[3]) };
}

/** TEST_POSTGRES_BIN runs the tests on another version. */
async function binDirectory(): Promise<string> {
  const configured = process.env['TEST_POSTGRES_BIN'];
  return (await findPostgres(configured === undefined ? {} : { binDirectory: configured })).binDirectory;
}
