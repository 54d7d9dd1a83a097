import type { Client } from 'pg';
import { isClosedToUs } from '../manifest/since/absent-database.ts';
import { withClient, type GuardedConfig } from '../postgres/source.ts';

/** What every cluster begins with. */
const OF_EVERY_CLUSTER = ['postgres', 'template1'];

/**
 * Work that needs some connection to a copy, and none to a certain database: over the one that is named, or over one that every
 * cluster begins with where the copy takes no connections to that, or lets in others only, or cannot for damage. That it was lost is for the comparison to say.
 * @throws what the server said of the one that is named, where it lets us into none of them
 */
export async function overAnyDatabase<T>(address: (database: string) => GuardedConfig, named: string, work: (client: Client) => Promise<T>, signal?: AbortSignal): Promise<T> {
  let refusal: unknown;
  for (const database of [named, ...OF_EVERY_CLUSTER.filter((name) => name !== named)]) {
    let isConnected = false;
    try {
      return await withClient(address(database), (client) => {
        isConnected = true;
        return work(client);
      }, signal);
    } catch (error) {
      // The work may end with the same conditions, and is not done twice.
      if (isConnected || !isClosedToUs(error)) throw error;
      refusal ??= error;
    }
  }
  throw refusal;
}
