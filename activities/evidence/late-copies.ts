import type { Configuration } from '../../contracts/configuration.ts';
import { makeUpFor } from './copies.ts';
import { copyStores } from './copy-stores.ts';
import { directoryStore } from './directory-store.ts';

/** Copies this host's evidence to where it is missing, when a worker starts and now and then. Returns what people should know, a line each. */
export async function sendLateCopies({ evidence }: Pick<Configuration, 'evidence'>): Promise<string[]> {
  const store = directoryStore(evidence.directory);
  const lines = await Promise.all(copyStores({ evidence }).map((copy) => makeUpFor(copy, store).then(
    (copied) => (copied.length === 0 ? undefined : `copied ${copied.length} file(s) of evidence that were missing in ${copy.location}`),
    (error: Error) => `warning: what is missing in ${copy.location} could not be copied: ${error.message}`,
  )));
  return lines.filter((line) => line !== undefined);
}
