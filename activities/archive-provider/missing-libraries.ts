import { stat } from 'node:fs/promises';
import type { RecoveryPoint } from '../../contracts/recovery-point.ts';
import type { PostgresBinaries } from '../postgres/binaries.ts';
import { placesOfLibrary } from '../postgres/library-places.ts';

/** Every PostgreSQL has them: where they are not, that is not the directory of its libraries. */
const OF_EVERY_SERVER = ['$libdir/plpgsql', '$libdir/dict_snowball'];

/** Libraries that functions of the backup are in and this host surely lacks, each with the extension and its version that bring it. */
export async function missingLibraries({ databases }: Pick<RecoveryPoint, 'databases'>, { libDirectory }: Pick<PostgresBinaries, 'libDirectory'>, options: {
  /** Of the restored server. */
  searchPath: string | undefined;
  /** Extensions that are known to be missing: of their libraries, nothing more needs to be said. */
  without: readonly string[];
}): Promise<string[]> {
  const missing = new Set<string>();
  const lacks = async (file: string) => {
    const places = placesOfLibrary(file, libDirectory, options.searchPath);
    const found = await Promise.all(places.map(isMissing));
    return places.length > 0 && found.every(Boolean);
  };
  const isOther = (await Promise.all(OF_EVERY_SERVER.map(lacks))).every(Boolean);
  if (isOther) return [];
  for (const { libraries = [], extensions } of databases) {
    for (const { file, extension } of libraries) {
      if ((extension !== null && options.without.includes(extension)) || !(await lacks(file))) continue;
      const version = extensions?.find(({ name }) => name === extension)?.version;
      missing.add(extension === null ? file : `${file} (extension ${extension}${version === undefined ? '' : ` ${version}`})`);
    }
  }
  return [...missing].sort();
}

/** Whether surely no file is there: one that this user may not see need not be missing to the server. */
async function isMissing(place: string): Promise<boolean> {
  return stat(place).then((found) => found.isDirectory(), ({ code }: NodeJS.ErrnoException) => code === 'ENOENT' || code === 'ENOTDIR');
}
