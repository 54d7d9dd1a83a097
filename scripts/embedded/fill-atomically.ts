import { access, constants, mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/**
 * Lets `fill` write into a fresh directory and then puts that in place as `destination` in one step, so that nobody ever
 * finds half of it. When another process was first, its result stays.
 */
export async function fillAtomically(destination: string, fill: (directory: string) => Promise<void>): Promise<void> {
  await mkdir(dirname(destination), { recursive: true });
  const unfinished = await mkdtemp(join(dirname(destination), '.unfinished-'));
  try {
    await fill(unfinished);
    await rename(unfinished, destination).catch(async (error: unknown) => {
      // A directory that is already there and not empty: the other one won.
      if (!['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    });
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

/** True when `path` is a file that this process may execute. */
export async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    // Absent, a broken link or not permitted: either way nothing to execute.
    return false;
  }
}
