import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fillAtomically } from '../../scripts/embedded/fill-atomically.ts';
import { cacheDirectory } from '../../workers/user-directories.ts';
import { TEMPORAL_CLI_VERSION, resolveTemporalCli } from '../../scripts/embedded/temporal-cli.ts';
import { TEST_SERVER_VERSION, resolveTimeSkippingServer } from '../../scripts/embedded/time-skipping.ts';

const log = () => undefined;
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'embedded-programs-'));
});

afterEach(() => rm(directory, { recursive: true, force: true }));

describe('resolveTemporalCli', () => {
  it('takes TEMPORAL_CLI_PATH before anything else', async () => {
    const path = await program('bin/my-temporal');
    const environment = { TEMPORAL_CLI_PATH: path, PATH: join(directory, 'bin'), XDG_CACHE_HOME: directory };
    expect(await resolveTemporalCli({ log, environment })).toEqual({ path, source: 'environment' });
  });

  it('refuses a TEMPORAL_CLI_PATH that cannot be executed instead of taking another one', async () => {
    const environment = { TEMPORAL_CLI_PATH: directory, PATH: directory };
    await expect(resolveTemporalCli({ log, environment })).rejects.toThrow(/TEMPORAL_CLI_PATH names .*not an executable file/);
  });

  it('does not take our own extensions or a directory of that name for the CLI', async () => {
    await program('bin/temporal-runbook');
    await mkdir(join(directory, 'bin/temporal'));
    const path = await program('later/temporal');
    const environment = { PATH: `${join(directory, 'bin')}:${join(directory, 'later')}` };
    expect(await resolveTemporalCli({ log, environment })).toEqual({ path, source: 'path' });
  });

  it('takes the cached copy when there is none on PATH', async () => {
    const path = await program(`durable-runbooks/temporal-cli-${TEMPORAL_CLI_VERSION}/temporal`);
    expect(await resolveTemporalCli({ log, environment: { PATH: '', XDG_CACHE_HOME: directory } })).toEqual({ path, source: 'cache' });
  });
});

describe('resolveTimeSkippingServer', () => {
  it('takes TEMPORAL_TEST_SERVER_PATH, then the cached copy', async () => {
    const named = await program('server');
    const cached = await program(`durable-runbooks/temporal-test-server-${TEST_SERVER_VERSION}/temporal-test-server`);
    const environment = { XDG_CACHE_HOME: directory };
    expect(await resolveTimeSkippingServer({ log, environment })).toEqual({ path: cached, source: 'cache' });
    expect(await resolveTimeSkippingServer({ log, environment: { ...environment, TEMPORAL_TEST_SERVER_PATH: named } })).toEqual({ path: named, source: 'environment' });
  });
});

describe('the cache', () => {
  it('treats an empty XDG_CACHE_HOME as unset', () => {
    expect(cacheDirectory({ XDG_CACHE_HOME: '' })).toMatch(/\.cache\/durable-runbooks$/);
  });

  it('shows nothing of a download that failed half-way', async () => {
    const failing = fillAtomically(join(directory, 'tool'), async (unfinished) => {
      await writeFile(join(unfinished, 'half'), '');
      throw new Error('line cut');
    });
    await expect(failing).rejects.toThrow('line cut');
    expect(await readdir(directory)).toEqual([]);
  });

  it('keeps the first result when two processes fill the same place', async () => {
    const fill = (name: string) => fillAtomically(join(directory, 'tool'), (unfinished) => writeFile(join(unfinished, name), ''));
    await fill('first');
    await fill('second');
    expect(await readdir(join(directory, 'tool'))).toEqual(['first']);
    expect(await readdir(directory)).toEqual(['tool']);
  });
});

describe('bootstrap', () => {
  it('says what it can run when it is asked for something else', async () => {
    const asked = promisify(execFile)(process.execPath, ['scripts/bootstrap.mjs', 'nonsense']);
    await expect(asked).rejects.toMatchObject({ code: 2, stderr: 'say what to run: node scripts/bootstrap.mjs demo|test|breadth|browser|faults|bench|soak\n' });
  });
});

async function program(path: string): Promise<string> {
  const file = join(directory, path);
  await mkdir(join(file, '..'), { recursive: true });
  await writeFile(file, '#!/bin/sh\n');
  await chmod(file, 0o755);
  return file;
}
