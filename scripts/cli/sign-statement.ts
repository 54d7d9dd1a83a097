import { execFile } from 'node:child_process';
import { APPROVAL_NAMESPACE } from '../../contracts/approval.ts';
import { CommandError, EXIT } from './exit.ts';

/**
 * Has `ssh-keygen` sign a statement with a key, which may ask for its passphrase, or for a touch, on the terminal. `key`: a
 * private key's file, or a public one's whose private key an agent holds.
 */
export async function signStatement(key: string, statement: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile('ssh-keygen', ['-Y', 'sign', '-f', key, '-n', APPROVAL_NAMESPACE], (error, stdout, stderr) => {
      if (!error) return resolve(stdout);
      const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
      reject(new CommandError(EXIT.usage, missing ? 'ssh-keygen is not installed here, which signs with SSH keys; install the OpenSSH client' : `ssh-keygen did not sign with ${key}: ${stderr.trim().split('\n')[0] ?? error.message}`, { cause: error }));
    });
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(statement);
  });
}
