import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** As fast as one call for the whole file system, from here on; and fewer than the threads that Node has for all files of this process. */
const AT_ONCE = 3;

/**
 * Brings a directory and all in it to the disk, file by file: `sync -f` would bring all that lies on the file system, and
 * where that holds production's data too, its own writes would wait meanwhile.
 * @throws what aborted `signal`
 */
export async function syncTree(directory: string, signal?: AbortSignal): Promise<void> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = [...entries.filter((entry) => !entry.isSymbolicLink()).map((entry) => join(entry.parentPath, entry.name)), directory];
  const left = paths.values();
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (const path of left) {
      signal?.throwIfAborted();
      const file = await open(path, 'r');
      await file.sync().finally(() => file.close());
    }
  }));
}
