import { once } from 'node:events';
import { createServer } from 'node:http2';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { configurationSchema } from '../../contracts/configuration.ts';
import { examineTemporal } from '../../scripts/cli/doctor-temporal.ts';

/** What a server answers to a call: an empty message, or one of gRPC's codes with its words. */
type Answer = 'done' | { code: number; words: string };

/** What doctor says of a server that answers like this, of Temporal itself. */
async function foundAt(answer: (method: string) => Answer) {
  const sockets = new Set<Socket>();
  const server = createServer().listen(0, '127.0.0.1');
  server.on('connection', (socket: Socket) => sockets.add(socket));
  server.on('stream', (stream, { ':path': path }) => {
    const answered = answer(String(path).split('/').at(-1) ?? '');
    const headers = { ':status': 200, 'content-type': 'application/grpc' };
    stream.on('error', () => undefined).resume();
    if (answered !== 'done') return stream.respond({ ...headers, 'grpc-status': String(answered.code), 'grpc-message': answered.words }, { endStream: true });
    stream.respond(headers, { waitForTrailers: true });
    stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    // A message of no bytes, after the five that say so.
    stream.end(Buffer.alloc(5));
  });
  await once(server, 'listening');
  const root = await mkdtemp(join(tmpdir(), 'doctor-temporal-'));
  const configuration = configurationSchema.parse({
    version: 1, drills: { directory: join(root, 'drills') }, evidence: { directory: join(root, 'evidence') },
    databases: { shop: { connection: {}, provider: { kind: 'archive', repository: join(root, 'backups'), walDirectory: join(root, 'wal') } } },
  });
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    const findings = await examineTemporal({ address, namespace: 'shops', tls: false }, configuration);
    return { address, temporal: findings.filter(({ about }) => about === 'temporal') };
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
    await rm(root, { recursive: true });
  }
}

const CREDENTIALS = 'use credentials that may: --api-key, TEMPORAL_API_KEY, or a profile with a key or certificates';

it('a server that takes no such token is not said to be none: other credentials are needed', async () => {
  const { address, temporal } = await foundAt(() => ({ code: 16, words: 'Jwt: it has expired; sign in' }));
  expect(temporal).toEqual([{ about: 'temporal', name: 'server', outcome: 'problem', detail: `the Temporal server at ${address} refused access to namespace shops (Jwt: it has expired; sign in)`, todo: CREDENTIALS }]);
});

it('a namespace that a token does not open is not to be created: other credentials are needed', async () => {
  const { address, temporal } = await foundAt((method) => (method === 'GetSystemInfo' ? 'done' : { code: 7, words: 'Request unauthorized.' }));
  expect(temporal).toEqual([
    expect.objectContaining({ name: 'server', outcome: 'ok' }),
    { about: 'temporal', name: 'namespace', outcome: 'problem', detail: `the Temporal server at ${address} refused access to namespace shops (Request unauthorized.)`, todo: CREDENTIALS },
  ]);
});

it('what else a server says of a namespace is told as it is', async () => {
  const { temporal } = await foundAt((method) => (method === 'GetSystemInfo' ? 'done' : { code: 3, words: 'the name is too long' }));
  expect(temporal.at(-1)).toMatchObject({ name: 'namespace', outcome: 'problem', detail: 'namespace shops cannot be used: the name is too long', todo: expect.stringMatching(/^name another with --namespace/) as string });
});

it('a server that lets nobody see who works and what is registered is well all the same', async () => {
  const { temporal } = await foundAt((method) => (['GetSystemInfo', 'DescribeNamespace'].includes(method) ? 'done' : { code: 7, words: 'Request unauthorized.' }));
  expect(temporal.map(({ name, outcome }) => [name.split(' ')[0], outcome])).toEqual([['server', 'ok'], ['namespace', 'ok'], ['task', 'skipped'], ['task', 'skipped'], ['search', 'skipped']]);
});
