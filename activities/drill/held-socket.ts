import { link, lstat, mkdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { lookAt } from '../archive/look-at.ts';
import { RecoveryFailure } from '../archive/recovery-failure.ts';

/** A socket under a name that those who can write to its own directory cannot exchange. */
export interface HeldSocket {
  /** The directory in which it lies, under its own name: what clients call the host. */
  host: string;
  /** Why it may have led elsewhere since, in words; undefined where it did not. */
  moved: () => Promise<string | undefined>;
}

/** What the system says where it makes no second name of a socket: the file system has none, or not for us. */
const NO_LINKS = new Set(['EPERM', 'EACCES', 'EXDEV', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);

/**
 * Gives a socket a second name in a directory that only this user may write. That stands for the socket itself, so what
 * is put under the first name later changes nothing. What was put there before gets the second name, be it a link: whose
 * it is, is for the caller to ask. Where there is no second name to be had, or the other user is this one, from whom nothing
 * can be kept, it is seen afterwards that it was exchanged.
 *
 * A second call leaves what is good as it is, so that an attempt which was believed dead does not disturb its successor.
 * @throws RecoveryFailure `NOT_OUR_DRILL` where the directory is somebody else's
 */
export async function holdSocket(socket: string, directory: string): Promise<HeldSocket> {
  const file = join(directory, basename(socket));
  await mkdir(directory, { mode: 0o700 }).catch(unless('EEXIST'));
  const place = await lstat(directory);
  if (!place.isDirectory() || place.uid !== process.getuid?.() || (place.mode & 0o077) !== 0) throw new RecoveryFailure('NOT_OUR_DRILL', `${directory} is no directory that only this worker may use.`);
  const original = await lookAt(socket);
  const before = await lookAt(file);
  if (before && !(original && isSame(before, original))) await rm(file, { force: true });
  // Never what a link leads to, but the link.
  const isHeld = await link(socket, file).then(() => true, (error: NodeJS.ErrnoException) => {
    if (error.code === 'EEXIST' || error.code === 'ENOENT') return true;
    if (!NO_LINKS.has(error.code ?? '')) throw error;
    return false;
  });
  const held = isHeld ? file : socket;
  const first = await stateOf(held);
  return {
    host: dirname(held),
    async moved() {
      const now = await stateOf(held);
      return now === first ? undefined : `${held} is not what it was, or was something else meanwhile`;
    },
  };
}

/** Which socket it is, in which directory, and when the directory was last changed, which nobody can set: also what was put back is seen. */
async function stateOf(file: string): Promise<string> {
  const [entry, place] = await Promise.all([file, dirname(file)].map((path) => lstat(path, { bigint: true }).catch(unless('ENOENT'))));
  return [entry?.dev, entry?.ino, place?.dev, place?.ino, place?.ctimeNs].join(':');
}

function isSame(one: { dev: number; ino: number }, other: { dev: number; ino: number }): boolean {
  return one.dev === other.dev && one.ino === other.ino;
}

function unless(code: string): (error: NodeJS.ErrnoException) => undefined {
  return (error) => {
    if (error.code !== code) throw error;
    return undefined;
  };
}
