import { readFile } from 'node:fs/promises';
import { manifestSchema, type Manifest } from '../../contracts/manifest.ts';
import { RecoveryFailure } from '../archive/recovery-failure.ts';

/** Reads a manifest; undefined when there is none. Throws `BACKUP_DAMAGED` when it cannot be read as one. */
export async function findManifest(file: string): Promise<Manifest | undefined> {
  try {
    return await readManifest(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new RecoveryFailure('BACKUP_DAMAGED', `${file} is not a manifest that can be read: ${(error as Error).message}`, { files: ['manifest.json'], cause: error });
  }
}

export async function readManifest(file: string): Promise<Manifest> {
  return manifestSchema.parse(JSON.parse(await readFile(file, 'utf8')));
}
