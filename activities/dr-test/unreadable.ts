import { ApplicationFailure } from '@temporalio/common';
import { classify } from '../temporal/classify.ts';

/** What can no longer be read, and why. */
export interface Unreadable { unreadable: string }

/**
 * What was there before. Where it is gone for good, that is worth less than all else that was found and measured since: it is said, and
 * ends nothing. What may pass is thrown, and so tried again.
 */
export async function unlessGone<T>(reading: Promise<T>, signal: AbortSignal): Promise<T | Unreadable> {
  return reading.catch((error: unknown) => {
    signal.throwIfAborted();
    const failure = classify(error);
    if (!(failure instanceof ApplicationFailure) || failure.nonRetryable !== true) throw error;
    return { unreadable: failure.message.replace(/\.$/, '') };
  });
}
