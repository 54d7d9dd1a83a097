import { constants } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncDirectory } from '../disk/sync-directory.ts';

/** Ends the name under which a file is written before it gets its own. */
export const PART = '.part';

/** Writes a small file, readable by its owner only, so that after a crash or a power cut it is whole, or as it was before. */
export async function writeDurably(path: string, text: string): Promise<void> {
  // Through no link: somebody else may have put one there.
  const part = await open(`${path}${PART}`, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW, 0o600);
  try {
    await part.writeFile(text);
    await part.sync();
  } finally {
    await part.close();
  }
  await rename(`${path}${PART}`, path);
  // The name lies in the directory.
  await syncDirectory(dirname(path));
}
