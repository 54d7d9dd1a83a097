import { condition, defineQuery, defineSignal, getExternalWorkflowHandle, patched, setHandler, sleep, workflowInfo } from '@temporalio/workflow';
import type { Outcome } from '../../contracts/evidence.ts';
import type { Finish, GuardianInput, Overdue, Owned, Settled } from '../../contracts/guardian.ts';
import type { HeldPlace } from '../../contracts/ledger.ts';
import { INTERNAL } from '../../contracts/messages.ts';
import type { EvidenceFiles, FormerGuardian, RunEnd, Unsettled } from '../../activities/kernel/kernel-activities.ts';
import { actedSinceSettled, besidesLeft, isActedSince, nobodySettled, NOTHING_SETTLED, rolledBack, settledAsFarAsKnown, type SettledLedger, type Settlement } from '../../contracts/record.ts';
import { read, write } from '../procedure/kernel-activities.ts';
import { instantOf, waitLooking, waitUntil } from '../procedure/wait.ts';
import { raiseAlarm } from './alarm.ts';
import { Heard } from './heard.ts';
import { inParts } from './in-parts.ts';
import { callActivity, sentenceOf, settle } from './settle.ts';
import { WatchedRun } from './watched-run.ts';

const owned = defineSignal<[Owned]>(INTERNAL.owned);
const overdue = defineSignal<[Overdue]>(INTERNAL.overdue);
const settled = defineSignal<[Settled]>(INTERNAL.settled);
/** What the guardian is doing. */
const phaseQuery = defineQuery<string>('phase');

/** After the run was asked to end, it has this long, or another lease where that is shorter, before it is ended by force. */
const END_GRACE_MS = 60_000;
/**
 * While its run plans or waits for the lock, a guardian only looks now and then whether it lives: to watch takes one of a
 * worker's places and one of the server's long polls, and any number of runs may wait. What dies then has created nothing.
 * A look is some eleven events: once an hour, a run may be paused for months before the history is too long.
 */
const RUN_LOOKS = { firstMs: 2_000, lastMs: 60 * 60_000, summary: 'look whether the run still lives' };
/** A guardian of older code answers everybody before it looks at the lease, or at the run. */
const ENDS_IN_TIME = 'a lease ends in time';
/** Healthy runs have no activity in flight when they settle; a dead run's may still be scheduled somewhere. */
const PROOF_GAP_MS = { alive: 0, dead: 2_000 };

/** What a guardian does, in this order; each phase is a method that returns the next. One that has nothing to do passes on. */
type Phase = 'waiting for the run to take its target' | 'waiting for the lock' | 'guarding' | 'settling' | 'giving the target back' | 'seeing to the evidence' | 'done';

/** What was settled, and the evidence that there is, which the run itself wrote or its guardian: the head of what a run that was ended by force left stands in no result of its own. */
export type GuardianResult = Settlement & Partial<EvidenceFiles>;

/** One guardian: its phases. */
export class Guard {
  readonly #input: GuardianInput;
  readonly #self = workflowInfo().workflowId;
  readonly #run: WatchedRun;
  #phase: Phase = 'waiting for the run to take its target';
  /** Finer than the phase, for people; null mostly. */
  #doing: string | null = null;
  readonly #heard: Heard;
  #overdueBecause: string | undefined;
  /** When the run was ended by force by us; undefined where it was not. */
  #endedByUsAtMs: number | undefined;
  /** How often the run was told that the target is its. */
  #told = 0;
  #leaseExpiresAtMs = 0;
  #settlement: Settlement = NOTHING_SETTLED;
  /** What was in the ledger when that was settled; undefined before. */
  #settledLedger: SettledLedger | undefined;
  /** What guardians before this one did, and had not come to; undefined where it was not asked, as for every life that was not reset to. */
  #former: FormerGuardian | undefined;
  /** Where the evidence is, and its head. */
  #files: EvidenceFiles | undefined;
  /** Why the target could not be given back. */
  #notReleased: Error | undefined;

