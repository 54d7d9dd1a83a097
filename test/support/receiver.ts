import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A message as it came. */
export interface Received { atMs: number; method: string; path: string; headers: IncomingHttpHeaders; body: string }

/** A real HTTP server on loopback that keeps what it gets. */
export interface Receiver {
  origin: string;
  received: Received[];
  stop(): Promise<void>;
}

/** @param answer what becomes of each message; `count` is 1 for the first */
export async function startReceiver(answer: (response: ServerResponse, count: number, message: Received) => void): Promise<Receiver> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const message = { atMs: Date.now(), method: request.method ?? '', path: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks).toString('utf8') };
      received.push(message);
      answer(response, received.length, message);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    stop: () => new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    }),
  };
}

/** What a receiver knows a message by that comes twice: the header of a webhook, what Slack hands to its apps. */
export function keyOf({ headers, body }: Received): string | undefined {
  const id = headers['webhook-id'] ?? (JSON.parse(body) as { metadata?: { event_payload: { id: string } } }).metadata?.event_payload.id;
  return typeof id === 'string' ? id : undefined;
}
