import type { Configuration } from '../../contracts/configuration.ts';
import type { EvidenceCopy } from '../../contracts/evidence-copies.ts';
import { directoryStore } from './directory-store.ts';
import { objectStore } from './object-store.ts';
import type { EvidenceStore } from './store.ts';

/** Where the configuration wants evidence to be copied to. */
export function copyStores({ evidence: { copies } }: Pick<Configuration, 'evidence'>): EvidenceStore[] {
  return copies.map(copyStore);
}

/** The store of one place. A directory must be there already: one that is not mounted now must not be made on the disk below. */
export function copyStore(copy: EvidenceCopy): EvidenceStore {
  return 'directory' in copy ? directoryStore(copy.directory, { mustExist: true }) : objectStore(copy);
}
