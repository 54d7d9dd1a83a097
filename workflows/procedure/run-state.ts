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

/** Everything the kernel keeps of one run; plain data but for the scope of the body. */
export class RunState {
  readonly record: RunRecord;
  settings: RunSettings | undefined;
  phase = 'starting';
  paused = false;
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
  ownedFence: number | undefined;
  /** Why the guardian could not open the run's place. */
  refusedPlace: string | undefined;
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
