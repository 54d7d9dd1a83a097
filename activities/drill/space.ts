import { RecoveryFailure } from '../archive/recovery-failure.ts';
import { freeAt, makeRoom } from '../archive/room.ts';
import type { Drill } from './drill.ts';

/** What is left of the file system on which a drill lies; infinity where the drill is gone, since nothing can fill it there. */
export async function freeBytes(drill: Pick<Drill, 'directory'>): Promise<number> {
  return freeAt(drill.directory).catch(() => Number.POSITIVE_INFINITY);
}

/**
 * Replay needs space of its own: it may have to copy each segment once more, and what it writes makes tables grow. So does what
 * checks and an application do with the copy.
 */
export function notEnoughSpace(who: string, drill: Pick<Drill, 'directory' | 'reserveBytes'>, free: number): RecoveryFailure {
  const mib = (bytes: number) => `${Math.floor(bytes / 2 ** 20)} MiB`;
  return new RecoveryFailure('NOT_ENOUGH_SPACE', `${who} ran out of space: the file system of ${drill.directory} has ${mib(free)} free, and ${mib(drill.reserveBytes)} are to stay free; ${makeRoom('drills.directory')}. This says nothing about the backup.`);
}
