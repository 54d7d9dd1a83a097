import { ApplicationFailure } from '@temporalio/workflow';
import type { Check, Recovery, Verdict } from '../../contracts/evidence.ts';
import type { FailureType } from '../../contracts/failures.ts';
import type { Owner, Place } from '../../contracts/ledger.ts';
import type { NotVerifiedReasons } from '../../contracts/record.ts';
import type { RunSettings } from '../../contracts/runbook.ts';
import { passGate } from './gates.ts';
import { takeOwnership } from './ownership.ts';
import { pauseBefore } from './pause.ts';
import { bindPlan } from './plan-hash.ts';
import { setAttributes } from './presentation.ts';
import type { RunState, Span } from './run-state.ts';
import { runStep, type StepOptions } from './step.ts';

/** How a body ends: with a result, and with a failure when what it found out must fail the run. */
export interface Conclusion<Result> { result: Result; failure?: { type: FailureType; message: string } }

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

  /**
   * One named unit of the run. Pausing takes effect before it. Where the configuration wants that, one that failed waits
   * for an operator, who retries it, skips it where it is `skippable`, or aborts the run.
   */
  step<T, Input = undefined>(name: string, work: (input: Input) => Promise<T>, options: StepOptions<T, Input> = {}): Promise<T> {
    return runStep(this.#state, name, work, options);
  }

  /**
   * Shows the plan that gates approve and evidence keeps. Decisions are bound to `binds`, part by part, by its hash: leave
   * out what may change while people think, such as what was predicted.
   */
  plan(plan: unknown, binds: Record<string, unknown> = { plan }): void {
    this.#state.record.plan = plan;
    bindPlan(this.#state, binds);
  }

  /**
   * Waits for people where the target's policy has this gate. Rejected or expired: throws a failure of type `REJECTED`.
   * `recheck` looks once more after they decided and calls {@link Run.plan} with what it found: where that is bound to
   * another hash, what they decided is void.
   */
  gate(name: string, { recheck }: { recheck?: () => Promise<void> } = {}): Promise<void> {
    return passGate(this.#state, name, this.settings.gates[name], { recheck });
  }

  /**
   * Takes the target: guardian, lock, fence. Only after it may anything be created. Pausing takes effect before it: nobody
   * is kept from a target by a run that waits. Returns the fence number.
   */
  async own(place: Place | null): Promise<number> {
    await pauseBefore(this.#state, 'taking the target');
    return takeOwnership(this.#state, place);
  }

  checks(checks: Check[]): void { this.#state.record.checks.push(...checks); }

  /** What was not verified; each reason is listed once. `insteadOf`: reasons that were given before, by a plan that is another one by now, and do not hold any more. */
  notVerified({ open = [], byDesign = [] }: Partial<NotVerifiedReasons>, { insteadOf }: { insteadOf?: NotVerifiedReasons } = {}): void {
    const known = this.#state.record.notVerified;
    if (insteadOf) {
      known.open = known.open.filter((reason) => !insteadOf.open.includes(reason));
      known.byDesign = known.byDesign.filter((reason) => !insteadOf.byDesign.includes(reason));
    }
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
