import { temporalConnectOptions } from '../../workers/temporal-connection.ts';
import { shellLines } from '../embedded/own-server-environment.ts';
import { ourCommand } from './printed-command.ts';

/**
 * What to type to start a run at a server that was started here. Where the variables or the profile of whoever types it
 * mean another server, the line says which one it is for; where they bring a namespace, a key or certificates that this
 * one does not know, what to paste before it.
 */
export async function startingLines(address: string, words: readonly string[]): Promise<string[]> {
  const start = (flags: { address?: string }) => `start    ${ourCommand(flags, ...words)}`;
  if (await reaches(address, {})) return [start({})];
  if (await reaches(address, { address })) return [start({ address })];
  return ['first    another server is chosen here; in the terminal of the next line, paste:', ...shellLines(address).map((line) => `         ${line}`), start({})];
}

/** Whether commands with these flags reach that server, by what their user's variables and profile say. */
async function reaches(address: string, flags: { address?: string }): Promise<boolean> {
  // A profile that cannot be read leads nowhere.
  const found = await temporalConnectOptions(flags).catch(() => undefined);
  if (found === undefined) return false;
  const { apiKey, tls, metadata = {} } = found.connectionOptions;
  return numbered(found.address) === numbered(address) && found.namespace === 'default' && apiKey === undefined && !tls && Object.keys(metadata).length === 0;
}

function numbered(address: string): string {
  return address.replace(/^localhost:/, '127.0.0.1:');
}
