import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { verifySignature } from '../../activities/kernel/verify-signature.ts';

/** A host whose ssh-keygen is what a test puts there; real ones are in forged-approvals.test.ts. */
let host: string;
beforeEach(async () => {
  host = await mkdtemp(path.join(tmpdir(), 'no-ssh-'));
  vi.stubEnv('PATH', host);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(host, { recursive: true, force: true });
});
const verify = () => verifySignature({ statement: 'x', signature: 'x', allowedSigners: path.join(host, 'signers'), limitMs: 500 });
const install = async (script: string) => {
  await writeFile(path.join(host, 'ssh-keygen'), `#!/bin/sh\n${script}\n`);
  await chmod(path.join(host, 'ssh-keygen'), 0o755);
};

it('is refused, and ends nothing else, where ssh-keygen is not installed', async () => {
  expect(await verify()).toEqual({ refused: 'signatures cannot be checked on this worker: ssh-keygen is not installed; install the OpenSSH client' });
});
it('is refused where ssh-keygen does not answer, however many names there are to ask it about', async () => {
  await install('trap "" TERM; exec /bin/sleep 20');
  const startedAtMs = Date.now();
  expect(await verify()).toEqual({ refused: 'signatures cannot be checked on this worker: ssh-keygen did not answer within 0.5 s' });
  await install('case $2 in find-principals) echo a,b,c,d,e,f,g,h ;; *) /bin/sleep 0.2; exit 1 ;; esac');
  expect(await verify()).toEqual({ refused: 'signatures cannot be checked on this worker: ssh-keygen did not answer within 0.5 s' });
  expect(Date.now() - startedAtMs).toBeLessThan(5_000);
});
it('is refused where there is no place for a temporary file', async () => {
  vi.stubEnv('TMPDIR', path.join(host, 'nowhere'));
  expect(await verify()).toEqual({ refused: expect.stringMatching(/^signatures cannot be checked on this worker: ENOENT/) as string });
});
