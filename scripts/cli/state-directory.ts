import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where is kept what nobody could make again, and who empties caches must not find: `${XDG_STATE_HOME:-~/.local/state}/durable-runbooks`. */
export function stateDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  // An empty XDG_STATE_HOME counts as unset (XDG base directory specification).
  return join(environment['XDG_STATE_HOME'] || join(homedir(), '.local', 'state'), 'durable-runbooks');
}
