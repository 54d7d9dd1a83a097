import { CancellationScope, workflowInfo } from '@temporalio/workflow';
import type { RunSettings } from '../../contracts/runbook.ts';
import { UNKNOWN_VERSION, type RunRecord, type Settlement } from '../../contracts/record.ts';
import type { OperationRecord, Verdict } from '../../contracts/evidence.ts';
import type { GatePolicy } from '../../contracts/gate.ts';
import type { UndoEntry } from '../../contracts/ledger.ts';
import { instantOf } from './wait.ts';

/** A bare or named signal that waits to be identified. */
export interface PendingSignal {
  signal: 'approve' | 'reject';
  /** Which of the signals of this name it is, counted from 1: how its event is found in history. */
  ordinal: number;
  by: string | null;
  comment: string | null;
  planHash?: string | undefined;
  /** Whether it named its gate. */
  named: boolean;
}

export interface OpenGate {
  name: string;
  policy: GatePolicy;
  openedAtMs: number;
  expiresAtMs: number;
  inbox: PendingSignal[];
}

/** A stretch of a run's durable time. */
export interface Span { name: string; kind: 'step' | 'gate' | 'lock' | 'pause'; startedAtMs: number; finishedAtMs: number }

/**
 * So many refusals are kept in words, and so many refused decisions of one gate; the rest is counted. Whoever can reach the
 * server can send any number, and evidence must stay small enough to be written.
 */
export const KEPT_REFUSALS = 50;

/** Everything the kernel keeps of one run; plain data but for the scope of the body. */
export class RunState {
  readonly record: RunRecord;
  settings: RunSettings | undefined;
  phase = 'starting';
  paused = false;
  /** The body has ended: what it did is being undone, or written down. */
  isEnding = false;
  /** The first abort; null as long as nobody asked for one. */
  abort: OperationRecord | null = null;
  /** Why the run took too long, as its guardian said or as it found out itself; null as long as it did not. */
  overdue: string | null = null;
  openGate: OpenGate | undefined;
  readonly spans: Span[] = [];
  readonly undo: { step: string; entry: UndoEntry }[] = [];
  readonly signalsSeen = { approve: 0, reject: 0 };
  /** Set when the guardian is started with the run; resolves once it exists. */
  guarded: Promise<void> | undefined;
  /** What the run last asked its guardian for: only the answers to that are for it. See `asking` of the messages. */
  readonly asking: { take?: string; finish?: string } = {};
  /** What the guardian answered: the fence, or why there is none. */
  owned: { fence?: number | undefined; refused?: string | undefined } | undefined;
  settlement: Settlement | undefined;
  readonly verdictsWhenFailing = new Map<string, Verdict>();
  readonly bodyScope = new CancellationScope();

  constructor(runbook: string) {
    const info = workflowInfo();
    this.record = {
      runbook,
      target: null,
      requester: null,
      startedBy: null,
      reason: null,
      startedAtMs: info.startTime.getTime(),
      codeVersion: UNKNOWN_VERSION,
      plan: null,
      planHash: null,
      steps: [],
      gates: [],
      operations: [],
      checks: [],
      notVerified: { open: [], byDesign: [] },
      recovery: null,
      verdict: { restore: null, rto: null, rpo: null },
      refused: [],
      refusedLeftOut: 0,
      owner: { workflowId: info.workflowId, firstExecutionRunId: info.firstExecutionRunId },
      guardianId: null,
    };
  }

  /** Notes what somebody sent and what did not count, with the reason. */
  noteRefusal(sentence: string): void {
    const { record } = this;
    if (record.refused.length < KEPT_REFUSALS) record.refused.push(sentence);
    else record.refusedLeftOut += 1;
  }

  /** Ends the record of steps and gates that were open when the body ended. */
  closeOpenEntries(nowMs: number): void {
    for (const step of this.record.steps) {
      if (step.outcome !== 'running' && step.outcome !== 'waiting') continue;
      step.outcome = 'cancelled';
      step.finishedAt = instantOf(nowMs);
    }
    for (const gate of this.record.gates) {
      if (gate.outcome !== 'open') continue;
      gate.outcome = 'cancelled';
      gate.closedAt = instantOf(nowMs);
    }
  }
}
