import { ActivityCancellationType, AsyncLocalStorage, type WorkflowInterceptorsFactory } from '@temporalio/workflow';
import { defaultPayloadConverter } from '@temporalio/common';
import { STEP_HEADER, type StepHeader } from '../../contracts/ledger.ts';
import { labelOf } from './activity-labels.ts';

const currentStep = new AsyncLocalStorage<StepHeader>();

/** Runs `work`; every activity it schedules carries the header, and with it what undoes the step, into history. */
export function withStepHeader<T>(header: StepHeader, work: () => Promise<T>): Promise<T> {
  return currentStep.run(header, work);
}

/**
 * Puts {@link STEP_HEADER} on every activity of a step, and a readable label on every activity. The header costs no
 * history event: the ledger is in the event that schedules the activity, so it exists before the activity can act, and
 * outlives the run. A cancelled step waits until its activities have ended.
 */
export const interceptors: WorkflowInterceptorsFactory = () => ({
  outbound: [
    {
      async scheduleActivity(input, next) {
        const header = currentStep.getStore();
        if (!header) return next({ ...input, options: { ...input.options, summary: input.options.summary ?? labelOf(input.activityType) } });
        return next({
          ...input,
          headers: { ...input.headers, [STEP_HEADER]: defaultPayloadConverter.toPayload(header) },
          options: {
            ...input.options,
            summary: input.options.summary ?? header.step,
            // What is torn down after an abort must not be in use any more. Left out, the SDK goes on at once.
            cancellationType: input.options.cancellationType ?? ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
          },
        });
      },
    },
  ],
});
