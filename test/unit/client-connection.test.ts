import { once } from 'node:events';
import { createServer, type Http2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it, vi } from 'vitest';
import { connectClient } from '../../scripts/client-connection.ts';

let server: Http2Server | undefined;
afterEach(() => server?.close());

/** A server that answers the question for its capabilities, and to everything else that it is not available. */
async function unavailableServer(): Promise<{ address: string; asked: () => number }> {
  let asked = 0;
  server = createServer();
  server.on('stream', (stream, headers) => {
    const isFirst = String(headers[':path']).endsWith('/GetSystemInfo');
    if (!isFirst) asked += 1;
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.once('wantTrailers', () => stream.sendTrailers(isFirst ? { 'grpc-status': '0' } : { 'grpc-status': '14', 'grpc-message': 'not now' }));
    // An empty message: not compressed, and no bytes long.
    stream.end(isFirst ? Buffer.alloc(5) : undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, asked: () => asked };
}

it('ends a call as cancelled that is to be tried again when its connection is closed', async () => {
  const { address, asked } = await unavailableServer();
  const connection = await connectClient({ address });
  const call = connection.workflowService.describeNamespace({ namespace: 'default' });
  call.catch(() => undefined);
  await vi.waitFor(() => expect(asked()).toBeGreaterThan(0));
  await connection.close();
  await expect(call).rejects.toMatchObject({ code: 1, details: expect.stringContaining('the connection was closed while the call was under way') });
}, 60_000);

it('ends a call as cancelled that begins on a closed connection', async () => {
  const { address } = await unavailableServer();
  const connection = await connectClient({ address });
  await connection.close();
  await expect(connection.workflowService.describeNamespace({ namespace: 'default' })).rejects.toMatchObject({ code: 1 });
});

it('tries a call again', async () => {
  const { address, asked } = await unavailableServer();
  const connection = await connectClient({ address });
  const call = connection.workflowService.describeNamespace({ namespace: 'default' });
  call.catch(() => undefined);
  await vi.waitFor(() => expect(asked()).toBeGreaterThan(2), { timeout: 10_000 });
  await connection.close();
  await expect(call).rejects.toMatchObject({ code: 1 });
});
