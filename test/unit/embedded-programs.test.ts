import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fillAtomically } from '../../scripts/embedded/fill-atomically.ts';
import { cacheDirectory } from '../../workers/user-directories.ts';
import { TEMPORAL_CLI_VERSION, resolveTemporalCli } from '../../scripts/embedded/temporal-cli.ts';
import { TEST_SERVER_VERSION, resolveTimeSkippingServer } from '../../scripts/embedded/time-skipping.ts';

const log = () => undefined;
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'embedded-programs-'));
});

afterEach(async () => {
  vi.unstubAllGlobals();
  await rm(directory, { recursive: true, force: true });
});

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

  it.each([
    ['1.5.1', 'temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)', 'is Temporal CLI 1.5.1, and 1.6 or newer is needed'],
    ['0.11.0, in the words of that time', 'temporal version 0.11.0 (server 1.22.4) (ui 2.21.3)', 'is Temporal CLI 0.11.0, and 1.6 or newer is needed'],
    ['nothing', '', 'does not say its version'],
    ['something else', 'temporal: a program about time', 'does not say its version'],
  ])('passes over one on PATH that says %s, and says so', async (_what, said, because) => {
    const [passedOver, path] = [await program('bin/temporal', said), await program('later/temporal', 'temporal version 1.6.0 (Server 1.30.0, UI 2.45.0)')];
    const environment = { PATH: `${join(directory, 'bin')}:${join(directory, 'later')}` };
    expect(await resolveLogged(environment)).toEqual({ path, source: 'path', lines: [`passing over ${passedOver}, which ${because}`] });
  });

  it.each(['temporal version 2.0.0 (Server 2.0.0, UI 3.0.0)', 'temporal version 1.10.0 (Server 1.31.2, UI 2.50.1)', 'a new release is out\ntemporal version 1.6.0', 'temporal version 0.0.0-DEV (Server 1.31.2, UI 2.50.1)'])('takes one on PATH that says %j', async (said) => {
    const path = await program('bin/temporal', said);
    expect(await resolveLogged({ PATH: join(directory, 'bin') })).toEqual({ path, source: 'path', lines: [] });
  });

  it.each([['fails', 'exit 3', undefined, 'it ended with 3'], ['does not answer in time', 'exec /bin/sleep 600', 300, 'no answer within 0.3 s']])('passes over one on PATH that %s', async (_what, text, versionMs, because) => {
    const cached = await program(`durable-runbooks/temporal-cli-${TEMPORAL_CLI_VERSION}/temporal`);
    const path = await script('bin/temporal', text);
    expect(await resolveLogged({ PATH: join(directory, 'bin'), XDG_CACHE_HOME: directory }, versionMs)).toEqual({ path: cached, source: 'cache', lines: [`passing over ${path}, which does not say its version (${because})`] });
  });

  it('takes what TEMPORAL_CLI_PATH names although it is too old, and says so', async () => {
    const path = await program('old', 'temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)');
    expect(await resolveLogged({ TEMPORAL_CLI_PATH: path, PATH: '' })).toEqual({ path, source: 'environment', lines: [
      `TEMPORAL_CLI_PATH names ${path}, which is Temporal CLI 1.5.1, and 1.6 or newer is needed; it is used all the same, and \`temporal runbook\` may not work`,
    ] });
  });

  it('names the oldest that will do where it finds none and can make none', async () => {
    vi.stubGlobal('fetch', () => Promise.reject(new Error('no network in this test')));
    await program('bin/temporal', 'temporal version 1.5.1');
    const environment = { PATH: join(directory, 'bin'), XDG_CACHE_HOME: join(directory, 'empty') };
    await expect(resolveTemporalCli({ log, environment })).rejects.toThrow(/^no Temporal CLI: none that will do is on PATH, .*; install the Temporal CLI, 1\.6 or newer, so that/);
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

/** What was found, and what was said on the way. */
async function resolveLogged(environment: NodeJS.ProcessEnv, versionMs?: number) {
  const lines: string[] = [];
  return { ...await resolveTemporalCli({ log: (line) => lines.push(line), environment, ...(versionMs === undefined ? {} : { versionMs }) }), lines };
}

/** A program that says something, and else does nothing. */
function program(path: string, says = 'temporal version 1.8.2 (Server 1.31.2, UI 2.50.1)'): Promise<string> {
  return script(path, `printf '%s\\n' '${says}'`);
}

async function script(path: string, text: string): Promise<string> {
  const file = join(directory, path);
  await mkdir(join(file, '..'), { recursive: true });
  await writeFile(file, `#!/bin/sh\n${text}\n`);
  await chmod(file, 0o755);
  return file;
}
