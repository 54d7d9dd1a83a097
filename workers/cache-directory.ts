import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where everything is kept that can be made again at any time: `${XDG_CACHE_HOME:-~/.cache}/durable-runbooks`. */
export function cacheDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  // An empty XDG_CACHE_HOME counts as unset (XDG base directory specification).
  return join(environment['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'durable-runbooks');
}
