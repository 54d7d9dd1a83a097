import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import type { ClientConfig } from 'pg';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { type Server, startCluster } from './postgres.ts';

/** Stands between a server and who asks it, and can stop passing on what is said once somebody is connected, as a machine does that hangs. */
export interface HangingGateway {
  isHung: boolean;
  config: (database?: string) => ClientConfig & { host: string; port: number };
  stop: () => void;
}

/** A server of its own for the tests of a file, and a gateway to it that hangs in no test unless told to. */
export function useHangingGateway(): { server: Server; gateway: HangingGateway } {
  const used = {} as { server: Server; gateway: HangingGateway };
  beforeAll(async () => {
    used.server = await startCluster({ tcp: true });
    used.gateway = await startHangingGateway(used.server);
  });
  afterEach(() => { used.gateway.isHung = false; });
  afterAll(async () => {
    used.gateway.stop();
    await used.server.stop();
  });
  return used;
}

async function startHangingGateway(server: Server): Promise<HangingGateway> {
  const sockets = new Set<Socket>();
  const listener = createServer({ allowHalfOpen: true }, (inner) => {
    const outer = connect(server.port, '127.0.0.1');
    for (const socket of [inner, outer]) sockets.add(socket.on('error', () => undefined).on('close', () => { inner.destroy(); outer.destroy(); }));
    // Q and P begin a query, X is goodbye; what came before was signing on.
    inner.on('data', (data) => { if (!(gateway.isHung && [0x51, 0x50, 0x58].includes(data[0] as number))) outer.write(data); });
    inner.on('end', () => { if (!gateway.isHung) outer.end(); });
    outer.pipe(inner);
  }).listen(0, '127.0.0.1');
  const gateway: HangingGateway = {
    isHung: false,
    config: (database) => ({ ...server.config(database), host: '127.0.0.1', port: (listener.address() as AddressInfo).port }),
    stop: () => {
      for (const socket of sockets) socket.destroy();
      listener.close();
    },
  };
  await once(listener, 'listening');
  return gateway;
}
