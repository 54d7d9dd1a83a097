import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where this host's programs lie, in the form of PATH; undefined where nobody says. */
export function searchPath(): string | undefined {
  return process.env['PATH'];
}

/** What the database server's programs get of our environment: how they are found. All else may be passwords, and PG* variables that lead to production. */
export function serverEnvironment(): Record<string, string> {
  const libraries = process.env['LD_LIBRARY_PATH'] || undefined;
  return { PATH: searchPath() ?? '/usr/bin:/bin', ...(libraries === undefined ? {} : { LD_LIBRARY_PATH: libraries }) };
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
