import type { Check, CompensationRecord, Evidence, GateRecord, OperationRecord, Outcome, Recovery, StepRecord, Teardown, Verdict } from './evidence.ts';
import type { Owner } from './ledger.ts';

/** What was not verified, and why. */
export interface NotVerifiedReasons {
  /** Should have been: the verdict cannot be `sound`. */
  open: string[];
  /** Nobody could, or the configuration wants it so: stated, and the verdict stays. */
  byDesign: string[];
}

/**
 * What the kernel knows of a run while it runs. The `record` query returns it, also for a run that is closed, which is
 * how the guardian writes the evidence of a run that cannot do so itself.
 */
export interface RunRecord {
  runbook: string;
  target: string | null;
  requester: string | null;
  reason: string | null;
  startedAtMs: number;
  codeVersion: string;
  plan: unknown;
  planHash: string | null;
  steps: StepRecord[];
  gates: GateRecord[];
  operations: OperationRecord[];
  checks: Check[];
  notVerified: NotVerifiedReasons;
  recovery: Recovery | null;
  verdict: Verdict;
  /** Decisions and messages that changed nothing, with the reason. */
  refused: string[];
  /** How many more there were than {@link refused} keeps. */
  refusedLeftOut: number;
  owner: Owner;
  guardianId: string | null;
}

/** What the guardian did when a run ended. */
export interface Settlement { compensations: CompensationRecord[]; teardown: Teardown }

/** The settlement of a run that never owned anything. */
export const NOTHING_SETTLED: Settlement = {
  compensations: [],
  teardown: { outcome: 'notNeeded', provenAbsent: true, leaseExpiresAt: null, destroyed: [], proofs: [] },
};

/** Puts the record of a run into the form that evidence has. */
export function evidenceOf(record: RunRecord, end: { outcome: Outcome; failure: Evidence['failure']; settlement: Settlement; runId: string; finishedAtMs: number; writtenBy: 'run' | 'guardian' }): Evidence {
  return {
    schemaVersion: 1,
    runbook: record.runbook,
    workflowId: record.owner.workflowId,
    runId: end.runId,
    target: record.target,
    requester: record.requester,
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
    recovery: record.recovery,
    checks: record.checks,
    compensations: end.settlement.compensations,
    teardown: end.settlement.teardown,
    notVerified: [...record.notVerified.open, ...record.notVerified.byDesign],
    chain: { codeVersion: record.codeVersion, planHash: record.planHash, writtenBy: end.writtenBy },
  };
}
