import { inTurn } from '../kernel/in-turn.ts';
import type { EvidenceStore } from './store.ts';

/** As long as one call may take: a share that hangs must not keep others waiting. */
const CALL_MS = 20_000;
/** A listing asks for each file's size. */
const LIST_MS = 60_000;

/**
 * A store that is called once at a time, by whoever opened it, and is not waited for without end: see {@link inTurn}.
 */
export function patientStore(store: EvidenceStore, patienceMs?: number): EvidenceStore {
  const { location } = store;
  return {
    location,
    locate: (name) => store.locate(name),
    putIfAbsent: (name, text) => inTurn(location, patienceMs ?? CALL_MS, () => store.putIfAbsent(name, text)),
    get: (name) => inTurn(location, patienceMs ?? CALL_MS, () => store.get(name)),
    list: (folder) => inTurn(location, patienceMs ?? LIST_MS, () => store.list(folder)),
  };
}
