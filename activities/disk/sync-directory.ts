import { open } from 'node:fs/promises';

/** Brings to the disk what a directory says of the names in it: that a file was made or renamed survives a power cut only then. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  await directory.sync().finally(() => directory.close());
}
