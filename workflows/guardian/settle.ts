import { ActivityFailure, proxyActivities, sleep } from '@temporalio/workflow';
import type { Outcome, CompensationRecord, Teardown } from '../../contracts/evidence.ts';
import type { AbsenceProof, ActivityCall, LedgerEntry, Owner, Place } from '../../contracts/ledger.ts';
import { NOTHING_SETTLED, type Settlement } from '../../contracts/record.ts';
import { instantOf } from '../procedure/wait.ts';

export interface SettleInput {
  owner: Owner;
  outcome: Outcome;
  entries: LedgerEntry[];
  place: Place | null;
  fence: number;
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
  const compensations: CompensationRecord[] = [];
  for (const entry of toUndo(input.entries, input.outcome)) compensations.push(await undo(entry, input.hostLossMs));
  if (!input.place) {
    return { ...NOTHING_SETTLED, compensations };
  }
  return { compensations, teardown: await tearDown(input, input.place) };
}

/** Newest first; a step that ran twice registered one entry. On success only what is never kept. */
export function toUndo(entries: readonly LedgerEntry[], outcome: Outcome): LedgerEntry[] {
  const byId = new Map(entries.map((entry) => [entry.id, entry]));
  return [...byId.values()].filter((entry) => entry.when === 'always' || outcome !== 'succeeded').reverse();
}

async function undo(entry: LedgerEntry, hostLossMs: number): Promise<CompensationRecord> {
  const startedAt = instantOf(Date.now());
  const base = { id: entry.id, step: entry.step, title: entry.title, startedAt };
  try {
    const result = await callActivity<{ detail?: string } | undefined>(entry.call, `undo: ${entry.title}`, hostLossMs);
    return { ...base, outcome: 'done', finishedAt: instantOf(Date.now()), detail: result?.detail ?? null };
  } catch (error) {
    return { ...base, outcome: 'failed', finishedAt: instantOf(Date.now()), detail: sentenceOf(error) };
  }
}

async function tearDown(input: SettleInput, place: Place): Promise<Teardown> {
  const leaseExpiresAt = instantOf(input.leaseExpiresAtMs);
  const call = (activity: string): ActivityCall => ({
    activity, taskQueue: place.taskQueue, startToCloseMs: 10 * 60_000, heartbeatMs: 30_000,
    input: { ...place.input, fence: input.fence, owner: input.owner },
  });
  try {
    const { destroyed } = await callActivity<{ destroyed: string[] }>(call(place.close), `remove the ${place.title}`, input.hostLossMs);
    const proofs = [await callActivity<AbsenceProof>(call(place.prove), 'prove absence', input.hostLossMs)];
    if (input.proofGapMs > 0) await sleep(input.proofGapMs, { summary: 'before the second look' });
    proofs.push(await callActivity<AbsenceProof>(call(place.prove), 'prove absence again', input.hostLossMs));
    const provenAbsent = proofs.every((proof) => proof.found.length === 0);
    return { outcome: provenAbsent ? 'done' : 'failed', provenAbsent, leaseExpiresAt, destroyed, proofs };
  } catch (error) {
    return { outcome: 'failed', provenAbsent: false, leaseExpiresAt, destroyed: [], proofs: [{ at: instantOf(Date.now()), looked: [], found: [sentenceOf(error)] }] };
  }
}

/** Calls what the ledger holds by name. A host that is silent for `hostLossMs` counts as lost. */
export async function callActivity<T>(call: ActivityCall, summary: string, hostLossMs: number): Promise<T> {
  const proxies = proxyActivities<Record<string, (input: unknown) => Promise<unknown>>>({
    taskQueue: call.taskQueue,
    startToCloseTimeout: call.startToCloseMs,
    scheduleToStartTimeout: hostLossMs,
    scheduleToCloseTimeout: hostLossMs + 5 * call.startToCloseMs,
    ...(call.heartbeatMs === undefined ? {} : { heartbeatTimeout: call.heartbeatMs }),
    retry: { initialInterval: '500ms', maximumInterval: '10s', maximumAttempts: 20 },
    summary,
  });
  const activity = proxies[call.activity];
  if (!activity) throw new Error(`no activity ${call.activity}`);
  return (await activity(call.input)) as T;
}

/** What happened, for people. */
export function sentenceOf(error: unknown): string {
  if (error instanceof ActivityFailure) return `${error.activityType}: ${error.cause?.message ?? error.message}`;
  return error instanceof Error ? error.message : String(error);
}
