import { ActivityCancellationType, AsyncLocalStorage, type WorkflowInterceptorsFactory } from '@temporalio/workflow';
import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import { STEP_HEADER, type StepHeader, type UndoEntry } from '../../contracts/ledger.ts';
import type { ActivitiesUnderWay } from './activities-under-way.ts';
import { labelOf } from './activity-labels.ts';

/** The step that is under way. */
interface CurrentStep { name: string; undo: UndoEntry | undefined; activities: ActivitiesUnderWay }

const currentStep = new AsyncLocalStorage<CurrentStep>();

/** Runs `work`; every activity it schedules carries the step, and with it what undoes it, into history. */
export function withStepHeader<T>(step: CurrentStep, work: () => Promise<T>): Promise<T> {
  return currentStep.run(step, work);
}

/** Not even an encoding where there is nothing to say: most steps have only a name, and that is in the summary. */
function headerOf({ name, undo }: Omit<CurrentStep, 'activities'>, summary: string): Payload {
  const header: StepHeader = { ...(summary === name ? {} : { step: name }), ...(undo ? { undo } : {}) };
  return Object.keys(header).length === 0 ? {} : defaultPayloadConverter.toPayload(header);
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
        const step = currentStep.getStore();
        if (!step) return next({ ...input, options: { ...input.options, summary: input.options.summary ?? labelOf(input.activityType) } });
        const summary = input.options.summary ?? step.name;
        const ended = next({
          ...input,
          headers: { ...input.headers, [STEP_HEADER]: headerOf(step, summary) },
          options: {
            ...input.options,
            summary,
            // What is torn down after an abort must not be in use any more. Left out, the SDK goes on at once.
            cancellationType: input.options.cancellationType ?? ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
          },
        });
        // By the id that the SDK gives it.
        step.activities.follow(input.options.activityId ?? String(input.seq), ended);
        return ended;
      },
    },
  ],
});
