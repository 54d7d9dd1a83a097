import { ApplicationFailure, CancellationScope, CancelledFailure, defineQuery, defineUpdate, isCancellation, setHandler, TemporalFailure, allHandlersFinished, condition, workflowInfo } from '@temporalio/workflow';
import type { z } from 'zod';
import { decideSchema, decisionSignalSchema, LIMITS_IN_WORDS, QUERIES, SIGNALS, UPDATES, INTERNAL, type CompensationView, type Decide, type ExtendDeadline, type LastRecord, type Progress, type RetryStep, type SkipStep } from '../../contracts/messages.ts';
import { overdueSchema, ownedSchema, settledSchema } from '../../contracts/internal-messages.ts';
import type { Owner } from '../../contracts/ledger.ts';
import type { PlanView } from '../../contracts/plan-facts.ts';
import type { RunbookContract } from '../../contracts/runbook.ts';
import type { RunRecord, TeardownResult } from '../../contracts/record.ts';
import { underWaySchema } from '../../contracts/under-way.ts';
import type { EvidenceFiles } from '../../activities/kernel/kernel-activities.ts';
import type { Outcome } from '../../contracts/evidence.ts';
import { closeRun } from './close.ts';
import { internalSignal } from './internal-signal.ts';
import { receiveOverdue } from './overdue.ts';
import { guard, waitsForPeople } from './ownership.ts';
import { receiveDecide, receiveSignal, validateDecide } from './decisions.ts';
import { extendDeadline, validateExtension } from './extend-deadline.ts';
import { describeAbort, operate, validateOperator, type RunOperation } from './operations.ts';
import { retryStep, skipStep, validateRetry, validateSkip } from './steering.ts';
import { compensationsOf, planViewOf, progressOf, showUnderWay } from './presentation.ts';
import { describeFailure } from './outcome.ts';
import { parseInput } from './parse-input.ts';
import { Run, type Conclusion } from './run.ts';
import { RunState } from './run-state.ts';
import { adoptSettings } from './settings.ts';
import { hearInOrder, type SignalHandling } from './signals.ts';

/** What the kernel adds to the result of every run, and to the details of its failure. */
interface RunEnding extends EvidenceFiles { teardown: TeardownResult }

/**
 * Makes a workflow of a runbook's page: validates the input, registers every handler before the first await, runs the
 * body, catches what it throws, undoes, and closes the evidence. The body touches no signal, query, search attribute,
 * scope or timer of the kernel's.
 */
export function runbook<Input extends z.ZodType, Result extends object>(
  contract: RunbookContract<Input>,
  body: (run: Run, input: z.output<Input>) => Promise<Conclusion<Result>>,
): (input?: unknown) => Promise<Result & RunEnding> {
  return async (rawInput) => {
    const state = new RunState(contract);
    registerHandlers(state);
    refuseRepetition();
    const input = parseInput(contract, rawInput);
    state.input = input;

    let conclusion: Conclusion<Result> | undefined;
    let outcome: Outcome = 'succeeded';
    let failure: { type: string; message: string } | null = null;
    try {
      conclusion = await state.bodyScope.run(async () => {
        await adoptSettings(state, input);
        if (!waitsForPeople(state)) void guard(state);
        return body(new Run(state), input);
      });
      // Who was told that the run ends must not find that it went on: the last activity may have come to its end all the same.
      if (isToldToEnd(state, conclusion)) throw new CancelledFailure('the run was told to end while its last step came to its end');
      if (conclusion.failure) {
        outcome = 'failed';
        failure = conclusion.failure;
      }
    } catch (error) {
      // Anything else is a mistake in workflow code: let the task fail and be retried until a fixed worker is deployed.
      if (!(error instanceof TemporalFailure)) throw error;
      failure = describeFailure(error);
      outcome = outcomeOf(state, error, failure.type);
      // Before an abort or the end of the lease takes its place: what was proven stays so.
      state.record.verdict = state.verdictsWhenFailing.get(failure.type) ?? state.record.verdict;
      // An abort reaches the body as a cancellation; people are told who asked for it.
      if (outcome === 'timedOut') failure = { type: 'LEASE_OVER', message: state.overdue ?? 'its lease is over' };
      if (state.abort) failure = { type: 'ABORTED', message: describeAbort(state.abort) };
    }
    return CancellationScope.nonCancellable(async () => {
      const closed = await closeRun(state, { outcome, failure });
      await condition(allHandlersFinished);
      const ending = { ...closed.files, teardown: closed.teardown };
      if (closed.failure) throw ApplicationFailure.nonRetryable(closed.failure.message, closed.failure.type, { ...conclusion?.result, verdict: state.record.verdict, ...ending });
      return { ...(conclusion as Conclusion<Result>).result, ...ending };
    });
  };
}

/** A cancel takes no finding's place, as it does not where the body throws it; an abort and the end of the lease do. */
function isToldToEnd({ abort, overdue, bodyScope }: RunState, { failure }: Conclusion<unknown>): boolean {
  return abort !== null || overdue !== null || (bodyScope.consideredCancelled && !failure);
}

function outcomeOf(state: RunState, error: unknown, type: string): Outcome {
  if (state.abort) return 'aborted';
  if (state.overdue !== null) return 'timedOut';
  if (isCancellation(error)) return 'cancelled';
  return type === 'REJECTED' ? 'rejected' : 'failed';
}

/** The executions of a cron workflow are one owner, and so are its retries, as those of a reset are: a second would wait for ever for the guardian of the first. */
function refuseRepetition(): void {
  const { cronSchedule, retryPolicy, workflowId } = workflowInfo();
  if (cronSchedule) throw ApplicationFailure.nonRetryable(`use a schedule (temporal schedule create), not --cron; end this one with: temporal workflow terminate --workflow-id '${workflowId}'`, 'INVALID_INPUT');
  if (retryPolicy) throw ApplicationFailure.nonRetryable('start it without a retry policy: its steps are tried again by themselves, and a run that failed has to be looked at before there is another', 'INVALID_INPUT');
}

