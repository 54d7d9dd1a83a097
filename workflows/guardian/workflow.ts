import { CancellationScope, defineQuery, defineSignal, getExternalWorkflowHandle, isCancellation, setHandler, sleep, workflowInfo, condition } from '@temporalio/workflow';
import { INTERNAL } from '../../contracts/messages.ts';
import { GUARDIAN_TYPE, type Finish, type GuardianInput, type Overdue, type Owned, type Settled, type Take } from '../../contracts/guardian.ts';
import { finishSchema, grantedSchema, guardianInputSchema, takeSchema } from '../../contracts/internal-messages.ts';
import { onInternalSignal } from '../procedure/internal-signal.ts';
import type { Outcome } from '../../contracts/evidence.ts';
import { NOTHING_SETTLED, type Settlement } from '../../contracts/record.ts';
import type { RunEnd } from '../../activities/kernel/kernel-activities.ts';
import { read, watch, write } from '../procedure/kernel-activities.ts';
import { parseInput } from '../procedure/parse-input.ts';
import { waitUntil } from '../procedure/wait.ts';
import { callActivity, sentenceOf, settle } from './settle.ts';

const owned = defineSignal<[Owned]>(INTERNAL.owned);
const overdue = defineSignal<[Overdue]>(INTERNAL.overdue);
const settled = defineSignal<[Settled]>(INTERNAL.settled);
/** What the guardian is doing. */
const phaseQuery = defineQuery<string>('phase');

/** After the run was asked to end, it has this long before it is ended by force. */
const END_GRACE_MS = 60_000;
/** Healthy runs have no activity in flight when they settle; a dead run's may still be scheduled somewhere. */
const PROOF_GAP_MS = { alive: 0, dead: 2_000 };

/**
 * Outlives a run and keeps its promises: when the run asks for it, takes the lock of the target, opens the place where the run may create things,
 * and when the run has ended, in whatever way, undoes its ledger, closes the place, proves its absence, gives the lock
 * back, and sees to the evidence. Cancelling it changes nothing.
 */
export async function guardian(rawInput?: unknown): Promise<Settlement> {
  const input = parseInput({ type: GUARDIAN_TYPE, input: guardianInputSchema }, rawInput);
  // A cancel of everything reaches it too, and that is when it is needed.
  return CancellationScope.nonCancellable(() => guard(input));
}

async function guard(input: GuardianInput): Promise<Settlement> {
  let phase = 'waiting for the run to take its target';
  let fence: number | undefined;
  let finished: Finish | undefined;
  let end: RunEnd | undefined;
  let taken: Take | undefined;
  const { owner, target, lease } = input;
  onInternalSignal(INTERNAL.granted, grantedSchema, (grant) => void (fence ??= grant.fence));
  onInternalSignal(INTERNAL.take, takeSchema, (message) => void (taken ??= message));
  onInternalSignal(INTERNAL.finish, finishSchema, (message) => void (finished ??= message));
  setHandler(phaseQuery, () => phase);

  const self = workflowInfo().workflowId;
  const watching = new CancellationScope();
  const watched = watching.run(async () => {
    end = await watch.awaitRunEnd({ owner });
  }).catch((error: unknown) => {
    if (!isCancellation(error)) throw error;
  });
  await condition(() => taken !== undefined || finished !== undefined || end !== undefined);
  const run = getExternalWorkflowHandle(owner.workflowId);

  if (taken) {
    phase = 'waiting for the lock';
    await write.requestLock({ target, request: { guardianId: self, owner, runbook: input.runbook, sharesTargetWith: [...input.sharesTargetWith], requestedAtMs: Date.now() } });
    const inTime = await waitUntil(() => fence !== undefined || finished !== undefined || end !== undefined, lease.maximumMs, `wait of ${owner.workflowId} for the lock ends`);
    if (!inTime) await endOverdueRun(`it waited for the lock of ${target} for as long as a lease lasts`);
  }
  // From the grant: waiting for others is not the run's own time.
  const leaseExpiresAtMs = Date.now() + lease.maximumMs;

  let settlement: Settlement = NOTHING_SETTLED;
  if (fence !== undefined) {
    if (!finished && !end) await handOver(fence);
    phase = 'guarding';
    const inTime = await waitUntil(() => finished !== undefined || end !== undefined, leaseExpiresAtMs - Date.now(), `lease of ${owner.workflowId} ends`);
    if (!inTime) await endOverdueRun('its lease is over');
    phase = 'settling';
    const ledger = await read.readLedger({ owner });
    // A dead run's activities may not know yet: they learn it with their next heartbeat. A living run has waited for its own.
    if (ledger.mayActForMs > 0) await sleep(ledger.mayActForMs, { summary: 'until the activities of the run can no longer act' });
    settlement = await settle({
      owner, outcome: outcomeOf(), entries: ledger.entries, place: taken?.place ?? null, fence, leaseExpiresAtMs,
      hostLossMs: lease.hostLossMs, proofGapMs: finished && ledger.mayActForMs === 0 ? PROOF_GAP_MS.alive : PROOF_GAP_MS.dead,
    });
  }
  // Nothing of the run acts any more. Evidence may wait for its disk for a day, and the next run must not wait with it.
  const [released] = await Promise.allSettled([
    taken && write.releaseLock({ target, guardianId: self }),
    finished && !end && run.signal(settled, { owner, ...settlement }).catch(() => undefined),
  ]);
  await condition(() => end !== undefined);
  phase = 'seeing to the evidence';
  // A run that was ended by force after its body had finished did not get to write its own.
  const byForce = end?.status === 'terminated' || end?.status === 'timedOut' ? end.status : undefined;
  await write.writeEvidenceOfDeadRun({ owner, runbook: input.runbook, target, outcome: byForce ?? outcomeOf(), end: end ?? null, settlement });
  watching.cancel();
  await watched;
  // Not before there is evidence. A guardian that failed is seen, and the lock gives up one that is gone.
  if (released.status === 'rejected') throw released.reason;
  phase = 'done';
  return settlement;

  async function handOver(number: number): Promise<void> {
    const place = taken?.place ?? null;
    let refused: string | undefined;
    if (place) {
      // A run that is not told would wait for ever for what its guardian could not give it.
      refused = await callActivity({ activity: place.open, taskQueue: place.taskQueue, startToCloseMs: 60_000, input: { ...place.input, fence: number, owner } }, `open the place of the ${place.title}`, lease.hostLossMs).then(() => undefined, sentenceOf);
    }
    await run.signal(owned, { owner, fence: number, leaseExpiresAtMs, ...(refused === undefined ? {} : { refused }) }).catch(() => undefined);
  }

  async function endOverdueRun(reason: string): Promise<void> {
    phase = 'ending a run whose lease is over';
    await run.signal(overdue, { owner, reason }).catch(() => undefined);
    const gone = await waitUntil(() => finished !== undefined || end !== undefined, END_GRACE_MS, 'grace of an overdue run');
    if (gone) return;
    await write.endRun({ owner, how: 'terminate', reason: `${reason}, and it did not end when asked` });
    await condition(() => end !== undefined);
  }

  function outcomeOf(): Outcome {
    if (finished) return finished.outcome;
    if (end?.status === 'terminated' || end?.status === 'timedOut' || end?.status === 'cancelled') return end.status;
    return 'failed';
  }
}
