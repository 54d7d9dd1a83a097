import { CancellationScope, condition, continueAsNew, defineQuery, defineSignal, getExternalWorkflowHandle, patched, setHandler, workflowInfo } from '@temporalio/workflow';
import { LOCK_TYPE } from '../../contracts/guardian.ts';
import { adopt, EMPTY_LOCK, firstFence, happen, happened, LARGEST_LOCK, measuring, remove, type LockEvent, type LockState } from '../../contracts/lock-state.ts';
import { INTERNAL } from '../../contracts/messages.ts';
import { lockRequestSchema, lockStateSchema, releaseSchema } from '../../contracts/internal-messages.ts';
import { fitting, onInternalSignalsInOrder } from '../procedure/internal-signal.ts';
import { read } from '../procedure/kernel-activities.ts';
import { parseInput } from '../procedure/parse-input.ts';
import { waitUntil } from '../procedure/wait.ts';
import { grantNext, type Grant } from './queue.ts';

/** Who holds the target since when, and who waits. */
const holders = defineQuery<LockState>(INTERNAL.holders);
const granted = defineSignal<[{ fence: number }]>(INTERNAL.granted);

/** While somebody waits, all are looked at this often: a guardian that was ended by force cannot release, nor leave the queue. */
const HOLDER_CHECK_MS = 30_000;

/** A lock of older code began its wait for the next look anew with whatever it was told. */
const LOOKS_IN_TIME = 'no message puts off a look at who holds and waits';

/** A lock of older code went on to a new execution only with what changed something: the server takes so many signals, and no more. */
const GOES_ON = 'goes on when its history is long, whatever has come';

/** So many guardians are looked at in one call. */
const LOOKED_AT_ONCE = 200;

/** What a lock holds is carried on with what it comes to hold in its last round. */
const LARGEST_CARRIED = 2 * LARGEST_LOCK;

/**
 * The lock of one target. It lives for ever, continues as new when its history grows, and hands out fence numbers that
 * only rise. A grant is a signal to the guardian; a guardian that is gone when granted is removed at once. One that was
 * ended by force is begun anew by the next request or release, and goes on with what it held.
 * @param lookAtMs when those who hold and wait are to be looked at, where one that continued as new had come to know that
 */
export async function lock(carried?: unknown, formerRunId?: unknown, lookAtMs?: unknown): Promise<void> {
  const state = carried === undefined || carried === null ? undefined : parseInput({ type: LOCK_TYPE, input: lockStateSchema }, carried, LARGEST_CARRIED);
  // Cancelling it would forget who holds the target, and begin the fence numbers anew.
  return CancellationScope.nonCancellable(() => keep(state, typeof formerRunId === 'string' ? formerRunId : undefined, typeof lookAtMs === 'number' ? Math.min(lookAtMs, Date.now() + HOLDER_CHECK_MS) : undefined));
}

