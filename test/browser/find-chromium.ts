import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** What to do where {@link findChromium} finds nothing. */
export const CHROMIUM_MISSING = 'no Chromium was found: install one (Debian: apt-get install chromium), or let CHROMIUM name its program';

/**
 * Path of a Chromium or Chrome: the variable CHROMIUM, or else the first one on PATH. A program that CHROMIUM names
 * and that is not there counts as none, so that no other browser is taken unnoticed.
 */
export function findChromium(environment: NodeJS.ProcessEnv = process.env): string | undefined {
  const chosen = environment['CHROMIUM'];
  if (chosen) return isProgram(chosen) ? chosen : undefined;
  const folders = [...(environment['PATH'] ?? '').split(delimiter), '/usr/bin'].filter((folder) => folder !== '');
  return folders.flatMap((folder) => NAMES.map((name) => join(folder, name))).find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
