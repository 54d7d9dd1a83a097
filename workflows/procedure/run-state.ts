import { CancellationScope, workflowInfo } from '@temporalio/workflow';
import type { z } from 'zod';
import type { LockView, SentDecision } from '../../activities/kernel/kernel-activities.ts';
import type { RunbookContract, RunSettings } from '../../contracts/runbook.ts';
import { UNKNOWN_VERSION, type RunRecord, type RunStep, type Settlement } from '../../contracts/record.ts';
import type { GateRecord, OperationRecord, Verdict } from '../../contracts/evidence.ts';
import type { GatePolicy } from '../../contracts/gate.ts';
import type { Place, UndoEntry } from '../../contracts/ledger.ts';
import type { People } from '../../contracts/people.ts';
import type { SearchAttributeName } from '../../contracts/search-attributes.ts';
import { shortened } from '../../contracts/whole-characters.ts';
import type { ActivitiesUnderWay } from './activities-under-way.ts';
import type { Correction } from './corrections.ts';
import { forgetRefused, noteEvent } from './gate-record.ts';
import { keepNewest } from './keep-newest.ts';
import type { LadderState } from './ladder.ts';

/** A decision that waits to be identified, and its sender for an answer where it came as an update. */
export interface PendingDecision {
  decision: 'approve' | 'reject';
  /** How its event is found in history. */
  event: SentDecision;
  by: string | null;
  comment: string | null;
  planHash?: string | undefined;
  signature?: string | undefined;
  /** Whether the client put the hash in, and not whoever decided. */
  planHashFilledIn?: boolean | undefined;
  /** When the run took it. */
  receivedAtMs: number;
  /** Whether it named its gate. */
  named: boolean;
  /** What became of it. `refused`: why it does not count. */
  answer?: { refused: string | null; by: string | null };
}

/**
 * What the run keeps of the gate that waits, of which there is one at a time. Instants are in
 * milliseconds since 1970, by the workflow's clock.
 */
export interface OpenGate extends LadderState {
  name: string;
  policy: GatePolicy;
  record: GateRecord;
  /** When the gate began to show another plan than the one it, or the one before of its name, opened with; absent as long as it has not. */
  planShownAtMs?: number;
  inbox: PendingDecision[];
  /** When the last decision was sent that was judged; what waits came later. */
  judgedUpToMs?: number;
  /** More came while decisions were judged: that puts off nothing that the gate does by itself. */
  isBehind?: boolean;
  /** Since when it waits for people: it does not while its plan is looked at once more. */
  waitsSinceMs: number;
  /** The parts of the plan that it shows, each by its hash. */
  shownParts: Record<string, string>;
  /** Looks at its plan once more, after people have decided. */
  recheck?: (() => Promise<void>) | undefined;
  /** Rises with what operators change of the gate. */
  changes: number;
  /** Who asked for what is decided here, beside whoever asked for the run; absent where nobody else did. */
  requester?: string;
}

/** What an operator makes of a step that waits. */
export type Answer = { kind: 'retry'; by: string; reason: string; input?: unknown } | { kind: 'skip'; by: string; reason: string };

/** A step that waits for an operator: it failed, or the run is paused before it. */
export interface WaitingStep {
  name: string;
  /** Why it failed; null for one that has not begun. */
  failure: string | null;
  untilMs: number;
  /** What another input has to be; undefined where it takes none. */
  input: z.ZodType | undefined;
  /** Null where it cannot be skipped. */
  skippingCosts: string | null;
  answer?: Answer;
}

/** What undoes a step, as it stands in the header of the step's activities. */
export interface RegisteredUndo {
  step: string;
  entry: UndoEntry;
  /** What the runbook's page says undoes it, as JSON: to know the same again. */
  content: string;
  /** The newest attempt of it failed: it is undone also when the run succeeds without it. */
  isGivenUp: boolean;
}

/** A stretch of a run's durable time. */
export interface Span { name: string; kind: 'step' | 'gate' | 'lock' | 'pause'; startedAtMs: number; finishedAtMs: number }

/** What search attributes are set to. */
export type AttributeValues = Partial<Record<SearchAttributeName, string | number | boolean | null>>;

/** Of what a step did, or why it failed, in characters. */
const LONGEST_SUMMARY = 2_000;

