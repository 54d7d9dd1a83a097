import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { findOnPath } from '../archive/copy-files.ts';
import { lookAt } from '../archive/look-at.ts';

/** Longer than any tree takes; whoever it belongs to may have stopped the process that empties it. */
const EMPTYING_MS = 10 * 60_000;
/** What is written while it is removed is removed with the next attempt. */
const ATTEMPTS = 3;

/**
 * Removes files and directories that may belong to the user of a restored server, of whose processes one may be left. That
 * one could exchange a directory for a link between two steps, which Node's `rm` follows. So a worker that is root first
 * lets that user empty what is his, who can do no more than he can anyway, and removes what is left with the system's
 * `rm`, which goes from directory to directory without following links. `marker` is what a successor finds it by.
 * @throws what keeps it from removing, or what aborted the signal
 */
export async function removeTrees(paths: readonly string[], { marker, signal }: { marker: { name: string; value: string }; signal?: AbortSignal | undefined }): Promise<void> {
  const us = process.getuid?.();
  const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C', [marker.name]: marker.value };
  const run = (options: readonly string[], path: string, user: { uid?: number; gid?: number } = {}) =>
    promisify(execFile)(findOnPath('rm') ?? 'rm', [...options, '--', path], { ...user, env, cwd: '/', signal, killSignal: 'SIGKILL', timeout: EMPTYING_MS });
  for (const path of paths) {
    signal?.throwIfAborted();
    const info = await lookAt(path);
    if (!info) continue;
    // It cannot remove the tree itself, which lies in a directory of the worker's.
    if (us === 0 && info.uid !== us) await run(['-rf', '--one-file-system'], path, { uid: info.uid, gid: info.gid }).catch(() => undefined);
    for (let attempt = 1; await lookAt(path); attempt += 1) {
      signal?.throwIfAborted();
      await run(['-rf'], path).catch((error: Error) => {
        signal?.throwIfAborted();
        if (attempt === ATTEMPTS) throw error;
      });
    }
  }
}
