import { ApplicationFailure, CancellationScope, isCancellation, TemporalFailure } from '@temporalio/workflow';
import type { z } from 'zod';
import { CORRECTION_GATE } from '../../contracts/gate.ts';
import type { UndoEntry } from '../../contracts/ledger.ts';
import type { RunStep } from '../../contracts/record.ts';
import { ActivitiesUnderWay } from './activities-under-way.ts';
import { passGate } from './gates.ts';
import { notify } from './notify.ts';
import { describeFailure } from './outcome.ts';
import { pauseBefore } from './pause.ts';
import { bindPlan } from './plan-hash.ts';
import { enterPhase, showDetails } from './presentation.ts';
import type { Answer, RunState, WaitingStep } from './run-state.ts';
import { withStepHeader } from './step-header.ts';
import { registerUndo } from './undo-entries.ts';
import { instantOf, waitUntil } from './wait.ts';

/** What a page says of a step beside its name and its work; all of it may be left out. */
export interface StepOptions<T, Input = undefined> {
  /**
   * What undoes the step, or an attempt with this input; it is in history before the step's activities can act. What
   * began and failed is undone also where the run goes on without it and succeeds, whatever `when` says.
   */
  undo?: UndoEntry | ((input: Input) => UndoEntry);
  /** One line about the result, for the terminal, the web UI and the evidence. */
  summary?: (result: T) => string;
  /** Whether what the step found is shown as failed. The run goes on all the same. */
  failed?: (result: T) => boolean;
  /** What the step works with, and what an operator may bring instead when it failed. */
  input?: { value: Input; schema: z.ZodType<Input> };
  /** That operators may go on without it, what they get in its place, and what that costs, as it stands under what was not verified. */
  skippable?: { result: T; costs: string };
}

/** Runs one named unit of a run, and what operators make of it: see `Run.step`. */
export async function runStep<T, Input>(state: RunState, name: string, work: (input: Input) => Promise<T>, options: StepOptions<T, Input>): Promise<T> {
  // A mistake of the page, seen with its first run: without the target, nobody would undo it.
  if (options.undo && state.owned?.fence === undefined) throw ApplicationFailure.nonRetryable(`step "${name}" has something to undo, and the run has not taken its target: its page has to call run.own before`, 'CONFIGURATION');
  let input = options.input?.value as Input;
  for (;;) {
    // Also before it is tried again: an operator who mends one thing does not end the pause of another.
    const skipped = await pauseBefore(state, name, { skippingCosts: options.skippable?.costs ?? null });
    if (skipped) return skip(state, name, options, skipped);
    try {
      return await attempt(state, name, () => work(input), { ...options, undo: typeof options.undo === 'function' ? options.undo(input) : options.undo });
    } catch (error) {
      const answer = await askOperator(state, name, error, options, input);
      if (!answer) throw error;
      if (answer.kind === 'skip') return skip(state, name, options, answer);
      if ('input' in answer) input = answer.input as Input;
    }
  }
}

async function attempt<T>(state: RunState, name: string, work: () => Promise<T>, { undo, summary, failed }: Pick<StepOptions<T>, 'summary' | 'failed'> & { undo: UndoEntry | undefined }): Promise<T> {
  const startedAtMs = Date.now();
  const record: RunStep = { name, outcome: 'running', startedAt: instantOf(startedAtMs), finishedAt: null, summary: null };
  state.noteStep(record);
  const registered = undo && registerUndo(state, name, undo);
  const activities = new ActivitiesUnderWay(() => showDetails(state));
  state.underWay.set(record, activities);
  enterPhase(state, name);
  try {
    const result = await withStepHeader({ name, undo: registered?.entry, activities }, work);
    record.outcome = failed?.(result) === true ? 'failed' : 'done';
    record.summary = state.summaryOf(record, summary?.(result) ?? null);
    return result;
  } catch (error) {
    if (registered) registered.isGivenUp = true;
    record.outcome = isCancellation(error) ? 'cancelled' : 'failed';
    if (!isCancellation(error) && error instanceof Error) record.summary = state.summaryOf(record, describeFailure(error as never).message);
    throw error;
  } finally {
    record.finishedAt = instantOf(Date.now());
    state.underWay.delete(record);
    state.spans.push({ name, kind: 'step', startedAtMs, finishedAtMs: Date.now() });
  }
}

