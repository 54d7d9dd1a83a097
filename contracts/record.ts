import type { Check, CompensationRecord, Evidence, GateRecord, OperationRecord, Outcome, Recovery, StartedBy, StepRecord, Teardown, Verdict } from './evidence.ts';
import type { FailureType } from './failures.ts';
import { undoActivityId, type LedgerEntry, type Owner, type Undone } from './ledger.ts';
import type { Refusals } from './messages.ts';

/** What was not verified, and why. */
export interface NotVerifiedReasons {
  /** Should have been: the verdict cannot be `sound`. */
  open: string[];
  /** Nobody could, or the configuration wants it so: stated, and the verdict stays. */
  byDesign: string[];
}

/** A step as its run knows it. How often its activities were tried only history knows; runs of older code say 1. */
export type RunStep = Omit<StepRecord, 'attempts'> & Partial<Pick<StepRecord, 'attempts'>>;

/** Evidence before attempts are counted and costs reckoned, which whoever writes it does. */
export type UncountedEvidence = Omit<Evidence, 'steps' | 'costs'> & { steps: RunStep[] };

/**
 * What the kernel knows of a run while it runs. The `record` query returns it, also for a run that is closed, which is
 * how the guardian writes the evidence of a run that cannot do so itself.
 */
export interface RunRecord extends Refusals {
  runbook: string;
  target: string | null;
  requester: string | null;
  startedBy: StartedBy | null;
  reason: string | null;
  startedAtMs: number;
  codeVersion: string;
  plan: unknown;
  planHash: string | null;
  steps: RunStep[];
  gates: GateRecord[];
  operations: OperationRecord[];
  /** Absent from a run of older code. */
  operationsLeftOut?: number;
  checks: Check[];
  notVerified: NotVerifiedReasons;
  recovery: Recovery | null;
  verdict: Verdict;
  owner: Owner;
  guardianId: string | null;
}

/** The code version of a run that ended before it was told. */
export const UNKNOWN_VERSION = 'unknown';

/** What the guardian did when a run ended. `rolledBack`: why what the run did is no result any more, where its body succeeded all the same. */
export interface Settlement { compensations: CompensationRecord[]; teardown: Teardown; rolledBack?: string | undefined }

/** The settlement of a run that never owned anything: nothing was created, so nobody had to look. */
export const NOTHING_SETTLED: Settlement = {
  compensations: [],
  teardown: { outcome: 'notNeeded', provenAbsent: true, leaseExpiresAt: null, destroyed: [], failure: null, proofs: [] },
};

function notTornDown(failure: string): Teardown {
  return { ...NOTHING_SETTLED.teardown, outcome: 'failed', provenAbsent: false, failure };
}

/** The settlement of a run that owned nothing, and of whose former lives nobody knows whether they did. `at`: now, as RFC 3339. */
export function settledAsFarAsKnown(lost: readonly string[], at: string): Settlement {
  if (lost.length === 0) return NOTHING_SETTLED;
  const failure = 'the server no longer has the histories of former lives of this run, so nobody knows what those had created';
  return { compensations: lost.map((runId) => unknownToUndo(runId, at)), teardown: notTornDown(failure) };
}

/** The settlement of a run that acted, and whose guardian is gone. */
export function nobodySettled(): Settlement {
  const failure = 'the guardian of this run was ended by force; nobody has looked, and the worker of the host removes what is left there';
  return { ...NOTHING_SETTLED, teardown: notTornDown(failure) };
}

/** What there is to say of a run that was reset to where it held its target, and went on when its guardian had settled and given that back. */
export function actedSinceSettled(): Settlement {
  const failure = 'the run was reset, and went on when its guardian had torn down and given the target back; what it did since nobody has undone';
  return { ...NOTHING_SETTLED, teardown: notTornDown(failure) };
}

/** What there is to say of a run that was reset, and came to no good end, of what was kept when a former life succeeded. */
function keptStanding(kept: readonly LedgerEntry[]): Settlement {
  const failure = `the run was reset, and nobody has undone what it did, or rests on; this was not done: ${kept.map(({ title }) => title).join(', ')}`;
  return { ...NOTHING_SETTLED, teardown: notTornDown(failure) };
}

