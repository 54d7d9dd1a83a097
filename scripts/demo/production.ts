import { execFile, type ExecFileOptions } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, chown, lstat, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import type { PostgresBinaries } from '../../activities/postgres/binaries.ts';
import { freeLoopbackPort } from '../embedded/free-port.ts';
import { archiveScript, shellQuoted } from './archive-script.ts';

const run = promisify(execFile);

/** Longest path of a Unix socket that every supported system takes (macOS: 104 bytes with the final zero). */
const maxSocketPathBytes = 103;

/** What the demo needs to know of an installation of PostgreSQL. */
export type ServerBinaries = Pick<PostgresBinaries, 'binDirectory' | 'runAs'>;

/** How to reach a database through `pg`, with plain data only, so that it can be sent to another process. */
export interface ConnectionConfig {
  host: string;
  port: number;
  user: string;
  database: string;
  password?: string;
}

/** Where production lies, and as what it runs. */
export interface StartProductionInput {
  /** An empty directory (made if missing) that will hold everything of the server; every parent must be open to `runAs`. */
  root: string;
  binaries: ServerBinaries;
  log: (line: string) => void;
  /** Further settings for postgresql.conf. */
  settings?: Record<string, string>;
  /** Further environment variables of the server. */
  environment?: Record<string, string>;
}

/** A running server. */
export interface Production {
  dataDirectory: string;
  /** Private (0700) directory of the socket; whoever may enter it is trusted. */
  socketDirectory: string;
  port: number;
  /** The only way in over TCP: SCRAM, on 127.0.0.1. */
  superuser: { user: string; password: string };
  database: string;
  /** Through the private socket, as superuser. */
  config: ConnectionConfig;
  archiveDirectory: string;
  /** Outside the data directory, empty, owned by the server's user: for `CREATE TABLESPACE`. */
  tablespaceDirectory: string;
  pid: number;
  /** Stops this server, found by its own process id, and waits until it is gone; keeps its files. Can be called twice. */
  stop: () => Promise<void>;
}

/**
 * Makes and starts the demo's "production": a new cluster with checksums, logical WAL and a careful archive, and an empty database `shop`.
 * The server outlives this process unless `stop` is called.
 */
