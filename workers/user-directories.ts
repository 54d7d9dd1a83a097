import { homedir } from 'node:os';
import { join } from 'node:path';
import { environment as ofThisProcess } from './config-environment.ts';

/** Where everything is kept that can be made again at any time: `${XDG_CACHE_HOME:-~/.cache}/durable-runbooks`. */
export function cacheDirectory(environment: NodeJS.ProcessEnv = ofThisProcess): string {
  return ours(environment['XDG_CACHE_HOME'], '.cache');
}

/** Where is kept what nobody could make again, and who empties caches must not find: `${XDG_STATE_HOME:-~/.local/state}/durable-runbooks`. */
export function stateDirectory(environment: NodeJS.ProcessEnv = ofThisProcess): string {
  return ours(environment['XDG_STATE_HOME'], '.local/state');
}

/** An empty variable counts as unset (XDG base directory specification). */
function ours(chosen: string | undefined, belowHome: string): string {
  return join(chosen || join(homedir(), belowHome), 'durable-runbooks');
}