/** A settlement that does not claim that nothing was to be undone, where what nobody has undone is `kept`. What it tells of itself is not said twice. */
export function besidesKept(settlement: Settlement | undefined, kept: readonly LedgerEntry[]): Settlement | undefined {
  const told = new Set(settlement?.compensations.map(({ id }) => id));
  const untold = kept.filter(({ id }) => !told.has(id));
  return untold.length === 0 ? settlement : besidesLeft(settlement ?? NOTHING_SETTLED, keptStanding(untold));
}

/**
 * Why what a run did is no result though its body succeeded, where guardians undid some of it for a former life; see {@link Settlement}.
 * @param entries of its ledger
 */
export function rolledBack({ compensations }: Pick<Settlement, 'compensations'>, entries: readonly LedgerEntry[], finish: { outcome: Outcome; undoAnyway?: readonly string[] | undefined }): string | undefined {
  if (finish.outcome !== 'succeeded') return undefined;
  const results = new Set(entries.filter((entry) => isKeptResult(entry, finish.undoAnyway ?? [])).map(({ id }) => id));
  const undone = compensations.filter(({ id, outcome }) => outcome === 'done' && results.has(id)).map(({ title }) => title);
  return undone.length === 0 ? undefined : `the run was reset, and what a former life had done that came to no good end was undone, so that it is no result of this one either (${undone.join(', ')}); start another run`;
}

/**
 * What of an entry former guardians undid after it was last begun, and had come to its end: others may have changed since what it would
 * undo once more. What a step did after that is not undone by it.
 */
export function undoneBefore({ id, step, title, registeredAt, endedAt = registeredAt }: LedgerEntry, undone: readonly Undone[]): CompensationRecord | undefined {
  const doneAtMs = Math.max(Date.parse(registeredAt), Date.parse(endedAt));
  const before = undone.findLast(({ activityId, startedAt }) => activityId === undoActivityId(id) && Date.parse(startedAt) >= doneAtMs);
  return before && { id, step, title, outcome: 'done', startedAt: before.startedAt, finishedAt: before.finishedAt, detail: before.detail };
}

/** Whether an entry was undone while it was being done: a life goes on that its run was reset to after it held its target. */
export function isUndoneUnderWay(entry: LedgerEntry, undone: readonly Undone[]): boolean {
  const { endedAt: _, ...begun } = entry;
  return undoneBefore(entry, undone) === undefined && undoneBefore(begun, undone) !== undefined;
}

/** What a guardian has settled: these entries of a ledger, from this instant on. */
export interface SettledLedger { entries: readonly LedgerEntry[]; fromMs: number }

/** Whether of what a ledger holds now anything was begun after it was settled, or came to its end only then. */
export function isActedSince({ entries, fromMs }: SettledLedger, now: readonly LedgerEntry[]): boolean {
  const settled = new Map(entries.map(({ id, registeredAt }) => [id, registeredAt]));
  return now.some(({ id, registeredAt, endedAt }) => (settled.get(id) ?? '') < registeredAt || (endedAt !== undefined && Date.parse(endedAt) > fromMs));
}

/** Whether what an entry undoes is kept where the run succeeds. @param undoAnyway ids of what is undone however it ends */
export function isKeptResult({ id, declaredId, when }: LedgerEntry, undoAnyway: readonly string[]): boolean {
  return when !== 'always' && !undoAnyway.includes(declaredId ?? id);
}

/** A settlement that does not deny what is `left` of a former life's: what was not proven to be gone then is not proven by what is looked for now. */
export function besidesLeft(settlement: Settlement, left: Settlement | null): Settlement {
  if (!left || left.teardown.outcome !== 'failed') return settlement;
  const { teardown } = settlement;
  const failure = [teardown.failure, left.teardown.failure].filter((one) => one !== null).join('; ');
  return { ...settlement, teardown: { ...teardown, outcome: 'failed', provenAbsent: false, failure: failure === '' ? null : failure } };
}