async function keep(carried: LockState | undefined, formerRunId: string | undefined, firstLookAtMs: number | undefined): Promise<void> {
  let state = carried ?? EMPTY_LOCK;
  const { workflowId, startTime } = workflowInfo();
  const measure = measuring();
  /** What was heard while it is not known yet what the former lock held. */
  const heard: LockEvent[] = [];
  let isAdopting = carried === undefined;
  let changed = true;
  /** When those who hold and wait are looked at next; undefined where that is not known yet, or nobody waits. */
  let lookAtMs = firstLookAtMs;
  // A guardian that was ended by force, and begun again under its id, does not know what it holds.
  let toRemind = new Set<string>();
  const hear = (event: LockEvent): void => {
    const before = state;
    state = happen(state, event, measure);
    if (isAdopting) heard.push(event);
    const isToRemind = 'requested' in event && state.holders.some(({ guardianId }) => guardianId === event.requested.guardianId);
    changed ||= state !== before || isToRemind || !patched(LOOKS_IN_TIME);
  };
  // Of who lets go and asks again, the asking must not come first: it would be lost.
  onInternalSignalsInOrder({
    [INTERNAL.request]: fitting(lockRequestSchema, (requested) => {
      toRemind.add(requested.guardianId);
      hear({ requested });
    }),
    [INTERNAL.release]: fitting(releaseSchema, ({ guardianId }) => { hear({ released: guardianId }); }),
  });
  // Whoever reads half of it is told so: the rest is in histories.
  setHandler(holders, () => (isAdopting ? { ...state, adopting: { ...(formerRunId === undefined ? {} : { formerRunId }), startedAtMs: startTime.getTime() } } : state));

  if (carried === undefined && patched('goes on with what a former lock held')) {
    const { former, from } = await findFormer(workflowId, formerRunId);
    state = happened(adopt(EMPTY_LOCK, former, from), heard);
    // It may have been ended before it could tell them.
    for (const { guardianId } of state.holders) toRemind.add(guardianId);
  }
  isAdopting = false;
  while (!workflowInfo().continueAsNewSuggested) await round();
  // What came meanwhile is in the state, but for those who asked once more.
  while (toRemind.size > 0) await remind();
  await continueAsNew<typeof lock>(state, undefined, lookAtMs);

  async function round(): Promise<void> {
    if (await waitForChangeOrLook()) {
      // Who has asked before the look did not come back during it.
      await remind();
      await look();
      lookAtMs = undefined;
    }
    changed = false;
    await remind();
    const next = grantNext(state, Date.now());
    state = next.state;
    for (const grant of next.granted) await announce(grant);
  }

  /** Whether it is time to look. */
  async function waitForChangeOrLook(): Promise<boolean> {
    const goesOn = patched(GOES_ON);
    const isAwake = () => changed || (goesOn && workflowInfo().continueAsNewSuggested);
    if (state.waiting.length === 0) {
      lookAtMs = undefined;
      await condition(isAwake);
      return false;
    }
    const isKept = lookAtMs !== undefined && patched(LOOKS_IN_TIME);
    const dueMs = lookAtMs !== undefined && isKept ? lookAtMs : Date.now() + HOLDER_CHECK_MS;
    lookAtMs = dueMs;
    await waitUntil(isAwake, dueMs - Date.now(), 'look whether those who hold and wait still live');
    return isKept ? Date.now() >= dueMs : !isAwake();
  }

  async function look(): Promise<void> {
    const all = [...state.holders, ...state.waiting].map(({ guardianId }) => guardianId);
    // Ids may be long, and all of them more than fits into a call.
    const atOnce = all.length > LOOKED_AT_ONCE && !patched('looks at guardians in parts') ? all.length : LOOKED_AT_ONCE;
    for (let next = 0; next < all.length; next += atOnce) {
      const dead = await read.findDeadGuardians({ guardianIds: all.slice(next, next + atOnce) });
      // One that asked while it was looked at has come back.
      for (const guardianId of dead.filter((id) => !toRemind.has(id))) state = remove(state, guardianId);
    }
  }

  async function remind(): Promise<void> {
    const asked = toRemind;
    toRemind = new Set();
    for (const grant of state.holders.filter(({ guardianId }) => asked.has(guardianId))) await announce(grant);
  }

  async function announce(grant: Grant): Promise<void> {
    try {
      await getExternalWorkflowHandle(grant.guardianId).signal(granted, { fence: grant.fence });
    } catch {
      // The guardian ended while it waited; what it would have owned does not exist.
      state = remove(state, grant.guardianId);
      changed = true;
    }
  }
}

/** What the lock before held, and from where fences go on where nobody can say that any more. */
async function findFormer(lockId: string, runId: string | undefined, closedByMs?: number): Promise<{ former: LockState | null; from: number }> {
  const found = await read.findFormerLock({ lockId, runId, closedByMs });
  if (!found) return { former: null, from: firstFence(runId, workflowInfo().startTime.getTime()) };
  // A worker of older code tells what one held, and what has happened since, and leaves the one before that to be asked for here.
  const { adopting, since = [], ...state } = found;
  if (!adopting) return { former: happened(state, since), from: 1 };
  const older = await findFormer(lockId, adopting.formerRunId, adopting.startedAtMs);
  // Who has let go and asked again waits in its state already.
  const adopted = adopt(state, older.former && (adopting.released ?? []).reduce(remove, older.former), older.from);
  return { former: happened(adopted, since), from: 1 };
}
