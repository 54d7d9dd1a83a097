import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { findPostgres } from '../../activities/postgres/binaries.ts';
import { startAwsLab, type AwsLab } from '../support/aws-lab.ts';
import { LAB_DIRECTORY, resolveLabPython } from '../support/aws-lab-python.ts';
import { createSource, rdsClient } from '../support/aws-lab-rds.ts';

const started: AwsLab[] = [];

afterEach(() => Promise.all(started.splice(0).map((lab) => lab.stop({ tolerateUnimplemented: true }))));

async function labWithServer(): Promise<{ lab: AwsLab; pids: number[]; folder: string }> {
  const lab = await startAwsLab();
  started.push(lab);
  await createSource(rdsClient(lab), 'source');
  const [server] = await lab.control.servers();
  return { lab, pids: [lab.pid, server!.pid], folder: server!.dataDirectory.split(path.sep).slice(0, -3).join(path.sep) };
}

const lives = (pid: number): boolean => { try { process.kill(pid, 0); return true; } catch { return false; } };

async function untilLeftNothing(pids: readonly number[], folder: string): Promise<void> {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline; await sleep(50)) if (!pids.some(lives) && !existsSync(folder)) return;
  throw new Error(`left: ${pids.filter(lives).join(', ')} ${existsSync(folder) ? folder : ''}`);
}

describe('an AWS lab leaves no process and no folder', () => {
  it('when it is killed by kill -9', async () => {
    const { lab, pids, folder } = await labWithServer();
    process.kill(lab.pid, 'SIGKILL');
    await expect(untilLeftNothing(pids, folder)).resolves.toBeUndefined();
  });

  it('when the process that started it is killed by kill -9', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'aws-lab-orphan-'));
    const { binDirectory, runAs } = await findPostgres();
    const command = [await resolveLabPython(() => undefined), '-B', LAB_DIRECTORY, '--directory', folder, '--postgres-bin', binDirectory, ...(runAs ? ['--run-as', `${runAs.uid}:${runAs.gid}`] : [])];
    const parent = spawn(process.execPath, ['-e', `require('child_process').spawn(process.argv[1], process.argv.slice(2), { stdio: ['pipe', 'inherit', 'inherit'], detached: true })`, ...command], { stdio: ['ignore', 'pipe', 'inherit'] });
    const lines = createInterface({ input: parent.stdout });
    const [line] = (await once(lines, 'line')) as [string];
    lines.close();
    const { pid } = JSON.parse(line) as { pid: number };
    try {
      expect(lives(pid)).toBe(true);
      parent.kill('SIGKILL');
      await expect(untilLeftNothing([pid], folder)).resolves.toBeUndefined();
    } finally {
      if (lives(pid)) process.kill(pid);
    }
  });

  it('when it cannot start', async () => {
    const temporary = await mkdtemp(path.join(tmpdir(), 'aws-lab-broken-'));
    const before = process.env['TMPDIR'];
    process.env['TMPDIR'] = temporary;
    process.env['TEST_POSTGRES_BIN'] = temporary;
    try {
      await expect(startAwsLab()).rejects.toThrow(/no PostgreSQL server in/);
    } finally {
      delete process.env['TEST_POSTGRES_BIN'];
      if (before === undefined) delete process.env['TMPDIR']; else process.env['TMPDIR'] = before;
    }
    expect(readdirSync(temporary)).toEqual([]);
    await rm(temporary, { recursive: true });
  });
});

describe('the Python of the AWS lab', () => {
  it('is named when there is none', async () => {
    const empty = await mkdtemp(path.join(tmpdir(), 'aws-lab-no-python-'));
    await expect(resolveLabPython(() => undefined, { PATH: empty, XDG_CACHE_HOME: empty })).rejects.toThrow(/needs Python 3\.10 or newer with venv, and none was found: install it/);
    await rm(empty, { recursive: true });
  });

  it('says where it is being installed and what is missing, and leaves nothing half done', async () => {
    const place = await mkdtemp(path.join(tmpdir(), 'aws-lab-cache-'));
    // As Debian's without its package python3-venv.
    const python = path.join(place, 'python');
    await writeFile(python, '#!/bin/sh\n[ "$1" = -c ] && { echo 3.11; exit 0; }\necho "ensurepip is not available" >&2; exit 1\n', { mode: 0o755 });
    const said: string[] = [];
    await expect(resolveLabPython((line) => said.push(line), { PATH: process.env['PATH'], XDG_CACHE_HOME: place, AWS_LAB_PYTHON: python }))
      .rejects.toThrow(/Python has no venv: install it .*python3-venv\)\nensurepip is not available/);
    expect(said.join()).toContain('installing moto for the AWS lab');
    expect(readdirSync(path.join(place, 'durable-runbooks'))).toEqual([]);
    await rm(place, { recursive: true });
  });
});
