import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where this host's programs lie, in the form of PATH; undefined where nobody says. */
export function searchPath(): string | undefined {
  return process.env['PATH'];
}

/** Where this host's programs find libraries beside the usual places; undefined mostly. */
export function libraryPath(): string | undefined {
  return process.env['LD_LIBRARY_PATH'] || undefined;
}

/** The full path of a program, or `undefined` where this host has none. */
export function findOnPath(name: string): string | undefined {
  for (const directory of (searchPath() ?? '').split(delimiter)) {
    const path = join(directory, name);
    try {
      if (directory !== '') {
        accessSync(path, constants.X_OK);
        return path;
      }
    } catch {
      // Not in this one.
    }
  }
  return undefined;
}
