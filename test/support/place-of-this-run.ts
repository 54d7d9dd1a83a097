import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { choosingVariables, NO_PROFILE } from '../../scripts/embedded/own-server-environment.ts';

/** Set for the files of one run of the tests: where bundles lie that one of them has made and others can take. */
export const BUNDLES = 'TEST_BUNDLES_OF_THIS_RUN';

/**
 * Called by vitest before the first file and, what it returns, after the last. Files share processes, which are killed in the end: what they
 * make lies in one directory, of which nothing stays.
 */
export default function setup(): () => void {
  // Where `.ci/run` could mount one, everything goes with that already. Short: paths of sockets below it may have 107 bytes.
  const isMounted = (process.env['CI_PLACE'] ?? '') !== '';
  const place = mkdtempSync(path.join(tmpdir(), 't'));
  // Servers run as another user where this one is root.
  chmodSync(place, 0o711);
  if (!isMounted) process.env['TMPDIR'] = place;
  // Tests have servers of their own: a developer's namespace or key is not for them.
  for (const name of choosingVariables(process.env)) delete process.env[name];
  process.env['TEMPORAL_CONFIG_FILE'] = NO_PROFILE;
  process.env[BUNDLES] = path.join(place, 'bundles');
  mkdirSync(process.env[BUNDLES]);
  return () => rmSync(place, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
}
