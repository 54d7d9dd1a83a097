import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { isGrpcServiceError, type Connection } from '@temporalio/client';
import { isExecutable } from '../../scripts/embedded/fill-atomically.ts';
import { freeLoopbackPort } from '../../scripts/embedded/free-port.ts';
import { buildWithGo, SMALLER } from '../../scripts/embedded/go-build.ts';
import { startSupervised, type SupervisedServer } from '../../scripts/embedded/supervised-server.ts';
import { EMBEDDED_SETTINGS } from '../../scripts/embedded/temporal-server.ts';
import { cacheDirectory } from '../../workers/user-directories.ts';

/** The server that the embedded CLI contains, as the program that clusters run: only that takes an authorizer. */
const SERVER_VERSION = '1.31.2';

/** gRPC's status code ALREADY_EXISTS. */
const ALREADY_EXISTS = 6;

/** Another process can take a free port between the look and the start: then look again. */
const PORT_ATTEMPTS = 3;

/** What a token says, beside whose it is. */
export interface TokenOptions {
  /** `namespace:role` each; the role is `read`, `write`, `worker` or `admin`, the namespace `temporal-system` stands for all. */
  permissions?: string[];
  /** Negative: it has expired. */
  expiresInSeconds?: number;
  /** Signs in place of the key that the server trusts. */
  key?: KeyObject;
}

/** Makes tokens, and serves the key that verifies them. */
export interface TokenAuthority {
  keySetUri: string;
  tokenFor(subject: string, options?: TokenOptions): string;
  stop(): Promise<void>;
}

/** A real Temporal server that lets nobody in without a token of its authority. */
export interface AuthorizingServer extends SupervisedServer {
  address: string;
  /** `http://127.0.0.1:<port>` of the HTTP API. */
  httpAddress: string;
  authority: TokenAuthority;
  /** What a client or worker sends along with every call. */
  metadataFor(subject: string, options?: TokenOptions): Record<string, string>;
}

/** What makes a server stamp verified names, as its configuration says it. */
export function authorizationSettings(keySetUri: string) {
  return { jwtKeyProvider: { keySourceURIs: [keySetUri], refreshInterval: '1m' }, permissionsClaimName: 'permissions', authorizer: 'default', claimMapper: 'default' };
}

/** The same as dynamic configuration. */
export const PRINCIPAL_SETTING = { 'frontend.enablePrincipalPropagation': [{ value: true }] };

/** The signing key of another authority. */
export function otherKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

async function startAuthority(): Promise<TokenAuthority> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const keySet = JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'runbooks', alg: 'ES256', use: 'sig' }] });
  const http = createServer((_request, response) => response.setHeader('content-type', 'application/json').end(keySet)).listen(0, '127.0.0.1');
  await once(http, 'listening');
  return {
    keySetUri: `http://127.0.0.1:${(http.address() as AddressInfo).port}/keys.json`,
    tokenFor(subject, { permissions = ['default:write'], expiresInSeconds = 3_600, key = privateKey } = {}) {
      const part = (content: unknown) => Buffer.from(JSON.stringify(content)).toString('base64url');
      const signed = `${part({ alg: 'ES256', typ: 'JWT', kid: 'runbooks' })}.${part({ sub: subject, permissions, exp: Math.floor(Date.now() / 1_000) + expiresInSeconds })}`;
      return `${signed}.${sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
    },
    async stop() {
      http.closeAllConnections();
      http.close();
      await once(http, 'close');
    },
  };
}

/** The server program, from the cache or built with Go. */
export async function resolveAuthorizingServer(log: (line: string) => void, environment: NodeJS.ProcessEnv = process.env): Promise<string> {
  const directory = path.join(cacheDirectory(environment), `temporal-server-${SERVER_VERSION}`);
  const program = path.join(directory, 'temporal-server');
  if (await isExecutable(program)) return program;
  log(`building the Temporal server ${SERVER_VERSION} with Go into ${directory}; the first time takes some minutes`);
  await buildWithGo({ name: 'the Temporal server', directory, environment, advice: 'it needs Go 1.26' }, async (go, unfinished) => {
    await go(['install', ...SMALLER, `go.temporal.io/server/cmd/server@v${SERVER_VERSION}`], { cwd: unfinished, variables: { GOBIN: unfinished } });
    await rename(path.join(unfinished, 'server'), path.join(unfinished, 'temporal-server'));
  });
  return program;
}

/** Starts one on the loopback interface, with everything in memory and the namespace `default`. */
export async function startAuthorizingServer(log: (line: string) => void = () => undefined): Promise<AuthorizingServer> {
  const program = await resolveAuthorizingServer(log);
  const authority = await startAuthority();
  const directory = await mkdtemp(path.join(tmpdir(), 'authorizing-server-'));
  const metadataFor: AuthorizingServer['metadataFor'] = (subject, options) => ({ authorization: `Bearer ${authority.tokenFor(subject, options)}` });
  const cleanUp = async () => {
    await authority.stop();
    await rm(directory, { recursive: true, force: true });
  };
  for (let attempt = 1; ; attempt += 1) {
    const ports = await freePorts();
    const [config, dynamicConfig] = [path.join(directory, 'server.yaml'), path.join(directory, 'dynamic.yaml')];
    // YAML takes JSON.
    await writeFile(config, JSON.stringify(configuration(ports, dynamicConfig, authority.keySetUri)));
    await writeFile(dynamicConfig, JSON.stringify({ ...PRINCIPAL_SETTING, ...Object.fromEntries(Object.entries(EMBEDDED_SETTINGS).map(([name, value]) => [name, [{ value }]])) }));
    const address = `127.0.0.1:${ports.frontend.grpcPort}`;
    try {
      const server = await startSupervised([program, '--config-file', config, 'start', ...SERVICES.flatMap((service) => ['--service', service])], {
        address, logFile: path.join(directory, 'server.log'), metadata: metadataFor('admin', { permissions: ['temporal-system:admin'] }), isReady: openNamespace,
      });
      return {
        ...server, address, httpAddress: `http://127.0.0.1:${ports.frontend.httpPort}`, authority, metadataFor,
        async stop() {
          await server.stop();
          await cleanUp();
        },
      };
    } catch (error) {
      if (/address already in use/i.test((error as Error).message) && attempt < PORT_ATTEMPTS) continue;
      await cleanUp();
      throw error;
    }
  }
}