/** People have to look: nobody else can. */
export function unknownToUndo(runId: string, at: string): CompensationRecord {
  return {
    id: `history of ${runId}`, step: 'unknown', title: `undo what run ${runId} registered`, outcome: 'failed', startedAt: at, finishedAt: at,
    detail: 'the server no longer has its history, so nobody knows whether there was anything; look by hand for what its runbook does',
  };
}

/** What a run may have left behind, in words; null when everything is undone and proven to be gone. */
export function leftBehind({ compensations, teardown }: Pick<Settlement, 'compensations' | 'teardown'>): string | null {
  const left = compensations.filter(({ outcome }) => outcome === 'failed').map(({ title, detail }) => `this was not done: ${title}${detail === null ? '' : ` (${detail})`}`);
  if (teardown.outcome === 'failed') {
    const found = [...new Set(teardown.proofs.flatMap((proof) => proof.found))];
    left.push(`what the run created may still be there: ${teardown.failure ?? (found.join(', ') || 'its absence is not proven')}`);
  }
  return left.length === 0 ? null : left.join('; ');
}

/** How a run ended. */
export interface End { outcome: Outcome; failure: Evidence['failure'] }

/** How a run ended, once it is settled: one that did what it is for, and left something behind or had it undone, has failed. */
export function endOf(end: End, settlement: Settlement): End {
  const left = leftBehind(settlement);
  if (settlement.rolledBack !== undefined && end.outcome === 'succeeded') {
    return { outcome: 'failed', failure: { type: 'FENCED' satisfies FailureType, message: [settlement.rolledBack, left].filter((one) => one !== null).join('; ') } };
  }
  return left === null || end.outcome !== 'succeeded' ? end : { outcome: 'failed', failure: { type: 'TEARDOWN_FAILED' satisfies FailureType, message: left } };
}

/** What a run's result, or the details of its failure, say of the teardown. */
export interface TeardownResult extends Pick<Teardown, 'outcome' | 'provenAbsent'> {
  /** What may be left behind, in words; null when nothing is. */
  left: string | null;
}

/** Ends the record of steps and gates that were open when their run ended. */
export function closeOpenEntries({ steps, gates }: Pick<RunRecord, 'steps' | 'gates'>, at: string): void {
  for (const step of steps) {
    if (step.outcome !== 'running' && step.outcome !== 'waiting') continue;
    step.outcome = 'cancelled';
    step.finishedAt = at;
  }
  for (const gate of gates) {
    if (gate.outcome !== 'open') continue;
    gate.outcome = 'cancelled';
    gate.closedAt = at;
  }
}

/** Puts the record of a run into the form that evidence has. */
export function evidenceOf(record: RunRecord, end: End & { settlement: Settlement; runId: string; finishedAtMs: number; writtenBy: 'run' | 'guardian' }): UncountedEvidence {
  return {
    schemaVersion: 1,
    runbook: record.runbook,
    workflowId: record.owner.workflowId,
    runId: end.runId,
    target: record.target,
    requester: record.requester,
    startedBy: record.startedBy,
    reason: record.reason,
    outcome: end.outcome,
    failure: end.failure,
    verdict: record.verdict,
    startedAt: new Date(record.startedAtMs).toISOString(),
    finishedAt: new Date(end.finishedAtMs).toISOString(),
    plan: record.plan,
    steps: record.steps,
    gates: record.gates,
    operations: record.operations,
    operationsLeftOut: record.operationsLeftOut ?? 0,
    refused: record.refused,
    refusedLeftOut: record.refusedLeftOut,
    recovery: record.recovery,
    checks: record.checks,
    compensations: end.settlement.compensations,
    teardown: end.settlement.teardown,
    notVerified: [...record.notVerified.open, ...record.notVerified.byDesign],
    chain: { codeVersion: record.codeVersion, planHash: record.planHash, writtenBy: end.writtenBy, seal: null },
  };
}
