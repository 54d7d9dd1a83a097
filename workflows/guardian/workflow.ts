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
import { waitLooking, waitUntil } from '../procedure/wait.ts';
import { callActivity, sentenceOf, settle } from './settle.ts';

const owned = defineSignal<[Owned]>(INTERNAL.owned);
const overdue = defineSignal<[Overdue]>(INTERNAL.overdue);
const settled = defineSignal<[Settled]>(INTERNAL.settled);
/** What the guardian is doing. */
const phaseQuery = defineQuery<string>('phase');

/** After the run was asked to end, it has this long, or another lease where that is shorter, before it is ended by force. */
const END_GRACE_MS = 60_000;
/**
 * While its run plans or waits for people or the lock, a guardian only looks now and then whether it lives: to watch takes
 * one of a worker's places and one of the server's long polls, and any number of runs may wait. What dies then has created nothing.
 */
const RUN_LOOKS = { firstMs: 2_000, lastMs: 15 * 60_000, summary: 'look whether the run still lives' };
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
  // What the run has asked and was not told yet. A run that was reset asks once more, and the first answer is not for it.
  const unanswered: { take?: Take; finish?: Finish } = {};
  /** Of the run as it is now, after a reset too. */
  let asking: string | undefined;
  let overdueBecause: string | undefined;
  const { owner, target, lease } = input;
  onInternalSignal(INTERNAL.granted, grantedSchema, (grant) => void (fence ??= grant.fence));
  onInternalSignal(INTERNAL.take, takeSchema, (message) => {
    taken ??= message;
    asking = message.asking;
    unanswered.take = message;
  });
  onInternalSignal(INTERNAL.finish, finishSchema, (message) => {
    finished ??= message;
    unanswered.finish = message;
  });
  setHandler(phaseQuery, () => phase);

  const self = workflowInfo().workflowId;
  const watching = new CancellationScope();
  let watched: Promise<void> | undefined;
  const isOver = () => finished !== undefined || end !== undefined;
  const runLives = async () => {
    end ??= (await read.findRunEnd({ owner })) ?? undefined;
    return end === undefined;
  };
  await waitLooking(() => taken !== undefined || isOver(), runLives, RUN_LOOKS);
  const run = getExternalWorkflowHandle(owner.workflowId);

  if (taken) {
    phase = 'waiting for the lock';
    await write.requestLock({ target, request: { guardianId: self, owner, runbook: input.runbook, sharesTargetWith: [...input.sharesTargetWith], requestedAtMs: Date.now() } });
    const inTime = await waitLooking(() => fence !== undefined || isOver(), runLives, RUN_LOOKS, Date.now() + lease.maximumMs);
    if (!inTime && !isOver()) await endOverdueRun(`it waited for the lock of ${target} for as long as a lease lasts`);
  }
  // From the grant: waiting for others is not the run's own time.
  const leaseExpiresAtMs = Date.now() + lease.maximumMs;

  let settlement: Settlement = NOTHING_SETTLED;
  if (fence !== undefined) {
    watchRun();
    const refused = !finished && !end ? await openPlace(fence) : undefined;
    phase = 'guarding';
    while (!isOver()) {
      if (unanswered.take) await answerTake({ fence, refused });
      const inTime = await waitUntil(() => isOver() || unanswered.take !== undefined, leaseExpiresAtMs - Date.now(), `lease of ${owner.workflowId} ends`);
      if (!inTime) await endOverdueRun('its lease is over');
    }
    phase = 'settling';
    const ledger = await read.readLedger({ owner });
    // A dead run's activities may not know yet: they learn it with their next heartbeat. A living run has waited for its own.
    if (ledger.mayActForMs > 0) await sleep(ledger.mayActForMs, { summary: 'until the activities of the run can no longer act' });
    settlement = await settle({
      owner, outcome: outcomeOf(), entries: ledger.entries, lost: ledger.lost ?? [], place: taken?.place ?? null, fence, leaseExpiresAtMs,
      hostLossMs: lease.hostLossMs, proofGapMs: finished && ledger.mayActForMs === 0 ? PROOF_GAP_MS.alive : PROOF_GAP_MS.dead,
    });
  }
  watchRun();
  // Nothing of the run acts any more. Evidence may wait for its disk for a day, and the next run must not wait with it.
  const [released] = await Promise.allSettled([
    taken && write.releaseLock({ target, guardianId: self }),
    finished && !end && answerFinish(),
  ]);
  // A run that was reset after all this asks again: without an answer both would wait for ever.
  while (end === undefined) {
    if (unanswered.take) await answerTake({ refused: 'the guardian of this run has torn down and given the target back already; start another run' });
    if (unanswered.finish) await answerFinish();
    await condition(() => end !== undefined || unanswered.take !== undefined || unanswered.finish !== undefined);
  }
  phase = 'seeing to the evidence';
  // A run that was ended by force after its body had finished did not get to write its own.
  const byForce = end.status === 'terminated' || end.status === 'timedOut' ? end.status : undefined;
  const byUs = byForce && overdueBecause !== undefined ? { outcome: 'timedOut', failure: { type: 'LEASE_OVER', message: overdueBecause } } as const : undefined;
  await write.writeEvidenceOfDeadRun({ owner, runbook: input.runbook, target, outcome: byForce ?? outcomeOf(), ...byUs, end, settlement });
  watching.cancel();
  await watched;
  // Not before there is evidence. A guardian that failed is seen, and the lock gives up one that is gone.
  if (released.status === 'rejected') throw released.reason;
  phase = 'done';
  return settlement;

  function watchRun(): void {
    watched ??= watching.run(async () => {
      end = await watch.awaitRunEnd({ owner });
    }).catch((error: unknown) => {
      if (!isCancellation(error)) throw error;
    });
  }

  /** Returns why it could not be opened: a run that is not told would wait for ever for what its guardian could not give it. */
  async function openPlace(number: number): Promise<string | undefined> {
    const place = taken?.place ?? null;
    if (!place) return undefined;
    return callActivity({ activity: place.open, taskQueue: place.taskQueue, startToCloseMs: 60_000, input: { ...place.input, fence: number, owner } }, `open the place of the ${place.title}`, lease.hostLossMs).then(() => undefined, sentenceOf);
  }

  async function answerTake(answer: Pick<Owned, 'fence' | 'refused'>): Promise<void> {
    const { take } = unanswered;
    delete unanswered.take;
    await run.signal(owned, { owner, leaseExpiresAtMs, ...answer, asking: take?.asking }).catch(() => undefined);
  }

  async function answerFinish(): Promise<void> {
    const { finish } = unanswered;
    delete unanswered.finish;
    await run.signal(settled, { owner, ...settlement, asking: finish?.asking }).catch(() => undefined);
  }

  async function endOverdueRun(reason: string): Promise<void> {
    phase = 'ending a run whose lease is over';
    overdueBecause = reason;
    await run.signal(overdue, { owner, reason, asking }).catch(() => undefined);
    const gone = await waitUntil(() => finished !== undefined || end !== undefined, Math.min(END_GRACE_MS, lease.maximumMs), 'grace of an overdue run');
    if (gone) return;
    watchRun();
    await write.endRun({ owner, how: 'terminate', reason: `${reason}, and it did not end when asked` });
    await condition(() => end !== undefined);
  }

  function outcomeOf(): Outcome {
    if (finished) return finished.outcome;
    if (end?.status === 'terminated' || end?.status === 'timedOut' || end?.status === 'cancelled') return end.status;
    return 'failed';
  }
}
