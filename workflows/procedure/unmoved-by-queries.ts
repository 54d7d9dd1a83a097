import type { WorkflowInterceptors, WorkflowInterceptorsFactory } from '@temporalio/workflow';
import { INTERNAL, NOT_TAKEN_UP } from '../../contracts/messages.ts';

type Activate = NonNullable<NonNullable<WorkflowInterceptors['internals']>[number]['activate']>;
type Activation = Parameters<Activate>[0]['activation'];

/** Where a run is in time. What happened and has no workflow task yet adds events, and no time. */
interface Instant { time: string; events: number; /** 0 where the server does not tell. */ bytes: number }

/**
 * Only workflow tasks move a run. The SDK also lets queries do it: one that is answered by a worker which does not have the
 * run in memory brings the whole history, and what happened after the last workflow task (an activity that ended, a timer
 * that fired) is worked through at the time of that task (core's `HistoryUpdate::build_next_wft`, still so in the core of
 * SDK 1.24). A step would have ended before its activity did, and timers that are over would be begun anew, which no replay
 * could follow. Such a query is refused: the worker forgets the run, and it is asked again. Not seen is what a workflow task
 * was to take up that was begun and did not come to its end: that has a time and a size of its own.
 */
export const interceptors: WorkflowInterceptorsFactory = () => {
  let last: Instant | undefined;
  let untaken: Instant | undefined;
  return {
    internals: [{
      activate(input, next) {
        const { jobs, ...activation } = input.activation;
        const asked = (jobs ?? []).map(({ queryWorkflow }) => queryWorkflow);
        if (asked.every((query) => query !== undefined && query !== null)) {
          if (untaken && !asked.every(knowsItIsOver)) throw new Error(NOT_TAKEN_UP);
          return next(input);
        }
        const now = instantOf(activation);
        // With time stood still, or set back by who set the server's clock, a workflow task still is one: it tells another size.
        if (!untaken && activation.isReplaying !== true && now.bytes > 0 && last?.time === now.time && last.bytes === now.bytes && last.events < now.events) untaken = now;
        if (!untaken) {
          last = now;
          return next(input);
        }
        // A workflow task for what has left something out: from here on the run would be another. It is read anew with the next attempt.
        if (untaken.events !== now.events) throw new Error(NOT_TAKEN_UP);
      },
    }],
  };
};

/** Asked by those only who know that the run is over, and say so: what happened last is not taken up any more. A run that lives would stay without it. */
function knowsItIsOver(query: { queryType?: string | null; arguments?: readonly unknown[] | null }): boolean {
  return query.queryType === INTERNAL.lastRecord && (query.arguments?.length ?? 0) > 0;
}

function instantOf({ timestamp, historyLength, historySizeBytes }: Omit<Activation, 'jobs'>): Instant {
  return { time: `${timestamp?.seconds?.toString()}.${timestamp?.nanos}`, events: historyLength ?? 0, bytes: Number(historySizeBytes ?? 0) };
}
