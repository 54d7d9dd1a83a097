import type { temporal } from '@temporalio/proto';

/** What an event says of an activity that came to its end, however; undefined where it is of something else. */
export function activityEnd(event: temporal.api.history.v1.IHistoryEvent) {
  return event.activityTaskCompletedEventAttributes ?? event.activityTaskFailedEventAttributes ?? event.activityTaskTimedOutEventAttributes ?? event.activityTaskCanceledEventAttributes ?? undefined;
}
