import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { DRILL_VARIABLE } from '../../activities/drill/drill.ts';
import { endProcessesOf, findProcesses } from '../../activities/drill/processes.ts';
import { startDemoEnvironment } from '../../scripts/demo/environment.ts';
import { takeBackup } from '../support/drill-run.ts';

it('a demo that is stopped in the middle of a drill leaves no server of it and no file', async () => {
  const demo = await startDemoEnvironment({ scale: 0.01, seed: 1, writersPerSecond: 0, log: () => undefined });
  const drills = join(demo.root, 'drills');
  const servers = () => findProcesses({ marker: { name: DRILL_VARIABLE, value: 'by directory' }, directory: drills });
  try {
    await takeBackup(demo);
    const handle = await demo.client.workflow.start('dr-test', { workflowId: 'dr-test/shop/stopped', taskQueue: 'runbooks', args: [{}] });
    for (const end = Date.now() + 60_000; Date.now() < end && (await servers()).length === 0; await sleep(100)) {
      await handle.signal('approve', { gate: 'start', by: 'anna' });
    }
    expect((await servers()).length).toBeGreaterThan(0);
  } finally {
    await demo.stop();
  }
  expect(await servers()).toEqual([]);
  expect(existsSync(demo.root) ? readdirSync(demo.root) : []).toEqual([]);
});

const program = fileURLToPath(new URL('../../dist/scripts/demo/main.js', import.meta.url));

it.concurrent.each([
  { what: 'while PostgreSQL is made, by Ctrl-C, which reaches all that it has started', line: 'starting production', signal: 'SIGINT', group: true, code: 130 },
  { what: 'while it loads, by a terminal that is closed', line: 'loading the shop', signal: 'SIGHUP', group: false, code: 129 },
] as const)('a demo that is stopped before it is up leaves nothing: $what', async ({ line, signal, group, code }) => {
  const place = mkdtempSync(join(tmpdir(), 'demo-stopped-'));
  // The database server's user must be able to walk through.
  chmodSync(place, 0o711);
  const processes = { marker: { name: DRILL_VARIABLE, value: 'by directory' }, directory: place };
  // A group of its own, as a terminal makes one of what is typed.
  const demo = spawn(process.execPath, [program], { detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, TMPDIR: place } });
  const ended = once(demo, 'exit');
  try {
    let said = '';
    for (const stream of [demo.stdout, demo.stderr]) stream.on('data', (chunk: Buffer) => { said += chunk.toString(); });
    await new Promise<void>((resolve, reject) => {
      demo.stdout.on('data', () => { if (said.includes(line)) resolve(); });
      void ended.then(() => reject(new Error(said)));
    });
    process.kill(group ? -demo.pid! : demo.pid!, signal);
    const [exitCode] = await ended as [number | null];
    expect(await findProcesses(processes)).toEqual([]);
    expect(readdirSync(place).filter((name) => !name.startsWith('durable-runbooks-bin-'))).toEqual([]);
    expect({ exitCode, said }).toEqual({ exitCode: code, said: expect.stringContaining('stopping') });
    expect(said).not.toMatch(/crashed|while cleaning up|\n {4}at /);
  } finally {
    demo.kill('SIGKILL');
    await endProcessesOf(processes);
    rmSync(place, { recursive: true, force: true });
  }
});
