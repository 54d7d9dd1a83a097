import type { Outcome } from '../../contracts/evidence.ts';
import type { FailureType } from '../../contracts/failures.ts';
import type { HeldPlace, LedgerEntry, Owner, Undone } from '../../contracts/ledger.ts';
import type { LockEvent, LockRequest, LockState } from '../../contracts/lock-state.ts';
import type { RunSettings } from '../../contracts/runbook.ts';
import type { Settlement, UncountedEvidence } from '../../contracts/record.ts';

/** `ordinal`: which of the signals of its name it is, counted from 1; `gateOpenedAtMs`: since 1970, by the workflow's clock. */
export interface IdentifyDecisionInput { workflowId: string; runId: string; signal: 'approve' | 'reject'; ordinal: number; gateOpenedAtMs: number }
/**
 * When the server took a decision up, and from whom. `identity`: what the client called itself; `principal`: stamped by the server
 * from a verified token, null without one; `beforeGateWasVisible`: nobody can have seen the gate by then.
 */
export interface DecisionEvent { atMs: number; identity: string; principal: string | null; beforeGateWasVisible: boolean }

/** `updateId`: as the client chose it; it is unique within the run. */
export interface IdentifyUpdateInput { workflowId: string; runId: string; updateId: string }
/** Who sent an update, and when the server accepted it. */
export interface UpdateEvent { atMs: number; identity: string; principal: string | null }

/** Which of the signals of its name a decision is, counted from 1, or the id of its update. */
export type SentDecision = { signal: 'approve' | 'reject'; ordinal: number } | { updateId: string };
/** The answers come in the order of `decisions`. */
export interface IdentifyDecisionsInput { workflowId: string; runId: string; decisions: SentDecision[]; gateOpenedAtMs: number }

/** `principals`: whose key it is, by the allowed-signers file; `key`: as `ssh-keygen -l` shows it. `refused`: why the signature is worth nothing. */
export type VerifiedSignature = { refused: null; principals: string[]; key: string } | { refused: string };

/** What a former lock held. `since`: from a worker of older code, what has happened to that, where only the lock's history could say it. */
export type FormerLock = LockState & { since?: LockEvent[] | undefined };

/** Who holds a target since when, and who waits, in the order in which they get it. */
export interface LockView { holders: { workflowId: string; runbook: string; since: string }[]; waiting: { workflowId: string; runbook: string; since: string }[] }

/** `runId`: of the last of the run's lives; `closedAtMs`: by the server's clock, since 1970. */
export interface RunEnd { status: 'completed' | 'failed' | 'cancelled' | 'terminated' | 'timedOut'; runId: string; closedAtMs: number }

/** What the histories of a run and its former lives say of what it did, whatever became of the run itself. */
export interface Ledger {
  entries: LedgerEntry[];
  /** The longest heartbeat time-out (or time limit) of activities that had not ended: so long they may still act. */
  mayActForMs: number;
  /** Attempts of each step's activities, summed. */
  attempts: Record<string, number>;
  /** Runs of this owner whose histories the server no longer has. Older code does not say. */
  lost?: string[];
}

/** Where evidence and report are. `head`: what the chain of the evidence ends with; null where it has none. */
export interface EvidenceFiles { evidence: string; report: string; head: string | null }

/** A run that may not have written its evidence. `failure`: why its guardian ended it, where it did. */
export interface DeadRun { owner: Owner; runbook: string; target: string | null; outcome: Outcome; failure?: { type: FailureType; message: string }; end: RunEnd | null; settlement: Settlement }

/** What guardians held and nobody has settled. `places`: with the fences under which they were opened. `byFormerLife`: the life that there is now took nothing itself. */
export interface Unsettled { places: HeldPlace[]; byFormerLife: boolean }

/**
 * Who guarded a run and its former lives. `none`: there was nobody, or all is settled. `unsettled`: what a guardian did not
 * come to, which one that is begun anew does; null where nobody can know. `left`: what the last that settled could not do.
 * `lost`: former lives whose histories the server no longer has, where no guardian is known either. `undone`: what former
 * guardians did undo, the oldest first. `standing`: what of the ledger was undone and not done again since, told with `none` only;
 * runs of older code were not told.
 */