/** Every signal that a run understands. */
function signalsOf(state: RunState) {
  const decision = (name: 'approve' | 'reject', description: string): SignalHandling => ({
    handle: (payload) => {
      const parsed = decisionSignalSchema.safeParse(payload ?? undefined);
      receiveSignal(state, name, parsed.success ? parsed.data : 'malformed');
    },
    description,
  });
  const operation = (name: RunOperation): SignalHandling => ({ handle: (payload) => { operate(state, name, 'signal', payload); }, description: OPERATIONS[name] });
  // A workflow id can be used again: what another owner's guardian says is not for this run. Nor is what a former life was told, or what nobody asked for.
  const isAnswer = (owner: Owner, asking: string | undefined, asked: string | undefined) =>
    owner.firstExecutionRunId === state.record.owner.firstExecutionRunId && asking !== undefined && asking === asked;
  return {
    [SIGNALS.approve]: decision('approve', 'Approve at the open gate. An empty form works where the gate accepts it; or { "gate", "by", "comment" }.'),
    [SIGNALS.reject]: decision('reject', 'Reject at the open gate: the run ends and undoes what it did. { "gate", "by", "comment" } or nothing.'),
    [SIGNALS.pause]: operation('pause'),
    [SIGNALS.resume]: operation('resume'),
    [SIGNALS.abort]: operation('abort'),
    [INTERNAL.owned]: internalSignal(ownedSchema, ({ owner, asking, fence, refused, leaseExpiresAtMs }) => {
      if (isAnswer(owner, asking, state.asking.take)) state.owned = { fence, refused, leaseExpiresAtMs };
    }),
    [INTERNAL.overdue]: internalSignal(overdueSchema, (message) => { receiveOverdue(state, message); }),
    [INTERNAL.settled]: internalSignal(settledSchema, ({ owner, asking, ...settlement }) => {
      if (isAnswer(owner, asking, state.asking.finish)) state.settlement = settlement;
    }),
    [INTERNAL.underWay]: internalSignal(underWaySchema, (told) => { showUnderWay(state, told); }),
  };
}

const OPERATIONS = { pause: 'Pause before the next step.', resume: 'Go on after a pause.', abort: 'Undo what was done, and end.' } satisfies Record<RunOperation, string>;

/** Every handler there is, before the first await: an update that comes before its handler is refused for ever. */
function registerHandlers(state: RunState): void {
  const registerSignal = hearInOrder(signalsOf(state));
  registerSignal(SIGNALS.approve);
  registerSignal(SIGNALS.reject);
  setHandler(defineUpdate<{ gate: string; outcome: string; by: string | null }, [Decide]>(UPDATES.decide), (input) => receiveDecide(state, input), {
    validator: (input) => {
      const parsed = decideSchema.safeParse(input);
      if (!parsed.success) throw ApplicationFailure.nonRetryable(`decide takes { gate, decision: "approve" | "reject", by, comment?, planHash?, signature? } (by can be left out of one that is signed) with ${LIMITS_IN_WORDS}`, 'INVALID_INPUT');
      validateDecide(state, parsed.data);
    },
    description: 'Decide at a gate and learn at once whether it counts.',
  });
  for (const name of [SIGNALS.pause, SIGNALS.resume, SIGNALS.abort]) {
    registerSignal(name);
    setHandler(defineUpdate<string, [unknown?]>(UPDATES[name]), (payload) => { operate(state, name, 'update', payload); return state.phase; }, {
      validator: (payload?: unknown) => validateOperator(state, name, payload),
      description: OPERATIONS[name],
    });
  }
  setHandler(defineUpdate<string, [RetryStep]>(UPDATES.retryStep), (update) => retryStep(state, update), {
    validator: (update) => validateRetry(state, update), description: 'Try the failed step again that waits for an operator: { "step", "by", "reason" }, and "input" where it takes one.',
  });
  setHandler(defineUpdate<string, [SkipStep]>(UPDATES.skipStep), (update) => skipStep(state, update), {
    validator: (update) => validateSkip(state, update), description: 'Go on without the step that waits, where its runbook allows that: { "step", "by", "reason" }.',
  });
  setHandler(defineUpdate<{ gate: string; expiresAt: string }, [ExtendDeadline]>(UPDATES.extendDeadline), (update) => extendDeadline(state, update), {
    validator: (update) => validateExtension(state, update), description: 'Move the expiry of the open gate to a later time: { "gate", "until", "by" }.',
  });
  for (const name of [INTERNAL.owned, INTERNAL.overdue, INTERNAL.settled, INTERNAL.underWay]) registerSignal(name);
  setHandler(defineQuery<Progress>(QUERIES.progress), () => progressOf(state), { description: 'Phase, steps, open gate.' });
  setHandler(defineQuery<PlanView>(QUERIES.plan), () => ({ ...planViewOf(state), hash: state.record.planHash, corrections: state.corrections }), { description: 'The plan, and what its hash covers beside it: the input, the code version, corrected inputs.' });
  setHandler(defineQuery<CompensationView[]>(QUERIES.compensations), () => compensationsOf(state), { description: 'What an abort would undo now, in that order.' });
  setHandler(defineQuery<RunRecord>(QUERIES.record), () => state.record, { description: 'Everything known of the run.' });
  setHandler(defineQuery<RunRecord, [LastRecord]>(INTERNAL.lastRecord), () => state.record, { description: 'The same, for a guardian that knows that the run is over.' });
}
