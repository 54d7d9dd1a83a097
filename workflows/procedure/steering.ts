import type { z } from 'zod';
import type { OperationRecord } from '../../contracts/evidence.ts';
import { CORRECTION_GATE } from '../../contracts/gate.ts';
import { valueProblems } from '../../contracts/input-problems.ts';
import { isLargerThan } from '../../contracts/json-size.ts';
import { LIMITS_IN_WORDS, retryStepSchema, skipStepSchema, type RetryStep, type SkipStep } from '../../contracts/messages.ts';
import { firstOf } from '../../contracts/whole-characters.ts';
import { showDetails } from './presentation.ts';
import { refused } from './refused.ts';
import type { RunState, WaitingStep } from './run-state.ts';
import { instantOf } from './wait.ts';

/** Validator of the `retryStep` update: throws a sentence that says what to do, before anything enters history. */
export function validateRetry(state: RunState, payload: unknown): void {
  const parsed = retryStepSchema.safeParse(payload);
  if (!parsed.success) throw refused(`retryStep takes { step, by, reason, input? } with ${LIMITS_IN_WORDS}`);
  const waiting = stepThatWaits(state, parsed.data.step);
  if (waiting.failure === null) throw refused(`step "${waiting.name}" has not begun, so it cannot be tried again; resume the run`);
  readInput(waiting, parsed.data);
}

/** Validator of the `skipStep` update. */
export function validateSkip(state: RunState, payload: unknown): void {
  const parsed = skipStepSchema.safeParse(payload);
  if (!parsed.success) throw refused(`skipStep takes { step, by, reason } with ${LIMITS_IN_WORDS}`);
  const waiting = stepThatWaits(state, parsed.data.step);
  if (waiting.skippingCosts === null) throw refused(`the runbook does not allow step "${waiting.name}" to be skipped; ${waiting.failure === null ? 'resume the run' : 'retry it'}, or abort`);
}

/** Handler of `retryStep`. The step says with its outcome whether it succeeded this time. */
export function retryStep(state: RunState, update: RetryStep): string {
  const waiting = stepThatWaits(state, update.step);
  const input = readInput(waiting, update);
  const withInput = update.input !== undefined;
  waiting.answer = { kind: 'retry', by: update.by, reason: update.reason, ...(withInput ? { input } : {}) };
  note(state, { operation: 'retryStep', by: update.by, reason: update.reason, of: update.step, detail: withInput ? firstOf(JSON.stringify(update.input), KEPT_INPUT) : null });
  return `step "${update.step}" ${withInput && state.settings?.gates[CORRECTION_GATE] ? `is tried again when gate "${CORRECTION_GATE}" has approved its input` : 'is tried again'}`;
}

/** Handler of `skipStep`. */
export function skipStep(state: RunState, update: SkipStep): string {
  const waiting = stepThatWaits(state, update.step);
  waiting.answer = { kind: 'skip', by: update.by, reason: update.reason };
  note(state, { operation: 'skipStep', by: update.by, reason: update.reason, of: update.step, detail: waiting.skippingCosts });
  return `step "${update.step}" is skipped, which costs: ${waiting.skippingCosts}`;
}

/** A corrected input is part of history, and of what the run is asked for, more than once. */
const LARGEST_CORRECTION = 100_000;

/** So much of a corrected input is kept in words: evidence must stay small enough to be written. */
const KEPT_INPUT = 2_000;

function stepThatWaits({ waitingStep, isEnding, phase }: RunState, name: string): WaitingStep {
  if (!waitingStep || waitingStep.answer) throw refused(isEnding ? `the run is ending (it is at: ${phase})` : `no step waits for an operator (the run is at: ${phase})`);
  if (waitingStep.name !== name) throw refused(`step "${name}" does not wait; "${waitingStep.name}" does`);
  return waitingStep;
}

/** The input of a step as its schema gives it. */
function readInput({ name, input }: WaitingStep, update: RetryStep): unknown {
  if (update.input === undefined) return undefined;
  if (!input) throw refused(`step "${name}" takes no input; retry it without`);
  if (isLargerThan(update.input, LARGEST_CORRECTION)) throw refused(`step "${name}" does not take this input: it has more than ${LARGEST_CORRECTION} characters`);
  const parsed = (input satisfies z.ZodType).safeParse(update.input);
  if (parsed.success) return parsed.data;
  throw refused(`step "${name}" does not take this input: ${valueProblems(parsed.error.issues)}`);
}

/**
 * So many operations of a kind are kept: evidence must stay small enough to be written, whatever somebody sends, and what
 * somebody sends a hundred times must not push out what another did once.
 */
const KEPT_OF_A_KIND = 50;

/** Notes what an operator did, to the run or to a part of it. */
export function note(state: RunState, operation: Omit<OperationRecord, 'at' | 'channel' | 'identity' | 'principal'> & { channel?: OperationRecord['channel'] }): OperationRecord {
  const { record } = state;
  // Who sent it is read from history when the evidence is written.
  const noted: OperationRecord = { at: instantOf(Date.now()), channel: 'update', identity: null, principal: null, ...operation };
  const isSameKind = ({ operation: kind, channel }: OperationRecord) => kind === noted.operation && channel === noted.channel;
  if (record.operations.filter(isSameKind).length < KEPT_OF_A_KIND) record.operations.push(noted);
  else record.operationsLeftOut = (record.operationsLeftOut ?? 0) + 1;
  showDetails(state);
  return noted;
}
