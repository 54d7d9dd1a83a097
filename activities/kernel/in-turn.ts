import { within } from './within.ts';

/** The calls to one place. `last` ends with the newest of them; `isStuck`: one that nobody waits for any more has not come back. */
interface Lane { last: Promise<unknown>; isStuck: boolean }

/**
 * Of the whole process, by location. A call into the kernel on a mount whose server is gone cannot be taken back, and each
 * holds one of the few threads with which the process does all its work with files, and looks up names.
 */
const lanes = new Map<string, Lane>();

/**
 * Calls to one place, one at a time, whoever makes them, and none is waited for without end. While one that was given up has
 * not come back, others are refused at once: however often it is tried again, a mount that hangs holds one thread.
 * @throws Error where it takes longer, or is refused; what the call throws
 */
export async function inTurn<T>(location: string, patienceMs: number, call: () => Promise<T>): Promise<T> {
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
