import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
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

it('a bench whose terminal is closed while it loads its first database leaves neither the server that loads nor half of what it keeps', async () => {
  const cache = mkdtempSync(join(tmpdir(), 'cache-'));
  // The load makes a tablespace first.
  const isLoading = (directory: string): boolean => readdirSync(directory).map((name) => join(directory, name, 'production', 'tablespace')).some((place) => existsSync(place) && readdirSync(place).length > 0);
  try {
    const { said, ...left } = await stopProgram({
      // A row that loads before all else, and more than any machine has loaded before it is stopped.
      program: 'test/bench/main.js', args: ['dr-test', '--only', 'copyVsVerifiedCp', '--size', '2GB'], environment: { XDG_CACHE_HOME: cache }, signal: 'SIGHUP', group: false,
      until: (_output, directory) => isLoading(directory),
    });
    expect({ ...left, said }).toEqual({ exitCode: 129, processes: [], files: [], said: expect.stringContaining('stopping') });
    // Nor was it waited for.
    expect(said).not.toContain(' loaded ');
    expect(readdirSync(join(cache, 'durable-runbooks')).filter((name) => name.startsWith('.unfinished') || name.startsWith('bench-'))).toEqual([]);
  } finally {
    rmSync(cache, { recursive: true, force: true });
  }
}, 3 * MINUTE);
