import { open, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { unreadable } from './unreadable.ts';

/** Milliseconds between two looks at what was overtaken. */
const LOOK_MS = 250;

/** A file of the archive, as it was when it was looked at. */
export interface SeenFile { name: string; size: number; archivedAt: Date }

/**
 * When a file came to lie in the archive. `cp -p` and `rsync -a` give it the modification time of what they copied, which
 * is older; the time of its last change of state (creation, renaming) nobody can set. Whatever touches the file later
 * (chmod, another hard link) makes it look late, which never makes a loss look smaller.
 */
export function arrival({ mtime, ctime }: { mtime: Date; ctime: Date }): Date {
  return mtime > ctime ? mtime : ctime;
}

/** When the first of some files came, in milliseconds of this host's clock; now, where none has yet. Of however many: a call takes some hundred thousand arguments at most. */
export function firstArrival(files: readonly Pick<SeenFile, 'archivedAt'>[]): number {
  return files.reduce((first, { archivedAt }) => Math.min(first, archivedAt.getTime()), Date.now());
}

/**
 * What a file is now, or undefined where it went: opening it makes NFS ask its server, which a look at the path may not.
 * @throws RecoveryFailure `UNREADABLE`
 */
export async function lookAnew(path: string): Promise<Omit<SeenFile, 'name'> | undefined> {
  try {
    const file = await open(path);
    const info = await file.stat().finally(() => file.close());
    return { size: info.size, archivedAt: arrival(info) };
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unreadable(path, cause as NodeJS.ErrnoException, [basename(path)]);
  }
}

/** Whether anybody has written or touched a file between two looks, or moved it there or away. */
export function isSame(one: Omit<SeenFile, 'name'> | undefined, other: Omit<SeenFile, 'name'> | undefined): boolean {
  return one?.size === other?.size && one?.archivedAt.getTime() === other?.archivedAt.getTime();
}

/**
 * Looks again at files that are missing in a directory, or short, until each has come, or grown, or that instant is over.
 * @returns those that did, as they are then
 */
export async function awaitOvertaken(directory: string, files: readonly { name: string; before: SeenFile | undefined }[], untilMs: number): Promise<SeenFile[]> {
  const came = new Map<string, SeenFile>();
  while (came.size < files.length && Date.now() < untilMs) {
    await sleep(LOOK_MS);
    // Opening the directory makes NFS ask its server, which remembers what was not there, too.
    const names = new Set(await readdir(directory));
    for (const { name, before } of files) {
      const now = names.has(name) && !came.has(name) ? await lookAnew(join(directory, name)) : undefined;
      if (now && !isSame(now, before)) came.set(name, { name, ...now });
    }
  }
  return [...came.values()];
}
