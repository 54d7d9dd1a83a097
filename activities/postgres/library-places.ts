import { isAbsolute, join } from 'node:path';

/** What PostgreSQL itself says for the directory of its libraries, in names of libraries and in dynamic_library_path. */
const OWN = '$libdir';
/** PostgreSQL tries a name as it is, and then with the ending that its platform has. */
const ENDINGS = ['', '.so', '.dylib'];

/**
 * The files one of which a server loads for a C function; none where that cannot be told. One that is named without a directory is
 * looked for along dynamic_library_path, and by PostgreSQL 18 also one that is named directly in its own.
 * @param file as `pg_proc.probin` has it
 * @param libDirectory the server's own
 * @param searchPath the server's dynamic_library_path
 */
export function placesOfLibrary(file: string, libDirectory: string, searchPath = OWN): string[] {
  const below = file.startsWith(`${OWN}/`) ? file.slice(OWN.length + 1) : undefined;
  const name = below ?? file;
  const isPlain = name !== '' && !name.includes('/') && !name.startsWith('$');
  const directories = [
    ...(below === undefined ? [] : [libDirectory]),
    ...(isPlain ? searchPath.split(':').map((directory) => (directory.startsWith(OWN) ? libDirectory + directory.slice(OWN.length) : directory)) : []),
  ];
  const places = isAbsolute(file) ? [file] : [...new Set(directories)].filter((directory) => isAbsolute(directory)).map((directory) => join(directory, name));
  return places.flatMap((place) => ENDINGS.map((ending) => place + ending));
}
