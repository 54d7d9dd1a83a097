import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { DRILL_VARIABLE } from '../../activities/drill/drill.ts';
import { findProcesses } from '../../activities/drill/processes.ts';
import { startDemoEnvironment } from '../../scripts/demo/environment.ts';
import { takeBackup } from '../support/drill-run.ts';
import { stopProgram } from '../support/stopped-program.ts';

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

it.concurrent.each([
  { what: 'while PostgreSQL is made, by Ctrl-C, which reaches all that it has started', line: 'starting production', signal: 'SIGINT', group: true, code: 130 },
  { what: 'while it loads, by a terminal that is closed', line: 'loading the shop', signal: 'SIGHUP', group: false, code: 129 },
] as const)('a demo that is stopped before it is up leaves nothing: $what', async ({ line, signal, group, code }) => {
  const { said, ...left } = await stopProgram({ program: 'scripts/demo/main.js', until: (output) => output.includes(line), signal, group });
  expect(left).toEqual({ exitCode: code, processes: [], files: [] });
  expect(said).toContain('stopping');
  expect(said).not.toMatch(/crashed|while cleaning up|\n {4}at /);
});
