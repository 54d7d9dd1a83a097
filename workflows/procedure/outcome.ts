import { ActivityFailure, ApplicationFailure, isCancellation, TimeoutFailure, ChildWorkflowFailure, type TemporalFailure } from '@temporalio/workflow';

/** The type and the sentence that people get to see: the innermost of what was thrown. */
export function describeFailure(error: TemporalFailure): { type: string; message: string } {
  if (isCancellation(error)) return { type: 'CANCELLED', message: 'the run was cancelled' };
  if (error instanceof ActivityFailure || error instanceof ChildWorkflowFailure) {
    const { cause } = error;
    if (cause instanceof ApplicationFailure) return { type: cause.type ?? 'FAILED', message: cause.message };
    if (cause instanceof TimeoutFailure) return { type: 'UNAVAILABLE', message: `${'activityType' in error ? error.activityType : 'the guardian'} timed out (${cause.timeoutType})` };
    return { type: 'FAILED', message: cause?.message ?? error.message };
  }
  if (error instanceof ApplicationFailure) return { type: error.type ?? 'FAILED', message: error.message };
  return { type: 'FAILED', message: error.message };
}
