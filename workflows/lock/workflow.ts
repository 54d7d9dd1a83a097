import { CancellationScope, condition, continueAsNew, defineQuery, defineSignal, getExternalWorkflowHandle, setHandler, workflowInfo } from '@temporalio/workflow';
import { LOCK_TYPE } from '../../contracts/guardian.ts';
import { INTERNAL } from '../../contracts/messages.ts';
import { lockRequestSchema, lockStateSchema, releaseSchema } from '../../contracts/internal-messages.ts';
import { onInternalSignal } from '../procedure/internal-signal.ts';
import { read } from '../procedure/kernel-activities.ts';
import { parseInput } from '../procedure/parse-input.ts';
import { waitUntil } from '../procedure/wait.ts';
import { EMPTY_LOCK, enqueue, grantNext, remove, type Grant, type LockState } from './queue.ts';

/** Who holds the target since when, and who waits. */
const holders = defineQuery<LockState>('holders');
const granted = defineSignal<[{ fence: number }]>(INTERNAL.granted);

/** While somebody waits, all are looked at this often: a guardian that was ended by force cannot release, nor leave the queue. */
const HOLDER_CHECK_MS = 30_000;

/**
 * The lock of one target. It lives for ever, continues as new when its history grows, and hands out fence numbers that
 * only rise. A grant is a signal to the guardian; a guardian that is gone when granted is removed at once.
 */
export async function lock(carried: unknown = EMPTY_LOCK): Promise<void> {
  const state = parseInput({ type: LOCK_TYPE, input: lockStateSchema }, carried);
  // Cancelling it would forget who holds the target, and begin the fence numbers anew.
  return CancellationScope.nonCancellable(() => keep(state));
}

async function keep(carried: LockState): Promise<void> {
  let state = carried;
  let changed = true;
  // A guardian that was ended by force, and begun again under its id, does not know what it holds.
  let toRemind: Grant[] = [];
  onInternalSignal(INTERNAL.request, lockRequestSchema, (wanted) => {
    toRemind.push(...state.holders.filter((holder) => holder.guardianId === wanted.guardianId));
    state = enqueue(state, wanted);
    changed = true;
  });
  onInternalSignal(INTERNAL.release, releaseSchema, ({ guardianId }) => {
    state = remove(state, guardianId);
    changed = true;
  });
  setHandler(holders, () => state);

  while (!workflowInfo().continueAsNewSuggested) {
    if (state.waiting.length > 0) await waitUntil(() => changed, HOLDER_CHECK_MS, 'look whether those who hold and wait still live');
    else await condition(() => changed);
    if (!changed) {
      for (const dead of await read.findDeadGuardians({ guardianIds: [...state.holders, ...state.waiting].map(({ guardianId }) => guardianId) })) state = remove(state, dead);
    }
    changed = false;
    const reminded = toRemind;
    toRemind = [];
    const next = grantNext(state, Date.now());
    state = next.state;
    for (const grant of [...reminded, ...next.granted]) await announce(grant);
  }
  await continueAsNew<typeof lock>(state);

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