/** Where the configuration wants that, waits for what an operator makes of a step that failed. Undefined: it has failed. */
async function askOperator(state: RunState, name: string, error: unknown, { skippable, input }: Pick<StepOptions<unknown>, 'skippable'> & { input?: { schema: z.ZodType } }, workedWith: unknown): Promise<Answer | undefined> {
  const waitMs = state.settings?.failedStepsWaitMs ?? 0;
  if (waitMs === 0 || !(error instanceof TemporalFailure) || isCancellation(error) || state.overdue !== null || CancellationScope.current().consideredCancelled) return undefined;
  const { type, message } = describeFailure(error);
  // A finding is what the run is for: trying again would only look for another answer.
  if (state.verdictsWhenFailing.has(type)) return undefined;
  const failedAtMs = Date.now();
  const waiting: WaitingStep = { name, failure: message, untilMs: failedAtMs + waitMs, input: input?.schema, skippingCosts: skippable?.costs ?? null };
  const record = state.record.steps.findLast((step) => step.name === name);
  if (record) record.outcome = 'waiting';
  try {
    for (;;) {
      state.waitingStep = waiting;
      delete waiting.answer;
      enterPhase(state, `waiting for an operator: ${name}`);
      notify(state, { kind: 'stepWaits', channels: state.settings?.alarm ?? [], lines: [`step "${name}" failed: ${message}`, `it waits for an operator until ${instantOf(waiting.untilMs)}`] });
      await waitUntil(() => waiting.answer !== undefined, waiting.untilMs - Date.now(), `step "${name}" waits for an operator`);
      const { answer } = waiting;
      state.waitingStep = undefined;
      if (!answer || await isApproved(state, name, workedWith, answer)) return answer;
    }
  } finally {
    state.waitingStep = undefined;
    if (record) record.outcome = 'failed';
    state.spans.push({ name: `waiting for an operator: ${name}`, kind: 'pause', startedAtMs: failedAtMs, finishedAtMs: Date.now() });
  }
}

/**
 * Whether a corrected input may be used: where the configuration has a policy for that, somebody else has to agree. While
 * they decide, and when they agreed, it is a part of the plan, with what it takes the place of.
 */
async function isApproved(state: RunState, step: string, from: unknown, answer: Answer): Promise<boolean> {
  const policy = state.settings?.gates[CORRECTION_GATE];
  if (!('input' in answer) || !policy) return true;
  const { corrections, boundParts, record: { planHash } } = state;
  const correction = { step, by: answer.by, reason: answer.reason, from, to: answer.input };
  state.corrections = [...corrections.filter((earlier) => earlier.step !== step), correction];
  bindPlan(state, { [`input of ${step}`]: { from, to: answer.input } });
  try {
    await passGate(state, CORRECTION_GATE, policy, { requester: answer.by });
    return true;
  } catch (error) {
    // What nobody agreed to is no part of the plan.
    Object.assign(state, { corrections, boundParts });
    state.record.planHash = planHash;
    // The code may be another one by now.
    if (planHash !== null) bindPlan(state, {});
    if (!(error instanceof ApplicationFailure) || error.type !== 'REJECTED') throw error;
    state.noteRefusal(`retryStep of "${step}" by ${answer.by}: ${error.message}`);
    return false;
  }
}

function skip<T>(state: RunState, name: string, { skippable }: Pick<StepOptions<T>, 'skippable'>, { by, reason }: Answer): T {
  if (!skippable) throw ApplicationFailure.nonRetryable(`step "${name}" cannot be skipped`, 'INVALID_INPUT');
  const now = instantOf(Date.now());
  state.noteStep({ name, outcome: 'skipped', startedAt: now, finishedAt: now, summary: `skipped by ${by}: ${reason}` });
  const { open } = state.record.notVerified;
  if (!open.includes(skippable.costs)) open.push(skippable.costs);
  enterPhase(state, `skipped: ${name}`);
  return skippable.result;
}
