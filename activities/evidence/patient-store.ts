import type { EvidenceStore } from './store.ts';
import { within } from './within.ts';

/** As long as one call may take: a share that hangs must not keep others waiting. */
const CALL_MS = 20_000;
/** A listing asks for each file's size. */
const LIST_MS = 60_000;

/** The calls to one place. `last` ends with the newest of them; `isStuck`: one that nobody waits for any more has not come back. */
interface Lane { last: Promise<unknown>; isStuck: boolean }

/**
 * Of the whole process, by location. A call into the kernel on a mount whose server is gone cannot be taken back, and each
 * holds one of the few threads with which the process does all its work with files, and looks up names.
 */
const lanes = new Map<string, Lane>();

/**
 * A store that is called by one at a time, whoever opened it, and is not waited for without end. While a call that was
 * given up has not come back, others are refused at once: however often it is tried again, a share that hangs holds one thread.
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

async function inTurn<T>(location: string, patienceMs: number, call: () => Promise<T>): Promise<T> {
  const lane = lanes.get(location) ?? { last: Promise.resolve(), isStuck: false };
  lanes.set(location, lane);
  if (lane.isStuck) throw new Error('the last attempt has not come back yet');
  let isGivenUp = false;
  let isUnderWay = false;
  const answer = lane.last.then(async () => {
    if (isGivenUp) throw new Error('nobody waits for it any more');
    isUnderWay = true;
    try {
      return await call();
    } finally {
      isUnderWay = false;
      lane.isStuck = false;
    }
  });
  lane.last = answer.catch(() => undefined);
  try {
    return await within(patienceMs, answer);
  } catch (error) {
    isGivenUp = true;
    if (isUnderWay) lane.isStuck = true;
    throw error;
  }
}
