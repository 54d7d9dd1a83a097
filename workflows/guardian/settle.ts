import { ActivityFailure, patched, proxyActivities, type RetryPolicy, sleep, TimeoutFailure } from '@temporalio/workflow';
import type { Outcome, CompensationRecord, Teardown } from '../../contracts/evidence.ts';
import { undoActivityId, type AbsenceProof, type ActivityCall, type HeldPlace, type LedgerEntry, type Owner, type Undone } from '../../contracts/ledger.ts';
import { isKeptResult, NOTHING_SETTLED, undoneBefore, unknownToUndo, type Settlement } from '../../contracts/record.ts';
import { firstOf, shortened } from '../../contracts/whole-characters.ts';
import { isHostTaskQueue } from '../../contracts/search-attributes.ts';
import { instantOf } from '../procedure/wait.ts';

/** What a run has left, as its guardian knows it. Times are in milliseconds, instants since 1970. */
export interface SettleInput {
  owner: Owner;
  outcome: Outcome;
  entries: LedgerEntry[];
  /** Ids of entries that are undone whatever the outcome. */
  undoAnyway: readonly string[];
  /** Runs whose histories are lost, and with them what they had registered. */
  lost: readonly string[];
  /** What former guardians have undone already. */
  undone: readonly Undone[];
  /** Where the run may have created something: its own place, and those of former lives that nobody has settled. */
  places: readonly HeldPlace[];
  leaseExpiresAtMs: number;
  hostLossMs: number;
  /**
   * Time between the two looks, for stragglers of a dead run. A living run has no activity in flight when it settles, and
   * a timer of any length takes the server up to a second: 0 means no timer.
   */
  proofGapMs: number;
}

/**
 * Undoes what the ledger holds, newest first; every entry is tried, whatever becomes of the others. Then the place is
 * closed, which revokes the fence, and its absence is proven twice. Never throws: what failed is in the result.
 */
export async function settle(input: SettleInput): Promise<Settlement> {
  const compensations: CompensationRecord[] = input.lost.map((runId) => unknownToUndo(runId, instantOf(Date.now())));
  for (const entry of toUndo(input.entries, input.outcome, input.undoAnyway)) compensations.push(undoneBefore(entry, input.undone) ?? (await undo(entry, input.hostLossMs)));
  const teardowns: Teardown[] = [];
  for (const held of distinct(input.places)) teardowns.push(await tearDown(input, held));
  const whole = { compensations, teardown: teardowns.length === 0 ? NOTHING_SETTLED.teardown : together(teardowns) };
  const short = { compensations: compensations.map((one) => ({ ...one, detail: one.detail === null ? null : shortened(one.detail, compensations.length > MOST ? LONGEST / 8 : LONGEST) })), teardown: inShort(whole.teardown) };
  // What people are told of it has an id that is made of these words.
  return JSON.stringify(short) === JSON.stringify(whole) || !patched('says in short what is settled') ? whole : short;
}

/** It goes to the run in one message, and into evidence: each thing is said in so many characters, and of many alike the first. */
const LONGEST = 2_000;
const MOST = 100;

/** Of so many looks: those that found something before all others. */
const MOST_PROOFS = 6;

/** What was found comes last. */
function lastOf(text: string, most: number): string {
  return Array.from(text.slice(-most)).slice(1).join('');
}

function inShort(teardown: Teardown): Teardown {
  const first = (all: readonly string[]): string[] => [...all.slice(0, MOST).map((one) => shortened(one, LONGEST / 4)), ...(all.length > MOST ? [`and ${all.length - MOST} more`] : [])];
  return { ...teardown, destroyed: first(teardown.destroyed), failure: teardown.failure === null || teardown.failure.length <= LONGEST ? teardown.failure : `${firstOf(teardown.failure, LONGEST / 2)} … ${lastOf(teardown.failure, LONGEST / 2)}`, proofs: teardown.proofs.toSorted((a, b) => (teardown.proofs.length > MOST_PROOFS ? Math.sign(b.found.length) - Math.sign(a.found.length) : 0)).slice(0, MOST_PROOFS).map((proof) => ({ ...proof, looked: first(proof.looked), found: first(proof.found) })) };
}

/** An idle lock gives back the fence that it gave before: then two places may be one, where they are on one host. */
function distinct(places: readonly HeldPlace[]): HeldPlace[] {
  return [...new Map(places.map((held) => [JSON.stringify([held.fence, held.place.taskQueue, held.place.close, held.place.input]), held])).values()];
}

/** What is said of several places: all is proven to be gone, or it is not. */
function together(teardowns: readonly Teardown[]): Teardown {
  const failures = teardowns.map(({ failure }) => failure).filter((one) => one !== null);
  const provenAbsent = teardowns.every((one) => one.provenAbsent);
  return {
    outcome: provenAbsent ? 'done' : 'failed', provenAbsent, leaseExpiresAt: teardowns[0]?.leaseExpiresAt ?? null,
    destroyed: teardowns.flatMap(({ destroyed }) => destroyed), failure: failures.length > 0 ? failures.join('; ') : null, proofs: teardowns.flatMap(({ proofs }) => proofs),
  };
}

