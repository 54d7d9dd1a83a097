import { ApplicationFailure, CancellationScope, getExternalWorkflowHandle, isCancellation, startChild, ParentClosePolicy, uuid4, workflowInfo } from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { GUARDIAN_TYPE, guardianId, type Finish, type GuardianInput, type Take } from '../../contracts/guardian.ts';
import { INTERNAL } from '../../contracts/messages.ts';
import type { Place } from '../../contracts/ledger.ts';
import type { FormerGuardian, RolledBack } from '../../activities/kernel/kernel-activities.ts';
import { besidesKept, nobodySettled, NOTHING_SETTLED, rolledBack, settledAsFarAsKnown, undoneBefore, type Settlement } from '../../contracts/record.ts';
import { read, readToShow } from './kernel-activities.ts';
import { enterPhase, showDetails } from './presentation.ts';
import type { RunState } from './run-state.ts';
import { instantOf, waitLooking } from './wait.ts';

/**
 * Whether a run of this target may wait at a gate, for months even. Then its guardian is not started before it is needed: it
 * would take as much of the memory of workers as the run itself. Ended by force until then, the run has created nothing, and
 * workers see to its evidence.
 */
export function waitsForPeople({ settings }: RunState): boolean {
  return Object.keys(settings?.gates ?? {}).length > 0;
}

/** Starts the guardian, once. It need not be awaited: nothing may be created before {@link takeOwnership}, which does. */
export function guard(state: RunState): Promise<void> {
  if (!state.guarded) {
    state.guarded = startGuardian(state);
    // Whoever awaits it meets the failure.
    state.guarded.catch(() => undefined);
  }
  return state.guarded;
}

