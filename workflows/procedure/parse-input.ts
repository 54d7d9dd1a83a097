import { ApplicationFailure } from '@temporalio/workflow';
import type { z } from 'zod';
import { inputProblems } from '../../contracts/input-problems.ts';
import { isLargerThan, LARGEST_INPUT } from '../../contracts/json-size.ts';
import type { RunbookContract } from '../../contracts/runbook.ts';
import { whyUnreadable } from '../../contracts/unreadable.ts';

/**
 * The input of a workflow, of which anybody can start one. Throws a failure of type `INVALID_INPUT` that says what is wrong
 * with it: any other exception would fail the task for ever, and keep the workflow's id.
 * @param largest characters of JSON that it may have
 */
export function parseInput<Input extends z.ZodType>(contract: Pick<RunbookContract<Input>, 'type' | 'input'>, rawInput: unknown, largest = LARGEST_INPUT): z.output<Input> {
  const unreadable = whyUnreadable(rawInput);
  if (unreadable !== null) throw ApplicationFailure.nonRetryable(`the input of ${contract.type} cannot be read: ${unreadable}; give one JSON object, with the encoding json/plain`, 'INVALID_INPUT');
  // To find out all that is wrong with megabytes takes longer than a task may take.
  if (isLargerThan(rawInput, largest)) throw ApplicationFailure.nonRetryable(`the input of ${contract.type} is not valid: it has more than ${largest} characters`, 'INVALID_INPUT');
  const parsed = contract.input.safeParse(rawInput ?? {});
  if (parsed.success) return parsed.data;
  throw ApplicationFailure.nonRetryable(inputProblems(contract, parsed.error.issues), 'INVALID_INPUT');
}
