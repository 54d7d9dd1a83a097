import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** Set for the files of one run of the tests: where bundles lie that one of them has made and others can take. */
export const BUNDLES = 'TEST_BUNDLES_OF_THIS_RUN';

/** Called by vitest before the first file and, what it returns, after the last. */
export default function setup(): () => void {
  const directory = mkdtempSync(path.join(tmpdir(), 'bundles-'));
  process.env[BUNDLES] = directory;
  return () => rmSync(directory, { recursive: true, force: true });
}
