import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { devNull } from 'node:os';
import { join } from 'node:path';
import { APPROVAL_NAMESPACE } from '../../contracts/approval.ts';
import { firstOf } from '../../contracts/whole-characters.ts';
import { inBriefDirectory } from './brief-directory.ts';
import type { VerifiedSignature } from './kernel-activities.ts';

/** A signature is verified in milliseconds; nothing of a gate waits longer for programs that hang. */
const LIMIT_MS = 10_000;

/**
 * Has `ssh-keygen` verify a signature over a statement, for our namespace and by one of the allowed signers. What
 * ssh-keygen says is the answer: times, namespaces and certificate authorities of the file count as in its manual.
 * Never throws: what goes wrong here concerns one decision, which anybody may have sent, and no run.
 */
export async function verifySignature({ statement, signature, allowedSigners, limitMs = LIMIT_MS }: { statement: string; signature: string; allowedSigners: string | undefined; limitMs?: number }): Promise<VerifiedSignature> {
  if (allowedSigners === undefined) return { refused: 'no signatures are taken here: the configuration names no approvals.allowedSigners' };
  try {
    return await verify(statement, signature, allowedSigners, sshKeygenWithin(limitMs));
  } catch (error) {
    return { refused: `signatures cannot be checked on this worker: ${(error as Error).message}` };
  }
}

/** So many programs at once: others on this host have work to do, too. */
const AT_ONCE = 4;

/** As {@link verifySignature}, for many. */
export async function verifySignatures(signed: readonly { statement: string; signature: string }[], allowedSigners: string | undefined): Promise<VerifiedSignature[]> {
  const verified: VerifiedSignature[] = [];
  while (verified.length < signed.length) {
    const next = signed.slice(verified.length, verified.length + AT_ONCE);
    verified.push(...await Promise.all(next.map((one) => verifySignature({ ...one, allowedSigners }))));
  }
  return verified;
}

/** Why no signature can be checked on this host, whatever it is over; null where they can. */
export async function whyNoSignatures(limitMs = LIMIT_MS): Promise<string | null> {
  try {
    // Of no signature, by no key: what is new enough says that there is none, and what is not does not know what is asked.
    const { stderr } = await sshKeygenWithin(limitMs)(['-Y', 'find-principals', '-s', devNull, '-f', devNull]);
    return /(unknown|illegal|invalid|unrecognized) option|unsupported operation/i.test(stderr) ? 'ssh-keygen is too old to verify signatures' : null;
  } catch (error) {
    return (error as Error).message;
  }
}

async function verify(statement: string, signature: string, allowedSigners: string, sshKeygen: ReturnType<typeof sshKeygenWithin>): Promise<VerifiedSignature> {
  return inBriefDirectory(async (directory) => {
    const file = join(directory, 'signature');
    await writeFile(file, signature, { mode: 0o600 });
    const found = await sshKeygen(['-Y', 'find-principals', '-s', file, '-f', allowedSigners]);
    const principals = found.stdout.split('\n').map((line) => line.trim()).filter((line) => line !== '');
    if (found.code !== 0 || principals.length === 0) return { refused: `its signature is by no key that the allowed-signers file lists${wordsOf(found)}` };
    const verified: string[] = [];
    let key = '';
    let last = found;
    for (const principal of principals.flatMap((names) => names.split(','))) {
      last = await sshKeygen(['-Y', 'verify', '-f', allowedSigners, '-I', principal, '-n', APPROVAL_NAMESPACE, '-s', file], statement);
      if (last.code !== 0) continue;
      verified.push(principal);
      key = / key (\S+)/.exec(last.stdout)?.[1] ?? key;
    }
    if (verified.length === 0) return { refused: `its signature is not for this: not over this decision at this gate of this run with this plan, or not for the namespace ${APPROVAL_NAMESPACE}${wordsOf(last)}` };
    return { refused: null, principals: verified, key };
  });
}

interface Ran { code: number; stdout: string; stderr: string }

function wordsOf({ stderr }: Ran): string {
  const [line = ''] = stderr.trim().split('\n');
  return line === '' ? '' : ` (ssh-keygen: ${firstOf(line, 200)})`;
}

/** Runs ssh-keygen, as often as needed, for so long in all. */
function sshKeygenWithin(ms: number) {
  const signal = AbortSignal.timeout(ms);
  return (args: readonly string[], input = ''): Promise<Ran> => new Promise((resolve, reject) => {
    const child = execFile('ssh-keygen', [...args], { signal, killSignal: 'SIGKILL', maxBuffer: 100_000 }, (error, stdout, stderr) => {
      if (signal.aborted) return reject(new Error(`ssh-keygen did not answer within ${ms / 1000} s`, { cause: error }));
      if (error && typeof error.code !== 'number') {
        const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
        return reject(missing ? new Error('ssh-keygen is not installed; install the OpenSSH client', { cause: error }) : error);
      }
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
    });
    // It may end before it has read what it was given.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}
