import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { findOnPath, searchPath } from '../archive/host-programs.ts';
import { lookAt } from '../archive/look-at.ts';

/** Longer than any tree takes; whoever it belongs to may have stopped the process that empties it. */
const EMPTYING_MS = 10 * 60_000;
/** What is written while it is removed is removed with the next attempt. */
const ATTEMPTS = 3;
/** A command takes so many at least, however long their paths are; each start of one takes milliseconds. */
const AT_ONCE = 100;

/**
 * Removes files and directories that may belong to the user of a restored server, of whose processes one may be left. That
 * one could exchange a directory for a link between two steps, which Node's `rm` follows. So a worker that is root first
 * lets that user empty what is his, who can do no more than he can anyway, and removes what is left with the system's
 * `rm`, which goes from directory to directory without following links. `marker` is what a successor finds it by, and ends
 * it; `refuse` is asked before each attempt, and throws where that is not to be removed any more.
 * @throws what keeps it from removing, or what aborted the signal
 */
export async function removeTrees(paths: readonly string[], { marker, signal, refuse }: { marker: { name: string; value: string }; signal?: AbortSignal | undefined; refuse?: (() => Promise<void>) | undefined }): Promise<void> {
  const us = process.getuid?.();
  const env = { PATH: searchPath() ?? '/usr/bin:/bin', LC_ALL: 'C', [marker.name]: marker.value };
  const run = (options: readonly string[], trees: readonly Tree[], user?: Tree) =>
    promisify(execFile)(findOnPath('rm') ?? 'rm', [...options, '--', ...trees.map(({ path }) => path)], { ...(user ? { uid: user.uid, gid: user.gid } : {}), env, cwd: '/', signal, killSignal: 'SIGKILL', timeout: EMPTYING_MS });
  for (let from = 0; from < paths.length; from += AT_ONCE) {
    const some = paths.slice(from, from + AT_ONCE);
    const found = await treesAt(some);
    // Who owns a tree cannot remove it itself: it lies in a directory of the worker's.
    const others = us === 0 ? found.filter(({ uid }) => uid !== us) : [];
    for (const trees of byOwner(others)) {
      signal?.throwIfAborted();
      await refuse?.();
      await run(['-rf', '--one-file-system'], trees, trees[0]).catch(() => undefined);
    }
    let left = await treesAt(some);
    for (let attempt = 1; left.length > 0; attempt += 1) {
      signal?.throwIfAborted();
      await refuse?.();
      await run(['-rf'], left).catch((error: Error) => {
        signal?.throwIfAborted();
        if (attempt >= ATTEMPTS) throw error;
      });
      left = await treesAt(left.map(({ path }) => path));
    }
  }
}

interface Tree { path: string; uid: number; gid: number }

function byOwner(trees: readonly Tree[]): Iterable<Tree[]> {
  const owners = new Map<string, Tree[]>();
  for (const tree of trees) {
    const owner = `${tree.uid}:${tree.gid}`;
    owners.set(owner, [...owners.get(owner) ?? [], tree]);
  }
  return owners.values();
}

/** Those that are there, and whose they are. */
async function treesAt(paths: readonly string[]): Promise<Tree[]> {
  const found = await Promise.all(paths.map(async (path) => ({ path, info: await lookAt(path) })));
  return found.flatMap(({ path, info }) => (info ? [{ path, uid: info.uid, gid: info.gid }] : []));
}
