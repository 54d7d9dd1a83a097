import { statfs } from 'node:fs/promises';
import { type ClosedDirectory, nearestExisting } from './try-writing.ts';

/** Settings that say on which file system something is made. */
export type PlaceSetting = 'drills.directory' | 'provider.repository';

/** What to do where a file system has too little room, of which `drills.reserve` has to stay free. */
export function makeRoom(setting: PlaceSetting): string {
  return `free some, set ${setting} to a larger file system, or lower drills.reserve`;
}

/** What is left of the file system of what is there, for who is not root, in bytes. */
export async function freeAt(existing: string): Promise<number> {
  const { bavail, bsize } = await statfs(existing);
  return bavail * bsize;
}

/** What a backup's file system lacks for so many bytes beside those that are to stay free; undefined where it has room. */
export async function lackOfRoom(directory: string, { bytes, reserve }: { bytes: number; reserve: number }): Promise<ClosedDirectory | undefined> {
  const free = await freeAt(await nearestExisting(directory));
  if (free >= bytes + reserve) return undefined;
  const mib = (count: number) => `${Math.ceil(count / 2 ** 20)} MiB`;
  return { problem: `${directory} has ${mib(free)} free and the backup needs ${mib(bytes + reserve)} (${mib(bytes)} to copy, and a reserve of ${mib(reserve)})`, remedy: makeRoom('provider.repository') };
}