export async function startProduction(input: StartProductionInput): Promise<Production> {
  const root = resolve(input.root);
  const { binaries, log } = input;
  const at = (name: string) => join(root, name);
  const own = async (path: string) => {
    if (binaries.runAs) await chown(path, binaries.runAs.uid, binaries.runAs.gid);
  };
  const makePrivate = async (path: string) => {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await own(path);
    return path;
  };
  await makePrivate(root);
  const dataDirectory = at('data');
  const archiveDirectory = await makePrivate(at('archive'));
  const tablespaceDirectory = await makePrivate(at('tablespace'));
  const fits = Buffer.byteLength(join(at('socket'), '.s.PGSQL.65535')) <= maxSocketPathBytes;
  const socketDirectory = fits ? await makePrivate(at('socket')) : await mkdtemp(join(tmpdir(), 'shop-'));
  await own(socketDirectory);

  const database = 'shop';
  const server: { pid?: number } = {};
  const stop = async () => {
    const running = server.pid ?? await pidIn(dataDirectory);
    if (running !== undefined) await stopByPid(running, dataDirectory);
    if (!fits) await rm(socketDirectory, { recursive: true, force: true });
  };
  const undone = async (cause: unknown): Promise<never> => {
    await stop();
    throw cause;
  };
  const superuser = { user: 'postgres', password: randomBytes(18).toString('base64url') };
  const execute = serverCommand(binaries, root, input.environment);
  const passwordFile = at('initial-password');
  await writeFile(passwordFile, `${superuser.password}\n`, { mode: 0o600 });
  await own(passwordFile);
  log(`initdb ${dataDirectory}`);
  await execute('initdb', ['-D', dataDirectory, '-U', superuser.user, '--data-checksums', '--encoding=UTF8', '--locale=C',
    '--auth-host=scram-sha-256', '--auth-local=trust', `--pwfile=${passwordFile}`, '--no-sync', '--no-instructions'])
    .catch(undone).finally(() => rm(passwordFile, { force: true }));
  const script = at('archive-wal');
  await writeFile(script, archiveScript(archiveDirectory));
  await chmod(script, 0o755);
  await own(script);
  const configFile = join(dataDirectory, 'postgresql.conf');
  await writeFile(configFile, settingsFile({
    listen_addresses: '127.0.0.1', unix_socket_directories: socketDirectory, unix_socket_permissions: '0700',
    password_encryption: 'scram-sha-256', max_connections: '60', shared_buffers: '128MB', wal_level: 'logical',
    max_wal_size: '2GB', checkpoint_timeout: '5min', archive_mode: 'on',
    archive_command: `/bin/sh ${shellQuoted(script)} "%p" "%f"`, archive_timeout: '5s', max_prepared_transactions: '20',
    max_wal_senders: '10', max_replication_slots: '10', track_commit_timestamp: 'off', client_connection_check_interval: '1s',
    lc_messages: 'C', timezone: 'UTC', log_timezone: 'UTC', log_min_messages: 'warning', ...input.settings,
  }), { flag: 'a' });

  const start = async (port: number) => {
    log(`start PostgreSQL on 127.0.0.1:${port}`);
    // The last of several counts.
    await writeFile(configFile, `port = ${port}\n`, { flag: 'a' });
    await execute('pg_ctl', ['start', '-w', '-t', '60', '-s', '-D', dataDirectory, '-l', at('server.log')]).catch(async (cause: unknown) => {
      const tail = await readFile(at('server.log'), 'utf8').catch(() => '');
      throw new Error(`PostgreSQL did not start [data=${dataDirectory}]: ${tail.split('\n').slice(-5).join(' ').trim()}`, { cause });
    });
    return port;
  };
  // Another process can take a free port between the look and the start: then once more.
  const port = await start(await freeLoopbackPort()).catch(async (error: Error) => {
    if (!error.message.includes('could not create any TCP/IP sockets')) throw error;
    return start(await freeLoopbackPort());
    // Ctrl-C reaches pg_ctl, too, which then ends and leaves the server to its own end.
  }).catch(undone);
  const pid = await pidIn(dataDirectory);
  if (pid === undefined) throw new Error(`PostgreSQL did not stay [data=${dataDirectory}]`);
  server.pid = pid;
  const config = { host: socketDirectory, port, user: superuser.user, database };
  const client = new Client({ ...config, database: 'postgres' });
  await client.connect().then(() => client.query(`CREATE DATABASE ${client.escapeIdentifier(database)}`)).finally(() => client.end()).catch(undone);
  return { dataDirectory, socketDirectory, port, superuser, database, config, archiveDirectory, tablespaceDirectory, pid, stop };
}

/** Of the server that runs there, or is about to; undefined without one. */
async function pidIn(dataDirectory: string): Promise<number | undefined> {
  const file = await readFile(join(dataDirectory, 'postmaster.pid'), 'utf8').catch(() => '');
  return Number(file.split('\n')[0]) || undefined;
}

/** Runs one of the server's programs as the server's user, with nothing of our environment but PATH. */
function serverCommand(binaries: ServerBinaries, cwd: string, environment: Record<string, string> = {}): (program: string, args: string[]) => Promise<unknown> {
  const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C', ...environment };
  const options: ExecFileOptions = { cwd, env, ...binaries.runAs };
  return async (program, args) => run(join(binaries.binDirectory, program), args, options);
}

function settingsFile(settings: Record<string, string>): string {
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`);
  return `\n# Written by the demo\n${lines.join('\n')}\n`;
}

/** Fast shutdown (SIGINT), and after 20 s immediate shutdown (SIGQUIT). Looks at postmaster.pid first: a pid can be reused. */
async function stopByPid(pid: number, dataDirectory: string): Promise<void> {
  const pidFile = join(dataDirectory, 'postmaster.pid');
  const ours = async () => (await readFile(pidFile, 'utf8').catch(() => '')).startsWith(`${pid}\n`) && alive(pid);
  if (!(await ours())) return;
  process.kill(pid, 'SIGINT');
  const begun = performance.now();
  let hurried = false;
  while ((await ours()) || (alive(pid) && (await lstat(pidFile).catch(() => undefined)))) {
    if (!hurried && performance.now() - begun > 20_000) {
      hurried = true;
      process.kill(pid, 'SIGQUIT');
    }
    if (performance.now() - begun > 40_000) throw new Error(`PostgreSQL does not stop [pid=${pid}, data=${dataDirectory}]`);
    await new Promise((done) => setTimeout(done, 20));
  }
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