/** Everything the kernel keeps of one run; plain data but for the scope of the body. */
export class RunState {
  readonly contract: RunbookContract;
  readonly record: RunRecord;
  settings: RunSettings | undefined;
  /** When the configuration was last asked for them. */
  settingsReadAtMs = 0;
  phase = 'starting';
  /** Search attributes that are about to be set. */
  unsentAttributes: AttributeValues | undefined;
  /** What people see of it is about to be written anew. */
  isToBeShown = false;
  paused = false;
  /** The body has ended: what it did is being undone, or written down. */
  isEnding = false;
  /** The first abort; null as long as nobody asked for one. */
  abort: OperationRecord | null = null;
  /** Why the run took too long, as its guardian said or as it found out itself; null as long as it did not. */
  overdue: string | null = null;
  /** How often it was told so in a way that only its guardian can confirm, and has not yet. */
  overdueDoubts = 0;
  openGate: OpenGate | undefined;
  waitingStep: WaitingStep | undefined;
  /** What of the plan its hash covers, each part by its own hash: what of it has changed can be named. */
  boundParts: Record<string, string> = {};
  /** Corrected inputs that its hash covers, the newest of each step; the last is what an open gate for corrections is about. */
  corrections: readonly Correction[] = [];
  /** The validated input, which the plan's hash covers too. */
  input: unknown = null;
  /** What is under way of each step that is. */
  readonly underWay = new Map<RunStep, ActivitiesUnderWay>();
  /** Attempts of each step that are not in the record any more. */
  readonly #attemptsLeftOut = new Map<string, number>();
  /** Gates of each name that are not in the record any more. */
  readonly #gatesLeftOut = new Map<string, number>();
  readonly spans: Span[] = [];
  readonly undo: RegisteredUndo[] = [];
  readonly signalsSeen = { approve: 0, reject: 0 };
  /** Set when the guardian is started, which it is once; resolves when it exists. */
  guarded: Promise<void> | undefined;
  /** What the run last asked its guardian for: only the answers to that are for it. See `asking` of the messages. */
  readonly asking: { take?: string; finish?: string } = {};
  /** What the guardian answered: the fence, or why there is none. */
  owned: { fence?: number | undefined; refused?: string | undefined; leaseExpiresAtMs?: number } | undefined;
  /** Where the run may have created something; null before its target is its own, and for one that creates nothing. */
  place: Place | null = null;
  /** Who had the target when the run, which waits for it, last looked; null when it does not wait. */
  lock: LockView & { lookedAt: string } | null = null;
  settlement: Settlement | undefined;
  readonly verdictsWhenFailing = new Map<string, Verdict>();
  readonly bodyScope = new CancellationScope();

  constructor(contract: RunbookContract) {
    const info = workflowInfo();
    this.contract = contract;
    this.record = {
      runbook: contract.type,
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

  /** The people that the configuration knows; none for a run of older code. */
  get people(): People { return this.settings?.people ?? {}; }

  /** Notes what somebody sent and what did not count, with the reason. */
  noteRefusal(sentence: string): void {
    if (keepNewest(this.record.refused, sentence)) this.record.refusedLeftOut += 1;
  }

  /** Notes a gate that opens. Of those of one name that nobody approved, the first and the newest are kept, and of those before only decisions that counted, and the newest of those that did not. */
  noteGate(record: GateRecord): void {
    const { gates } = this.record;
    for (const former of gates.filter(({ name }) => name === record.name)) forgetRefused(former);
    if (!keepNewest(gates, record, ({ name, outcome }) => name === record.name && outcome !== 'approved')) return;
    const leftOut = (this.#gatesLeftOut.get(record.name) ?? 0) + 1;
    this.#gatesLeftOut.set(record.name, leftOut);
    noteEvent({ record }, 'formerLeftOut', `${leftOut} of the gates of this name that were before are left out of this evidence`);
  }

  /** Notes an attempt of a step; of one that is tried again and again, the first and the newest are kept: evidence must stay small enough to be written. */
  noteStep(step: RunStep): void {
    if (keepNewest(this.record.steps, step, ({ name }) => name === step.name)) this.#attemptsLeftOut.set(step.name, (this.#attemptsLeftOut.get(step.name) ?? 0) + 1);
  }

  /** What a step is said to have done, or why it failed, with how many attempts of it are not told. */
  summaryOf({ name }: RunStep, said: string | null): string | null {
    const leftOut = this.#attemptsLeftOut.get(name);
    const short = said === null ? null : shortened(said, LONGEST_SUMMARY);
    return leftOut === undefined ? short : `${short ?? 'no more is known'} (${leftOut} attempts of it are left out here)`;
  }
}
