import { ApplicationFailure, isCancellation } from '@temporalio/workflow';
import type { Check, Recovery, Verdict } from '../../contracts/evidence.ts';
import type { FailureType } from '../../contracts/failures.ts';
import type { Owner, Place, UndoEntry } from '../../contracts/ledger.ts';
import type { NotVerifiedReasons } from '../../contracts/record.ts';
import type { RunSettings } from '../../contracts/runbook.ts';
import { passGate } from './gates.ts';
import { describeFailure } from './outcome.ts';
import { takeOwnership } from './ownership.ts';
import { planHash } from './plan-hash.ts';
import { enterPhase, setAttributes } from './presentation.ts';
import type { RunState, Span } from './run-state.ts';
import { withStepHeader } from './step-header.ts';
import { instantOf, waitUntil } from './wait.ts';

/** How a body ends: with a result, and with a failure when what it found out must fail the run. */
export interface Conclusion<Result> { result: Result; failure?: { type: FailureType; message: string } }

export interface StepOptions<T> {
  /** What undoes the step; it is in history before the step's activities can act. */
  undo?: UndoEntry;
  /** One line about the result, for the terminal, the web UI and the evidence. */
  summary?: (result: T) => string;
  /** Whether what the step found is shown as failed. The run goes on all the same. */
  failed?: (result: T) => boolean;
}

/** What a runbook's page works with. */
export class Run {
  readonly #state: RunState;

  constructor(state: RunState) {
    this.#state = state;
  }

  get owner(): Owner { return this.#state.record.owner; }
  /** When the run started, by the server's clock. */
  get startedAtMs(): number { return this.#state.record.startedAtMs; }
  /** Steps, gates and the wait for the lock so far, in durable time. */
  get timeline(): readonly Span[] { return this.#state.spans; }
  get settings(): RunSettings {
    if (!this.#state.settings) throw ApplicationFailure.nonRetryable('the run has no settings yet', 'CONFIGURATION');
    return this.#state.settings;
  }

  /** One named unit of the run. Pausing takes effect before it. */
  async step<T>(name: string, work: () => Promise<T>, options: StepOptions<T> = {}): Promise<T> {
    const state = this.#state;
    if (state.paused) {
      const pausedAtMs = Date.now();
      enterPhase(state, `paused before: ${name}`);
      // Once the target is taken its lease ends the run; before that nothing else would.
      if (!(await waitUntil(() => !state.paused, this.settings.lease.maximumMs, 'a pause lasts as long as a lease at most'))) {
        state.overdue ??= `it was paused before "${name}" for as long as a lease lasts`;
        throw ApplicationFailure.nonRetryable(state.overdue, 'LEASE_OVER');
      }
      state.spans.push({ name: 'pause', kind: 'pause', startedAtMs: pausedAtMs, finishedAtMs: Date.now() });
    }
    const startedAtMs = Date.now();
    const record = { name, outcome: 'running' as 'running' | 'done' | 'failed' | 'cancelled', startedAt: instantOf(startedAtMs), finishedAt: null as string | null, attempts: 1, summary: null as string | null };
    state.record.steps.push(record);
    if (options.undo) state.undo.push({ step: name, entry: options.undo });
    enterPhase(state, name);
    try {
      const result = await withStepHeader({ step: name, ...(options.undo ? { undo: options.undo } : {}) }, work);
      record.outcome = options.failed?.(result) === true ? 'failed' : 'done';
      record.summary = options.summary?.(result) ?? null;
      return result;
    } catch (error) {
      record.outcome = isCancellation(error) ? 'cancelled' : 'failed';
      if (!isCancellation(error) && error instanceof Error) record.summary = describeFailure(error as never).message;
      throw error;
    } finally {
      record.finishedAt = instantOf(Date.now());
      state.spans.push({ name, kind: 'step', startedAtMs, finishedAtMs: Date.now() });
    }
  }

  /** Shows the plan that gates approve and evidence keeps. */
  plan(plan: unknown): void {
    this.#state.record.plan = plan;
    this.#state.record.planHash = planHash(plan);
  }

  /** Waits for people where the target's policy has this gate. Rejected or expired: throws a failure of type `REJECTED`. */
  gate(name: string): Promise<void> {
    return passGate(this.#state, name, this.settings.gates[name]);
  }

  /** Takes the target: guardian, lock, fence. Only after it may anything be created. Returns the fence number. */
  own(place: Place | null): Promise<number> {
    return takeOwnership(this.#state, place);
  }

  checks(checks: Check[]): void { this.#state.record.checks.push(...checks); }

  /** What was not verified; each reason is listed once. */
  notVerified({ open = [], byDesign = [] }: Partial<NotVerifiedReasons>): void {
    const known = this.#state.record.notVerified;
    for (const reason of open) if (!known.open.includes(reason)) known.open.push(reason);
    for (const reason of byDesign) if (!known.byDesign.includes(reason)) known.byDesign.push(reason);
  }

  get allChecks(): readonly Check[] { return this.#state.record.checks; }

  /** What should have been verified and was not. */
  get openQuestions(): readonly string[] { return this.#state.record.notVerified.open; }

  /** Records what was measured; both actuals become search attributes. */
  measure(recovery: Recovery): void {
    this.#state.record.recovery = recovery;
    setAttributes(this.#state, { RunbookRtaSeconds: recovery.rtaSeconds, ...(recovery.rpaSeconds === null ? {} : { RunbookRpaSeconds: recovery.rpaSeconds }) });
  }

  verdict(verdict: Verdict): void { this.#state.record.verdict = verdict; }

  /** What the verdict is when the run fails with one of these types: a damaged backup is a finding, not an accident. */
  verdictWhenFailing(types: readonly FailureType[], verdict: Verdict): void {
    for (const type of types) this.#state.verdictsWhenFailing.set(type, verdict);
  }
}
