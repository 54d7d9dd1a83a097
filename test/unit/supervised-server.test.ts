import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startSupervised, superviseProgram } from '../../scripts/embedded/supervised-server.ts';

/** Takes every connection, and answers nothing. */
let silent: Server;
const taken: Socket[] = [];
let address: string;
let logFile: string;
beforeAll(async () => {
  silent = createServer((socket) => void taken.push(socket));
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  address = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
  logFile = path.join(await mkdtemp(path.join(tmpdir(), 'supervised-')), 'server.log');
});
afterAll(async () => {
  for (const socket of taken) socket.destroy();
  silent.close();
  await rm(path.dirname(logFile), { recursive: true });
});

it('a server that takes connections and never answers is given up when its time is over', async () => {
  const gaveUp = 'did not start: no answer within 0.5 seconds';
  await expect(startSupervised(['sleep', '600'], { address, logFile, isReady: () => Promise.resolve(), readyTimeoutMs: 500 })).rejects.toThrow(gaveUp);
  const ask = () => fetch(`http://${address}`);
  await expect(superviseProgram(['sleep', '600'], { name: 'it', logFile, ask, readyTimeoutMs: 500 })).rejects.toThrow(gaveUp);
});

it('a server that ends while it is asked is waited for no more', async () => {
  await expect(superviseProgram(['sh', '-c', 'sleep 0.3; echo no room >&2'], { name: 'it', logFile, ask: () => new Promise(() => undefined) })).rejects.toThrow('it did not start: it ended\nno room');
});
