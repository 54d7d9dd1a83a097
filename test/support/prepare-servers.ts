#!/usr/bin/env node
/**
 * Gets the servers ready that only tests run, before the first of them: built in the middle, they would take both cores from
 * tests that measure time. Says what else they need, too. Exits 0 even when something is missing: only the tests that need it
 * fail, or are skipped, and they say why again.
 */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resolveAuthorizingServer } from './authorizing-server.ts';
import { resolveLabPython } from './aws-lab-python.ts';
import { resolveObjectServer } from './object-server.ts';
import { skewedClock } from './skewed-clock.ts';

/** It says how it is used, and ends with an error, where it is there. @throws Error with what to install */
async function findSshKeygen(): Promise<string> {
  const { error } = spawnSync('ssh-keygen', ['-?'], { stdio: 'ignore' });
  if (error) throw new Error(`${error.message}; install OpenSSH's client (on Debian and Ubuntu, apt-get install openssh-client): approvals are signed with it`);
  return 'on PATH';
}

/** Builds what they will build: a compiler without the headers of libc is not enough. @throws Error with what to install */
async function tryCompiler(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'cc-'));
  try {
    if (await skewedClock(directory, 0) === undefined) throw new Error('cc builds nothing; install a C compiler and the headers of libc (on Debian and Ubuntu, apt-get install gcc libc6-dev): what skews a clock, of the source or of the host, is skipped');
    return 'cc';
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** @throws Error with what others do not test */
async function beRoot(): Promise<string> {
  if (process.getuid?.() !== 0) throw new Error('this user is not root: what takes on another user, mounts a small file system or writes as a hostile copy would, of isolation, survivors and full disks, is skipped');
  return 'this user';
}

const log = (line: string) => process.stdout.write(`  ${line}\n`);

for (const [name, resolve] of [['Temporal server that asks who calls', resolveAuthorizingServer], ['S3 server', resolveObjectServer], ['Python of the AWS lab', resolveLabPython], ['ssh-keygen', findSshKeygen], ['C compiler', tryCompiler], ['root', beRoot]] as const) {
  log(`${name}: ${await resolve(log).catch((error: Error) => `MISSING: ${error.message}`)}`);
}