/** `internal-frontend` is where the server's own workers are let in: they have no token. */
const SERVICES = ['frontend', 'internal-frontend', 'matching', 'history', 'worker'] as const;
type Ports = Record<(typeof SERVICES)[number], { grpcPort: number; membershipPort: number; httpPort: number }>;

async function freePorts(): Promise<Ports> {
  const free = new Set<number>();
  while (free.size < SERVICES.length * 3) free.add(await freeLoopbackPort());
  const [...ports] = free;
  return Object.fromEntries(SERVICES.map((service) => [service, { grpcPort: ports.pop(), membershipPort: ports.pop(), httpPort: ports.pop() }])) as Ports;
}

function configuration(ports: Ports, dynamicConfig: string, keySetUri: string) {
  const store = { sql: { user: '', password: '', pluginName: 'sqlite', databaseName: 'default', connectAddr: 'localhost', connectProtocol: 'tcp', connectAttributes: { mode: 'memory', cache: 'private' }, maxConns: 1, maxIdleConns: 1, maxConnLifetime: '1h' } };
  return {
    log: { stdout: true, level: 'warn' },
    persistence: { defaultStore: 'sqlite-default', visibilityStore: 'sqlite-visibility', numHistoryShards: 1, datastores: { 'sqlite-default': store, 'sqlite-visibility': store } },
    global: { membership: { maxJoinDuration: '30s', broadcastAddress: '127.0.0.1' }, authorization: authorizationSettings(keySetUri) },
    services: Object.fromEntries(SERVICES.map((service) => [service, { rpc: { ...ports[service], bindOnLocalHost: true } }])),
    clusterMetadata: {
      enableGlobalNamespace: false, failoverVersionIncrement: 10, masterClusterName: 'active', currentClusterName: 'active',
      clusterInformation: { active: { enabled: true, initialFailoverVersion: 1, rpcName: 'frontend', rpcAddress: `127.0.0.1:${ports.frontend.grpcPort}` } },
    },
    dcRedirectionPolicy: { policy: 'noop' },
    dynamicConfigClient: { filepath: dynamicConfig, pollInterval: '10s' },
  };
}

/** Makes the namespace, and waits until all parts of the server know it. */
async function openNamespace({ workflowService }: Connection): Promise<void> {
  await workflowService.registerNamespace({ namespace: 'default', workflowExecutionRetentionPeriod: { seconds: 86_400 } as never }).catch((error: unknown) => {
    if (!isGrpcServiceError(error) || Number(error.code) !== ALREADY_EXISTS) throw error;
  });
  await workflowService.listWorkflowExecutions({ namespace: 'default', pageSize: 1 });
  await workflowService.describeTaskQueue({ namespace: 'default', taskQueue: { name: 'runbooks' }, taskQueueType: 1 });
}