  readonly #phases: Record<Exclude<Phase, 'done'>, () => Promise<Phase>> = {
    'waiting for the run to take its target': () => this.#awaitTake(),
    'waiting for the lock': () => this.#awaitLock(),
    'guarding': () => this.#holdTarget(),
    'settling': () => this.#settle(),
    'giving the target back': () => this.#release(),
    'seeing to the evidence': () => this.#record(),
  };

  constructor(input: GuardianInput) {
    this.#input = input;
    this.#run = new WatchedRun(input.owner);
    this.#heard = new Heard();
    setHandler(phaseQuery, () => this.#doing ?? this.#phase);
  }

  async run(): Promise<GuardianResult> {
    while (this.#phase !== 'done') {
      this.#phase = await this.#phases[this.#phase]();
      this.#doing = null;
    }
    return { ...this.#settlement, ...this.#files };
  }

  get #isOver(): boolean {
    return this.#heard.finished !== undefined || this.#run.end !== undefined;
  }

  async #awaitTake(): Promise<Phase> {
    if (this.#input.forEvidence) {
      const { owner, forEvidence: { runId } } = this.#input;
      // One that was reset meanwhile goes on, or has ended in another way: what that life did is not known here.
      if (await this.#run.lives() || this.#run.end?.runId !== runId) return 'done';
      const unguarded = await read.findUnguardedEnd({ owner, runId });
      if (!unguarded) return 'done';
      this.#settlement = unguarded.left ?? settledAsFarAsKnown(unguarded.lost, instantOf(Date.now()));
      return 'seeing to the evidence';
    }
    await waitLooking(() => this.#heard.taken !== undefined || this.#isOver, () => this.#run.lives(), RUN_LOOKS);
    return this.#heard.taken || (await this.#inherits()) ? 'waiting for the lock' : 'giving the target back';
  }

  /**
   * Whether this guardian is begun anew, for a run that is over before it took its target, and has to settle what the guardian
   * before it did not come to: it takes the target for that, as the run did then. What nobody can settle is in the settlement.
   */
  async #inherits(): Promise<boolean> {
    const former = await this.#findFormer();
    this.#settlement = former.left ?? (former.state === 'none' ? settledAsFarAsKnown(former.lost, instantOf(Date.now())) : nobodySettled());
    // Of what an earlier one has left, that one has told people.
    if (!former.unsettled && !former.left) raiseAlarm(this.#input, this.#settlement);
    return former.unsettled !== null;
  }

  async #findFormer(): Promise<FormerGuardian> {
    return (this.#former ??= await read.findFormerGuardian({ owner: this.#input.owner, besides: workflowInfo().runId }));
  }

  get #inherited(): Unsettled | null {
    return this.#former?.unsettled ?? null;
  }

  async #awaitLock(): Promise<Phase> {
    const { owner, target, lease, runbook, sharesTargetWith, priority } = this.#input;
    const requestedAtMs = Date.now();
    const ask = () => write.requestLock({ target, request: { guardianId: this.#self, owner, runbook, sharesTargetWith: [...sharesTargetWith], requestedAtMs, priority } });
    await ask();
    // Again with each look: a lock that was ended by force and begun anew may not know who waits.
    const lives = async () => {
      if (await this.#run.lives() && !this.#heard.fence) await ask();
      return this.#run.end === undefined;
    };
    const waitsUntilMs = requestedAtMs + lease.maximumMs;
    if (!this.#inherited) {
      const inTime = await waitLooking(() => this.#heard.fence !== undefined || this.#isOver, lives, RUN_LOOKS, waitsUntilMs);
      if (!inTime && !this.#isOver) await this.#endOverdueRun(`it waited for the lock of ${target} for as long as a lease lasts`);
      if (this.#heard.fence !== undefined) return 'guarding';
      if (!(await this.#inherits())) return 'giving the target back';
    }
    // Others may act on the target meanwhile, and what is undone under their hands is worse than what is undone late.
    const isOurs = await waitLooking(() => this.#heard.fence !== undefined, () => ask().then(() => true), RUN_LOOKS, waitsUntilMs);
    if (!isOurs) raiseAlarm(this.#input, this.#settlement);
    return isOurs ? 'guarding' : 'giving the target back';
  }

  async #holdTarget(): Promise<Phase> {
    // From the grant: waiting for others is not the run's own time.
    this.#leaseExpiresAtMs = Date.now() + this.#input.lease.maximumMs;
    this.#run.watch();
    const refused = this.#isOver ? undefined : await this.#openPlace();
    while (!this.#isOver) {
      if (this.#heard.hasUnansweredTake && !this.#isTooLateToTell()) await this.#tellAgain(refused);
      const isTooLate = this.#isTooLateToTell();
      const inTime = await waitUntil(() => this.#isOver || (!isTooLate && this.#heard.hasUnansweredTake), this.#leaseLeftMs, `lease of ${this.#input.owner.workflowId} ends`);
      if (!inTime) await this.#endOverdueRun('its lease is over');
    }
    return 'settling';
  }

  async #settle(): Promise<Phase> {
    const { owner, lease } = this.#input;
    const ledger = await read.readLedger({ owner });
    // A dead run's activities may not know yet: they learn it with their next heartbeat. A living run has waited for its own.
    if (ledger.mayActForMs > 0) await sleep(ledger.mayActForMs, { summary: 'until the activities of the run can no longer act' });
    // A life that was reset to may have got the target from this guardian while what its former life held was lost with another.
    const asking = this.#heard.taken?.runId;
    if (asking !== undefined && asking !== owner.firstExecutionRunId) await this.#findFormer();
    this.#settledLedger = { entries: ledger.entries, fromMs: Date.now() };
    const settlement = await settle({
      // A life that did without what a former one had begun has not finished that.
      owner, outcome: this.#inherited?.byFormerLife && this.#outcome === 'succeeded' ? 'failed' : this.#outcome, undoAnyway: this.#heard.finished?.undoAnyway ?? [], entries: ledger.entries, lost: ledger.lost ?? [],
      undone: this.#former?.undone ?? [], places: this.#places(), leaseExpiresAtMs: this.#leaseExpiresAtMs,
      hostLossMs: lease.hostLossMs, proofGapMs: this.#heard.finished && ledger.mayActForMs === 0 ? PROOF_GAP_MS.alive : PROOF_GAP_MS.dead,
    });
    this.#settlement = besidesLeft(settlement, this.#former?.left ?? (this.#former?.state === 'endedByForce' && !this.#inherited ? nobodySettled() : null));
    raiseAlarm(this.#input, this.#settlement);
    return 'giving the target back';
  }

  /** Its own, and those that it inherits. */
  #places(): HeldPlace[] {
    const own = this.#heard.taken?.place && this.#heard.fence !== undefined ? [{ place: this.#heard.taken.place, fence: this.#heard.fence }] : [];
    return [...own, ...(this.#inherited?.places ?? [])];
  }

  async #release(): Promise<Phase> {
    this.#run.watch();
    // Nothing of the run acts any more. Evidence may wait for its disk for a day, and the next run must not wait with it.
    const [released] = await Promise.allSettled([
      (this.#heard.taken ?? this.#inherited) && write.releaseLock({ target: this.#input.target, guardianId: this.#self }),
      this.#heard.finished && !this.#run.end && this.#answerFirst(),
    ]);
    if (released.status === 'rejected') this.#notReleased = released.reason as Error;
    // A run that was reset after all this asks again: without an answer both would wait for ever.
    await this.#answerUntil(() => this.#run.end !== undefined);
    return 'seeing to the evidence';
  }

  /** What was settled answers who had asked first: a life that the run was reset to meanwhile may have done more. */
  async #answerFirst(): Promise<void> {
    const finish = this.#heard.nextFinish();
    if (!finish) return;
    if (finish.asking !== this.#heard.finished?.asking) await this.#lookWhatWasDoneSince();
    await this.#answerFinish(finish);
  }

  async #answerUntil(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      if (this.#heard.hasUnansweredTake) await this.#answerTake({ refused: 'the guardian of this run has torn down and given the target back already; start another run' });
      // Before the look: who asks during it may have done more than is found, and is answered after another.
      const finishes = this.#heard.nextFinishes();
      if (finishes.length > 0) {
        await this.#lookWhatWasDoneSince();
        await inParts(finishes.length, (index) => this.#answerFinish(finishes[index] as Finish));
      }
      await condition(() => isOver() || this.#heard.hasUnansweredTake || this.#heard.hasUnansweredFinish);
    }
  }

  /** A run that was reset to where it held its target does not ask for it again: it goes on without it. */
  async #lookWhatWasDoneSince(): Promise<void> {
    if (!this.#settledLedger) return;
    const { entries } = await read.readLedger({ owner: this.#input.owner });
    if (!isActedSince(this.#settledLedger, entries)) return;
    // Said once for all that there is by now.
    this.#settledLedger = { entries, fromMs: Date.now() };
    this.#settlement = besidesLeft(this.#settlement, actedSinceSettled());
    raiseAlarm(this.#input, this.#settlement);
  }

  async #record(): Promise<Phase> {
    const { owner, runbook, target } = this.#input;
    const { end } = this.#run;
    if (!end) throw new Error('the run has not ended yet');
    // The life that ended may not be the one that took the target, nor what was settled all that it did.
    if (end.runId !== this.#heard.taken?.runId) await this.#lookWhatWasDoneSince();
    // A run that was ended by force after its body had finished did not get to write its own.
    const byForce = end.status === 'terminated' || end.status === 'timedOut' ? end.status : undefined;
    const byUs = byForce && this.#overdueBecause !== undefined && this.#endedByUsAtMs !== undefined && end.closedAtMs >= this.#endedByUsAtMs ? { outcome: 'timedOut', failure: { type: 'LEASE_OVER', message: this.#overdueBecause } } as const : undefined;
    let isWritten = false;
    // Nor is how another life had ended how this one did.
    const finish = this.#heard.finishOf(end.runId);
    const settlement = finish ? this.#settlementFor(finish) : this.#settlement;
    const writing = write.writeEvidenceOfDeadRun({ owner, runbook, target: target === '' ? null : target, outcome: byForce ?? finish?.outcome ?? outcomeOf(end), ...byUs, end, settlement });
    // The disk may be away for a day, and who is reset meanwhile is to be told, too.
    [this.#files] = await Promise.all([writing.finally(() => { isWritten = true; }), this.#answerUntil(() => isWritten)]);
    await this.#run.stopWatching();
    // Not before there is evidence. A guardian that failed is seen, and the lock gives up one that is gone.
    if (this.#notReleased) throw this.#notReleased;
    return 'done';
  }

  /** Returns why it could not be opened: a run that is not told would wait for ever for what its guardian could not give it. */
  async #openPlace(): Promise<string | undefined> {
    const place = this.#heard.taken?.place ?? null;
    if (!place) return undefined;
    const { owner, lease } = this.#input;
    this.#doing = `opening the place of the ${place.title}`;
    const opened = callActivity({ activity: place.open, taskQueue: place.taskQueue, startToCloseMs: 60_000, input: { ...place.input, fence: this.#heard.fence, owner, leaseMs: this.#leaseLeftMs } }, `open the place of the ${place.title}`, lease.hostLossMs);
    return opened.then(() => undefined, sentenceOf).finally(() => { this.#doing = null; });
  }

  /** A run that was reset gets its fence once more, and not before the activities of its former life can no longer act in the same place. */
  async #tellAgain(refused: string | undefined): Promise<void> {
    const asking = this.#heard.firstTake()?.runId;
    // A guardian that was begun anew does not know what its former self has told: a run that was reset had a life before.
    const hadLives = this.#told > 0 || (asking !== undefined && asking !== this.#input.owner.firstExecutionRunId);
    // Before the wait: who asks during it may be a later life, and is answered after another.
    const asked = hadLives ? this.#heard.unansweredTakes : 1;
    if (hadLives && !(await this.#formerActsNoMore())) return;
    this.#told += asked;
    await inParts(asked, () => this.#answerTake({ fence: this.#heard.fence, refused }));
  }

  /** False where nobody needs the answer any more: the run is over, or its lease is. */
  async #formerActsNoMore(): Promise<boolean> {
    const { mayActForMs } = await read.readLedger({ owner: this.#input.owner });
    if (mayActForMs <= 0) return true;
    const summary = 'until the activities of the former run can no longer act';
    if (!patched(ENDS_IN_TIME)) return sleep(mayActForMs, { summary }).then(() => true);
    const leftMs = this.#leaseLeftMs;
    await waitUntil(() => this.#isOver, Math.min(mayActForMs, leftMs), summary);
    return !this.#isOver && mayActForMs <= leftMs;
  }

  /** However many ask: a lease is over when it is over. */
  #isTooLateToTell(): boolean {
    return this.#leaseLeftMs <= 0 && this.#heard.hasUnansweredTake && patched(ENDS_IN_TIME);
  }

  get #leaseLeftMs(): number {
    return this.#leaseExpiresAtMs - Date.now();
  }

  async #answerTake(answer: Pick<Owned, 'fence' | 'refused'>): Promise<void> {
    const take = this.#heard.nextTake();
    const { owner } = this.#input;
    await this.#handle.signal(owned, { owner, leaseExpiresAtMs: this.#leaseExpiresAtMs || Date.now() + this.#input.lease.maximumMs, ...answer, asking: take?.asking }).catch(() => undefined);
  }

  async #answerFinish(finish: Finish): Promise<void> {
    await this.#handle.signal(settled, { owner: this.#input.owner, ...this.#settlementFor(finish), asking: finish.asking }).catch(() => undefined);
  }

  /** What is settled, for a life that ended like this. */
  #settlementFor(finish: Finish): Settlement {
    return { ...this.#settlement, rolledBack: rolledBack(this.#settlement, this.#settledLedger?.entries ?? [], finish) };
  }

  async #endOverdueRun(reason: string): Promise<void> {
    const { owner, lease } = this.#input;
    // It may have ended long ago, while no worker was up to say so: then that is how it ended.
    if (!(await this.#run.lives())) return;
    this.#doing = 'ending a run whose lease is over';
    this.#overdueBecause = reason;
    await this.#handle.signal(overdue, { owner, reason, asking: this.#heard.asking }).catch(() => undefined);
    const gone = await waitUntil(() => this.#isOver, Math.min(END_GRACE_MS, lease.maximumMs), 'grace of an overdue run');
    if (gone) return;
    this.#run.watch();
    this.#endedByUsAtMs = Date.now();
    await write.endRun({ owner, how: 'terminate', reason: `${reason}, and it did not end when asked` });
    await condition(() => this.#run.end !== undefined);
  }

  get #handle() {
    return getExternalWorkflowHandle(this.#input.owner.workflowId);
  }

  get #outcome(): Outcome {
    return this.#heard.finished?.outcome ?? outcomeOf(this.#run.end);
  }
}

/** How a run ended that did not say so. */
function outcomeOf(end: RunEnd | undefined): Outcome {
  return end?.status === 'terminated' || end?.status === 'timedOut' || end?.status === 'cancelled' ? end.status : 'failed';
}