async function startGuardian(state: RunState): Promise<void> {
  const { settings, record, contract } = state;
  if (!settings) throw ApplicationFailure.nonRetryable('the run has no settings yet', 'CONFIGURATION');
  const id = guardianId(record.owner);
  record.guardianId = id;
  const input: GuardianInput = { owner: record.owner, runbook: contract.type, target: settings.target, sharesTargetWith: [...contract.sharesTargetWith], lease: settings.lease, priority: contract.priority ?? 'normal', alarm: settings.alarm ?? [] };
  await CancellationScope.nonCancellable(async () => {
    try {
      await startChild(GUARDIAN_TYPE, {
        workflowId: id, args: [input], parentClosePolicy: ParentClosePolicy.ABANDON,
        staticSummary: `guardian of ${record.owner.workflowId}`,
      });
    } catch (error) {
      // A reset run finds the guardian of its former self, which is its own.
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
  });
}

/**
 * Waits until the guardian holds the target. From here on something may exist. The guardian exists before anything else
 * happens, also when the run is being cancelled at this very moment.
 */
export async function takeOwnership(state: RunState, place: Place | null): Promise<number> {
  enterPhase(state, 'waiting for the lock');
  const startedAtMs = Date.now();
  const told = await CancellationScope.nonCancellable(async () => {
    await guard(state);
    state.asking.take = uuid4();
    return tell(state, INTERNAL.take, { place, asking: state.asking.take, runId: workflowInfo().runId } satisfies Take);
  });
  const lookWhoHolds = async () => {
    await readToShow.describeLock({ target: state.record.target ?? '' }).then((view) => {
      state.lock = { ...view, lookedAt: instantOf(Date.now()) };
      showDetails(state);
    }, (error: unknown) => { if (isCancellation(error)) throw error; });
    return lives(state);
  };
  if (!told || !(await waitLooking(() => state.owned !== undefined, lookWhoHolds, LOCK_LOOKS))) {
    throw ApplicationFailure.nonRetryable('the guardian of this run has ended before it took the target; start another run', 'UNAVAILABLE');
  }
  state.lock = null;
  state.spans.push({ name: 'waiting for the lock', kind: 'lock', startedAtMs, finishedAtMs: Date.now() });
  const { fence, refused } = state.owned ?? {};
  if (refused !== undefined || fence === undefined) throw ApplicationFailure.nonRetryable(refused ?? 'the guardian gave no fence', 'UNAVAILABLE');
  state.place = place;
  return fence;
}

/** How a body has ended. */
type Ended = Pick<Finish, 'outcome' | 'undoAnyway'>;

/**
 * Tells the guardian that the body has ended, and waits until everything is undone and its absence proven. Undefined where
 * there is none and nothing to undo: a run that was reset to where it had none finds that of its former life. One that was
 * ended by force before it had settled is begun anew. A run that was reset has not succeeded with what
 * was undone for another life, and where it comes to no good end it does not deny what was kept for another.
 */
export async function settleThroughGuardian(state: RunState, finish: Ended): Promise<Settlement | undefined> {
  const settlement = await settleWithWhoLives(state, finish);
  const { owner } = state.record;
  const { runId } = workflowInfo();
  if (runId === owner.firstExecutionRunId || settlement?.rolledBack !== undefined) return settlement;
  // Its guardian knows what it undid itself. Another may have been ended by force before it had said what that had undone, or have undone it for a life between.
  const found = await read.findRolledBack({ owner, runId });
  const whole = withUndone(settlement, found, finish);
  return finish.outcome === 'succeeded' && whole?.rolledBack === undefined ? whole : besidesKept(whole, found.kept);
}

async function settleWithWhoLives(state: RunState, finish: Ended): Promise<Settlement | undefined> {
  const { owner } = state.record;
  const { runId } = workflowInfo();
  // One that was never reset, and has none, did nothing.
  if (!state.guarded && runId === owner.firstExecutionRunId) return undefined;
  const settlement = state.guarded && (await askToSettle(state, finish));
  if (settlement) return settlement;
  const former = await read.findFormerGuardian({ owner });
  if (former.state === 'none') return settledBefore(former, finish);
  if (former.state === 'lives') {
    state.record.guardianId = guardianId(owner);
  } else {
    if (former.unsettled === null || !state.settings) return nobodySettled();
    state.guarded = undefined;
    void guard(state);
  }
  return (await askToSettle(state, finish)) ?? nobodySettled();
}

/** What guardians of former lives had settled, where that is all that there is to settle; undefined where there was nothing. */
function settledBefore({ left, lost, undone, standing = [] }: FormerGuardian, finish: Ended): Settlement | undefined {
  return withUndone(left ?? (lost.length > 0 ? settledAsFarAsKnown(lost, instantOf(Date.now())) : undefined), { undone, standing }, finish);
}

/** A settlement that says, too, what of what stands in the ledger was undone. */
function withUndone(known: Settlement | undefined, { undone, standing }: Pick<RolledBack, 'undone' | 'standing'>, finish: Ended): Settlement | undefined {
  if (standing.length === 0) return known;
  const told = new Set(known?.compensations.map(({ id }) => id));
  const besides = standing.filter(({ id }) => !told.has(id)).toReversed().flatMap((entry) => undoneBefore(entry, undone) ?? []);
  const settlement = { ...NOTHING_SETTLED, ...known, compensations: [...known?.compensations ?? [], ...besides] };
  return { ...settlement, rolledBack: rolledBack(settlement, standing, finish) };
}

/** Undefined where the guardian is gone, or goes without an answer. */
async function askToSettle(state: RunState, finish: Ended): Promise<Settlement | undefined> {
  await state.guarded;
  enterPhase(state, 'tearing down');
  state.asking.finish = uuid4();
  const told = await tell(state, INTERNAL.finish, { ...finish, asking: state.asking.finish, runId: workflowInfo().runId } satisfies Finish);
  if (told) await waitLooking(() => state.settlement !== undefined, () => lives(state), GUARDIAN_LOOKS);
  return state.settlement;
}

/** A look is eleven events: once a minute, a wait of days for a lock would fill the history until the server ends the run. */
const GUARDIAN_LOOKS = { firstMs: 60_000, lastMs: 30 * 60_000, summary: 'look whether the guardian still lives' };

/** People want to know at once who holds what they wait for, and then only now and then. */
const LOCK_LOOKS = { firstMs: 2_000, lastMs: 60 * 60_000, summary: 'look who holds the target' };

/** Signals the guardian; false when it is gone. */
async function tell(state: RunState, signal: string, message: unknown): Promise<boolean> {
  return getExternalWorkflowHandle(guardianId(state.record.owner)).signal(signal, message).then(() => true, (error: unknown) => {
    if (isCancellation(error)) throw error;
    return false;
  });
}

/** Whether the guardian still lives: only it can say what the run waits for. */
async function lives(state: RunState): Promise<boolean> {
  return (await read.findDeadGuardians({ guardianIds: [guardianId(state.record.owner)] })).length === 0;
}
