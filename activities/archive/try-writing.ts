import { mkdir, rmdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { RecoveryFailure } from './recovery-failure.ts';

/** What the system says where this user may not write. All else, such as a full disk, is no matter of the directory, and may pass. */
const CLOSED = new Set<string | undefined>(['EACCES', 'EPERM', 'ENOTDIR', 'EROFS']);
/** The same for all: who dies before it is removed leaves one at most, which the next one removes. */
const PROBE = '.runbook-probe';

/** Why nothing can be made in a directory, and what to do about it. */
export interface ClosedDirectory { problem: string; remedy: string }

/**
 * Makes and removes a directory in each of these, or in the nearest above it that is there: access() says yes to root on a
 * read-only file system, only trying tells. Returns what is wrong with the first that is closed to this user; undefined for none.
 * Throws what the system says otherwise, such as that the disk is full.
 */
export async function tryWriting(directories: readonly string[], setting: string): Promise<ClosedDirectory | undefined> {
  for (const directory of directories) {
    const existing = await nearestExisting(directory);
    const probe = join(existing, PROBE);
    try {
      await mkdir(probe, { mode: 0o700 }).catch(unless('EEXIST'));
      // Another one who tries may have removed it.
      await rmdir(probe).catch(unless('ENOENT'));
    } catch (error) {
      if (!isClosed(error)) throw error;
      return describe({ directory, existing, setting, error });
    }
  }
  return undefined;
}

/** The same as a sentence. */
export function inWords({ problem, remedy }: ClosedDirectory): string {
  return `${problem}; ${remedy}`;
}

/**
 * Makes a place in a directory, and that one where it is not there; a place that is there already stays.
 * @throws RecoveryFailure `UNFIT_HOST`, which names the setting, where the directory is closed to this user
 */
export async function makePlace(directory: string, place: string, { mode, setting }: { mode: number; setting: string }): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode });
    await mkdir(place, { mode }).catch(unless('EEXIST'));
  } catch (error) {
    // What mkdir says of a file that lies where a directory is to be.
    if (!isClosed(error) && (error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new RecoveryFailure('UNFIT_HOST', inWords(describe({ directory, existing: await nearestExisting(directory), setting, error: error as Error })), { cause: error });
  }
}

/** The directory itself, or the nearest above it that is there. */
export async function nearestExisting(path: string): Promise<string> {
  const isThere = await stat(path).then(() => true, () => false);
  return isThere || path === dirname(path) ? path : nearestExisting(dirname(path));
}

function isClosed(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && CLOSED.has((error as NodeJS.ErrnoException).code);
}

function describe({ directory, existing, setting, error }: { directory: string; existing: string; setting: string; error: Error }): ClosedDirectory {
  return { problem: `${directory} cannot be written: ${error.message}`, remedy: `give this user write permission on ${existing}, or change ${setting}` };
}

function unless(code: string): (error: NodeJS.ErrnoException) => void {
  return (error) => {
    if (error.code !== code) throw error;
  };
}
