import { ApplicationFailure } from '@temporalio/workflow';
import type { FailureType } from '../../contracts/failures.ts';

/** What refuses a message of people: a sentence that says what to do. Thrown by a validator, it keeps the message out of history. */
export function refused(reason: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(reason, 'INVALID_INPUT' satisfies FailureType);
}
