import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { isolationSettings, writeConfiguration } from '../../activities/drill/configuration.ts';
import { type Drill, DRILL_VARIABLE, drillPaths } from '../../activities/drill/drill.ts';
import { isolatedCommand } from '../../activities/drill/isolation.ts';
import { writeMounts } from '../../activities/drill/mounts.ts';
import { identifyProcess } from '../../activities/drill/processes.ts';
import { waitForServer } from '../../activities/drill/server.ts';

/** Something of production that notices every attempt to reach it. */
export interface Canary {
  port: number;
  /** How often somebody came. */
  contacts: () => number;
  close: () => Promise<void>;
}

/** Listens where production would; hangs up on everybody, and counts them. */
export async function listenForContact(): Promise<Canary> {
  let contacts = 0;
  const server = createServer((socket) => {
    contacts += 1;
    socket.on('error', () => undefined);
    socket.destroy();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return { port: address.port, contacts: () => contacts, close: async () => { server.close(); await once(server, 'close'); } };
}

/**
 * Starts a prepared copy as the drill does, except for the settings named: what happens without one layer of its
 * isolation. Resolves when it takes writes.
 */
export async function startWithout(drill: Drill, changed: Record<string, string>): Promise<void> {
  const paths = drillPaths(drill.directory);
  await writeConfiguration(drill, { timeline: 1, stopBeforeLsn: null, then: 'promote' });
  const settings = { config_file: join(paths.conf, 'postgresql.conf'), ...isolationSettings(drill), ...changed };
  await writeMounts(drill);
  const [command = '', ...args] = isolatedCommand({
    isolation: drill.isolation, name: drill.name, directory: drill.directory, owner: drill.owner,
    command: [join(drill.binDirectory, 'postgres'), '-D', paths.data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
  });
  const child = spawn(command, args, { cwd: drill.directory, detached: true, stdio: 'ignore', env: { PATH: process.env['PATH'] ?? '', LANG: 'C', [DRILL_VARIABLE]: drill.name } });
  await once(child, 'spawn');
  const identity = await identifyProcess(child.pid ?? 0);
  if (!identity) throw new Error('the copy ended at its start');
  await waitForServer({ drill, started: { identity, logOffset: 0 }, then: 'promote' });
}

/** Every file below a directory, and the hash of what it holds. */
export function hashTree(root: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) found[path] = createHash('sha256').update(readFileSync(path)).digest('hex');
  }
  return found;
}