export interface FormerGuardian { state: 'none' | 'lives' | 'endedByForce'; unsettled: Unsettled | null; left: Settlement | null; lost: string[]; undone: Undone[]; standing?: LedgerEntry[] }

/** `standing`: what of a life's ledger was undone and not done again since; `undone`: what guardians did undo, the oldest first; `kept`: what of it nobody has undone, as far as the server knows all of them. */
export interface RolledBack { standing: LedgerEntry[]; undone: Undone[]; kept: LedgerEntry[] }

/** What there is to say of a run that was ended by force without a guardian. `left`: what the guardian of a former life could not undo; `lost`: former lives whose histories the server no longer has, and of which no guardian is known. */
export interface UnguardedEnd { left: Settlement | null; lost: readonly string[] }

/** What the kernel needs of the world. All are safe to call twice. */
export interface KernelActivities {
  describeRun(input: { runbook: string; target: string | undefined; gates: readonly string[]; run: { workflowId: string; runId: string } }): Promise<RunSettings>;
  identifyDecision(input: IdentifyDecisionInput): Promise<DecisionEvent>;
  identifyUpdate(input: IdentifyUpdateInput): Promise<UpdateEvent>;
  /** Both, for many that wait: one look at the history, whoever has sent how many. */
  identifyDecisions(input: IdentifyDecisionsInput): Promise<DecisionEvent[]>;
  /** Whether one of the allowed signers signed exactly this statement, for the namespace of our approvals. */
  verifySignature(input: { statement: string; signature: string }): Promise<VerifiedSignature>;
  /** The same for many, in their order. */
  verifySignatures(input: { signed: { statement: string; signature: string }[] }): Promise<VerifiedSignature[]>;
  requestLock(input: { target: string; request: LockRequest }): Promise<void>;
  /** What the lock of this workflow id held that was ended last, by `closedByMs` where that is given: that of `runId`, or one that is known to have ended after it. Null where there was none, or the server has forgotten it. */
  findFormerLock(input: { lockId: string; runId?: string | undefined; closedByMs?: number | undefined }): Promise<FormerLock | null>;
  /** Who holds a target and who waits, as its lock says. */
  describeLock(input: { target: string }): Promise<LockView>;
  releaseLock(input: { target: string; guardianId: string }): Promise<void>;
  /** Which of these guardians no longer run, so that the lock can be taken from them. */
  findDeadGuardians(input: { guardianIds: string[] }): Promise<string[]>;
  /** What the end of a run must not deny: what it and its former lives did, and who undoes that. `besides`: the guardian's run that asks, where one does. */
  findFormerGuardian(input: { owner: Owner; besides?: string }): Promise<FormerGuardian>;
  /** What of what this life of a run did, or rests on where it was reset to, any guardian has undone since, also for another life, and also one that did not come to say so; and what nobody has. */
  findRolledBack(input: { owner: Owner; runId: string }): Promise<RolledBack>;
  /** What the evidence of a run that was ended by force may say without its guardian; null where that is not for another to write: a guardian lives, knew what the run did, or has written it, or the run goes on in what it was reset to. */
  findUnguardedEnd(input: { owner: Owner; runId: string }): Promise<UnguardedEnd | null>;
  /** Why the guardian of a run has told it, or a former life of it, that its lease is over; null where there is no guardian, or it has not. */
  findOverdue(input: { owner: Owner }): Promise<string | null>;
  /** Looks once: null while the run lives. */
  findRunEnd(input: { owner: Owner }): Promise<RunEnd | null>;
  /** Watches until the run has ended; each that watches takes one of a worker's places for activities. */
  awaitRunEnd(input: { owner: Owner }): Promise<RunEnd>;
  endRun(input: { owner: Owner; how: 'cancel' | 'terminate'; reason: string }): Promise<void>;
  readLedger(input: { owner: Owner }): Promise<Ledger>;
  /** Adds what only history knows: how often each step was tried. A run that was scheduled by older code names no owner, and has counted itself. */
  writeEvidence(input: { owner?: Owner; evidence: UncountedEvidence }): Promise<EvidenceFiles>;
  /** Writes the evidence of a run that could not do so itself; does nothing when it did, on whatever host. */
  writeEvidenceOfDeadRun(input: DeadRun): Promise<EvidenceFiles>;
}
