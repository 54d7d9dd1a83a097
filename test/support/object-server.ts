import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { isExecutable } from '../../scripts/embedded/fill-atomically.ts';
import { freeLoopbackPort } from '../../scripts/embedded/free-port.ts';
import { buildWithGo, SMALLER } from '../../scripts/embedded/go-build.ts';
import { superviseProgram } from '../../scripts/embedded/supervised-server.ts';
import { cacheDirectory } from '../../workers/user-directories.ts';

/**
 * The Versity S3 gateway, with objects in a directory. From this version on it decides on If-None-Match and publishes in one
 * step; earlier ones let several of those through who put at once.
 */
const SERVER_VERSION = '1.8.0';

/** Another process can take a free port between the look and the start: then look again. */
const PORT_ATTEMPTS = 3;

const run = promisify(execFile);

/** Of somebody who may do something, as the SDK reads them from the environment. */
export type Credentials = Record<'AWS_ACCESS_KEY_ID' | 'AWS_SECRET_ACCESS_KEY', string>;

/** A real S3 server on the loopback interface. */
export interface ObjectServer {
  endpoint: string;
  /** Of its owner, who may do everything. */
  owner: Credentials;
  /** Makes an account that may do nothing with what others own. */
  addStranger(): Promise<Credentials>;
  /** Makes a bucket; returns the directory that its objects lie in. */
  addBucket(name: string): Promise<string>;
  stop(): Promise<void>;
}

/** The server program, from the cache or built with Go. */
export async function resolveObjectServer(log: (line: string) => void, environment: NodeJS.ProcessEnv = process.env): Promise<string> {
  const directory = path.join(cacheDirectory(environment), `versitygw-${SERVER_VERSION}`);
  const program = path.join(directory, 'versitygw');
  if (await isExecutable(program)) return program;
  log(`building the S3 server versitygw ${SERVER_VERSION} with Go into ${directory}; the first time takes some minutes`);
  await buildWithGo({ name: 'the S3 server', directory, environment, advice: 'it needs Go 1.25 or newer' }, (go, unfinished) => go(['install', ...SMALLER, `github.com/versity/versitygw/cmd/versitygw@v${SERVER_VERSION}`], { cwd: unfinished, variables: { GOBIN: unfinished } }).then(() => undefined));
  return program;
}

/** Starts one that is empty. */
export async function startObjectServer(log: (line: string) => void = () => undefined): Promise<ObjectServer> {
  const program = await resolveObjectServer(log);
  const directory = await mkdtemp(path.join(tmpdir(), 'object-server-'));
  // Beside the objects and not in extended attributes, which not every file system has.
  const [objects, sidecar, accounts] = ['objects', 'sidecar', 'accounts'].map((name) => path.join(directory, name)) as [string, string, string];
  await Promise.all([objects, sidecar, accounts].map((one) => mkdir(one)));
  const owner = newCredentials();
  for (let attempt = 1; ; attempt += 1) {
    const address = `127.0.0.1:${await freeLoopbackPort()}`;
    const endpoint = `http://${address}`;
    const admin = (...parameters: string[]) => run(program, ['admin', ...parameters], { env: { ...process.env, ADMIN_ACCESS_KEY_ID: owner.AWS_ACCESS_KEY_ID, ADMIN_SECRET_ACCESS_KEY: owner.AWS_SECRET_ACCESS_KEY, ADMIN_ENDPOINT_URL: endpoint } });
    try {
      const server = await superviseProgram([program, '--port', address, '--iam-dir', accounts, '--health', '/health', '--quiet', 'posix', '--sidecar', sidecar, objects], {
        name: `the S3 server at ${address}`, logFile: path.join(directory, 'server.log'),
        variables: { ROOT_ACCESS_KEY_ID: owner.AWS_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY: owner.AWS_SECRET_ACCESS_KEY },
        ask: async () => { if (!(await fetch(`${endpoint}/health`)).ok) throw new Error('it is not healthy'); },
      });
      return {
        endpoint, owner,
        async addStranger() {
          const stranger = newCredentials();
          await admin('create-user', '--access', stranger.AWS_ACCESS_KEY_ID, '--secret', stranger.AWS_SECRET_ACCESS_KEY, '--role', 'user');
          return stranger;
        },
        async addBucket(name) {
          await admin('create-bucket', '--owner', owner.AWS_ACCESS_KEY_ID, '--bucket', name);
          return path.join(objects, name);
        },
        async stop() {
          await server.stop();
          await rm(directory, { recursive: true, force: true });
        },
      };
    } catch (error) {
      if (/address already in use/i.test((error as Error).message) && attempt < PORT_ATTEMPTS) continue;
      await rm(directory, { recursive: true, force: true });
      throw error;
    }
  }
}

function newCredentials(): Credentials {
  return { AWS_ACCESS_KEY_ID: `AK${randomBytes(9).toString('hex').toUpperCase()}`, AWS_SECRET_ACCESS_KEY: randomBytes(20).toString('hex') };
}
