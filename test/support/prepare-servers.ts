#!/usr/bin/env node
/**
 * Gets the servers ready that only tests run, before the first of them: built in the middle, they would take both cores from
 * tests that measure time. Exits 0 even when one cannot be built: only the tests that need it fail, and they say why again.
 */
import { spawnSync } from 'node:child_process';
import { resolveAuthorizingServer } from './authorizing-server.ts';
import { resolveLabPython } from './aws-lab-python.ts';
import { resolveObjectServer } from './object-server.ts';

/** It says how it is used, and ends with an error, where it is there. @throws Error with what to install */
async function findSshKeygen(): Promise<string> {
  const { error } = spawnSync('ssh-keygen', ['-?'], { stdio: 'ignore' });
  if (error) throw new Error(`${error.message}; install OpenSSH's client (on Debian and Ubuntu, apt-get install openssh-client): approvals are signed with it`);
  return 'on PATH';
}

const log = (line: string) => process.stdout.write(`  ${line}\n`);

for (const [name, resolve] of [['Temporal server that asks who calls', resolveAuthorizingServer], ['S3 server', resolveObjectServer], ['Python of the AWS lab', resolveLabPython], ['ssh-keygen', findSshKeygen]] as const) {
  log(`${name}: ${await resolve(log).catch((error: Error) => `MISSING: ${error.message}`)}`);
}
