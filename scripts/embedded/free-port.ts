import { randomInt } from 'node:crypto';
import { createServer, type AddressInfo } from 'node:net';

/** Below what systems give to whoever connects to somewhere (from 32768 on): such a connection would keep a server from coming back to its port. */
const [LOWEST, HIGHEST] = [15_000, 32_000];
const TRIES = 20;

/** A TCP port that nothing listened on a moment ago. Whoever uses it must be ready to lose the race for it. */
export async function freeLoopbackPort(): Promise<number> {
  for (let attempt = 1; attempt <= TRIES; attempt += 1) {
    const port = await listenOnce(randomInt(LOWEST, HIGHEST)).catch(() => undefined);
    if (port !== undefined) return port;
  }
  return listenOnce(0);
}

/** Rejects when something listens on `port`: else its answers would be taken for those of the server that was to start. */
export async function requireFreeLoopbackPort(port: number): Promise<void> {
  await listenOnce(port).catch((error: NodeJS.ErrnoException) => {
    throw new Error(`port ${port} cannot be used (${error.code === 'EADDRINUSE' ? 'address already in use' : error.message})`, { cause: error });
  });
}

async function listenOnce(wanted: number): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(wanted, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}
