import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { stopProgram } from '../support/stopped-program.ts';

const MINUTE = 60_000;
/** Whether a worker of the faults has said that it is ready. */
const hasWorker = (directory: string): boolean => readdirSync(directory).map((name) => join(directory, name, 'worker.log')).some((log) => existsSync(log) && readFileSync(log, 'utf8').includes('worker ready'));

it('faults that are stopped by Ctrl-C while the first backup is taken, which takes its worker away, leave nothing', async () => {
  const { said, ...left } = await stopProgram({
    program: 'test/faults/main.js', args: ['dr-test'], signal: 'SIGINT', group: true,
    until: (_output, directory) => hasWorker(directory),
  });
  expect({ ...left, said }).toEqual({ exitCode: 1, processes: [], files: [], said: expect.stringContaining('interrupted') });
}, 3 * MINUTE);

it('faults that are stopped in the middle of a case leave neither its drill nor what other lanes are starting', async () => {
  const { said, ...left } = await stopProgram({
    program: 'test/faults/main.js', args: ['dr-test', '--only', 'worker killed inside'], signal: 'SIGTERM', group: false,
    until: (output) => output.includes('lanes'),
  });
  expect({ ...left, said }).toEqual({ exitCode: 1, processes: [], files: [], said: expect.stringContaining('interrupted') });
}, 3 * MINUTE);

it('a soak that is stopped before it is up leaves nothing', async () => {
  const { said, ...left } = await stopProgram({
    program: 'test/soak/main.js', args: ['dr-test'], signal: 'SIGTERM', group: false,
    until: (output) => output.includes('loading the shop'),
  });
  expect({ ...left, said }).toEqual({ exitCode: 143, processes: [], files: [], said: expect.stringContaining('stopping') });
}, 3 * MINUTE);
