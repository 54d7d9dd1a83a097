import type { Stats } from 'node:fs';
import { lstat } from 'node:fs/promises';

/**
 * What is at a path itself, be it a link to nowhere; undefined where nothing is.
 * @throws what kept it from looking, such as EIO or ESTALE: that says nothing about absence
 */
export async function lookAt(path: string): Promise<Stats | undefined> {
  return lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error;
    return undefined;
  });
}
