import { readlink, realpath } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { lookAt } from '../archive/look-at.ts';
import { RecoveryFailure } from '../archive/recovery-failure.ts';

const WRITABLE_BY_OTHERS = 0o022;
const STICKY = 0o1000;

/** What to do about a directory that {@link openToOthers} says something of. */
export const CLOSE_DRILLS = 'take that right away (chmod go-w), or set drills.directory to a directory elsewhere';

/**
 * Who else could exchange a directory, or what lies in it, for a link to something else while we make or remove files
 * there: in words, or undefined for nobody. It and all above it must be this user's or root's and closed to others; above
 * it a sticky bit will do, with which only owners rename. What is not there yet is passed over.
 */
export async function openToOthers(directory: string): Promise<string | undefined> {
  const us = process.getuid?.();
  return us === undefined ? undefined : lookUpwards(directory, us, false);
}

/**
 * For wherever a place is opened, closed or looked for.
 * @throws RecoveryFailure `UNSAFE_PATH` where {@link openToOthers} finds somebody
 */
export async function refuseOpenToOthers(directory: string): Promise<void> {
  const open = await openToOthers(directory);
  if (open !== undefined) throw new RecoveryFailure('UNSAFE_PATH', `${open}; ${CLOSE_DRILLS}.`);
}

async function lookUpwards(start: string, us: number, mayBeSticky: boolean): Promise<string | undefined> {
  for (let at = resolve(start); ; at = dirname(at)) {
    const stickyWillDo = mayBeSticky || at !== resolve(start);
    const info = await lookAt(at);
    if (info && info.uid !== us && info.uid !== 0) return `${at} belongs to another user (${info.uid}), who could lead a drill's files elsewhere`;
    if (info?.isSymbolicLink()) {
      const open = await lookUpwards(await targetOf(at), us, stickyWillDo);
      if (open !== undefined) return open;
    } else if (info && (info.mode & WRITABLE_BY_OTHERS) !== 0 && !(stickyWillDo && (info.mode & STICKY) !== 0)) {
      return `others may write to ${at}, and could lead a drill's files elsewhere`;
    }
    if (dirname(at) === at) return undefined;
  }
}

/** Where a link leads, be it nowhere. Throws for one that leads in a circle. */
async function targetOf(link: string): Promise<string> {
  await realpath(link).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  // From where the link really lies: what is above it may be a link itself, and `..` leads up from the far end of that.
  return resolve(await realpath(dirname(link)), await readlink(link));
}