/** Newest first; a step that ran twice registered one entry. On success only what is never kept, and what `undoAnyway` names. */
export function toUndo(entries: readonly LedgerEntry[], outcome: Outcome, undoAnyway: readonly string[]): LedgerEntry[] {
  const byId = new Map(entries.map((entry) => [entry.id, entry]));
  return [...byId.values()].filter((entry) => outcome !== 'succeeded' || !isKeptResult(entry, undoAnyway)).reverse();
}

async function undo(entry: LedgerEntry, hostLossMs: number): Promise<CompensationRecord> {
  const startedAt = instantOf(Date.now());
  const base = { id: entry.id, step: entry.step, title: entry.title, startedAt };
  try {
    const result = await callActivity<{ detail?: string } | undefined>(entry.call, `undo: ${entry.title}`, hostLossMs, undoActivityId(entry.id));
    return { ...base, outcome: 'done', finishedAt: instantOf(Date.now()), detail: result?.detail ?? null };
  } catch (error) {
    return { ...base, outcome: 'failed', finishedAt: instantOf(Date.now()), detail: sentenceOf(error) };
  }
}

/** Looks twice also when removing failed: what is left then is what people have to know. */
async function tearDown(input: SettleInput, { place, fence }: HeldPlace): Promise<Teardown> {
  const call = (activity: string): ActivityCall => ({
    activity, taskQueue: place.taskQueue, startToCloseMs: 10 * 60_000, heartbeatMs: 30_000,
    input: { ...place.input, fence, owner: input.owner },
  });
  const retry = isHostTaskQueue(place.taskQueue) ? SOON_GIVEN_UP : LATE_GIVEN_UP;
  const look = (summary: string) => callActivity<AbsenceProof>(call(place.prove), summary, input.hostLossMs, undefined, retry);
  const failures: string[] = [];
  const proofs: AbsenceProof[] = [];
  let destroyed: string[] = [];
  let isHostLost = false;
  try {
    ({ destroyed } = await callActivity<{ destroyed: string[] }>(call(place.close), `remove the ${place.title}`, input.hostLossMs, undefined, retry));
  } catch (error) {
    isHostLost = isUnheard(error);
    failures.push(sentenceOf(error));
  }
  try {
    if (!isHostLost) {
      proofs.push(await look('prove absence'));
      if (input.proofGapMs > 0) await sleep(input.proofGapMs, { summary: 'before the second look' });
      proofs.push(await look('prove absence again'));
    }
  } catch (error) {
    failures.push(sentenceOf(error));
  }
  const found = [...new Set(proofs.flatMap((proof) => proof.found))];
  const provenAbsent = proofs.length === 2 && found.length === 0;
  if (found.length > 0) failures.push(`found ${found.join(', ')}`);
  if (isHostLost) failures.push(`nobody on ${place.taskQueue} took the work, so nobody has looked`);
  // What is proven to be gone is gone; that something kept it from being removed, all the same, is not kept back.
  return { outcome: provenAbsent ? 'done' : 'failed', provenAbsent, leaseExpiresAt: instantOf(input.leaseExpiresAtMs), destroyed, failure: failures.length > 0 ? failures.join('; ') : null, proofs };
}

/** Whether no worker of the host took the task at all. */
function isUnheard(error: unknown): boolean {
  return error instanceof ActivityFailure && error.cause instanceof TimeoutFailure && error.cause.timeoutType === 'SCHEDULE_TO_START';
}

/** Some minutes: what follows, and people, wait for it. */
const SOON_GIVEN_UP: RetryPolicy = { initialInterval: '500ms', maximumInterval: '10s', maximumAttempts: 20 };
/** Most of a day. What any worker could remove, and nobody has, is of no host that sweeps it later. */
const LATE_GIVEN_UP: RetryPolicy = { initialInterval: '500ms', maximumInterval: '1m', maximumAttempts: 1_000 };

/**
 * Calls what the ledger holds by name. A host that is silent for `hostLossMs` counts as lost: another cannot do its work.
 * What any worker can do waits for one, however long that takes; only attempts that failed are counted.
 */
export async function callActivity<T>(call: ActivityCall, summary: string, hostLossMs: number, activityId?: string, retry = SOON_GIVEN_UP): Promise<T> {
  const proxies = proxyActivities<Record<string, (input: unknown) => Promise<unknown>>>({
    taskQueue: call.taskQueue,
    startToCloseTimeout: call.startToCloseMs,
    ...(isHostTaskQueue(call.taskQueue) ? { scheduleToStartTimeout: hostLossMs, scheduleToCloseTimeout: hostLossMs + 5 * call.startToCloseMs } : {}),
    ...(call.heartbeatMs === undefined ? {} : { heartbeatTimeout: call.heartbeatMs }),
    retry,
    summary,
    ...(activityId === undefined ? {} : { activityId }),
  });
  const activity = proxies[call.activity];
  if (!activity) throw new Error(`no activity ${call.activity}`);
  return (await activity(call.input)) as T;
}

/** What happened, for people: which activity, and why, down to the cause, which often is the only one who knows what to do. */
export function sentenceOf(error: unknown): string {
  const reasons: string[] = [];
  for (let reason = error instanceof ActivityFailure ? error.cause : error; reason instanceof Error; reason = reason.cause) {
    const { message } = reason;
    if (message !== '' && !reasons.some((said) => said.includes(message))) reasons.push(message);
  }
  if (reasons.length === 0) reasons.push(error instanceof Error ? error.message : String(error));
  return `${error instanceof ActivityFailure ? `${error.activityType}: ` : ''}${reasons.join(': ')}`;
}
