import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An HTTP server on the loopback interface, and how many requests it has open. */
export interface LocalHttp { endpoint: string; open: () => number; stop: () => Promise<void> }

/** On a port of its own. `stop` cuts what is still open, and does not wait for answers. */
export async function serveHttp(answer: RequestListener): Promise<LocalHttp> {
  const open = new Set<ServerResponse>();
  const server = createServer((incoming, response) => {
    open.add(response);
    response.once('close', () => open.delete(response));
    answer(incoming, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    open: () => open.size,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Hands a request on as it is, signature and host included. */
export function passOn(endpoint: string, incoming: IncomingMessage, response: ServerResponse): void {
  const { hostname, port } = new URL(endpoint);
  incoming.pipe(request({ hostname, port, path: incoming.url, method: incoming.method, headers: incoming.headers }, (answered) => {
    response.writeHead(answered.statusCode ?? 500, answered.headers);
    answered.pipe(response);
  }).on('error', () => response.destroy()));
}
