import type { temporal } from '@temporalio/proto';

type HistoryEvent = temporal.api.history.v1.IHistoryEvent;

/** What an event says of an activity that came to its end, however; undefined where it is of something else. */
export function activityEnd(event: HistoryEvent) {
  return event.activityTaskCompletedEventAttributes ?? event.activityTaskFailedEventAttributes ?? event.activityTaskTimedOutEventAttributes ?? event.activityTaskCanceledEventAttributes ?? undefined;
}

/** What activities of a type answered, in the order of their answers; of each, as far as history has it. */
export function answersOf(events: readonly HistoryEvent[], activity: string) {
  const scheduled = new Set(events.filter((event) => event.activityTaskScheduledEventAttributes?.activityType?.name === activity).map((event) => String(event.eventId)));
  return events.flatMap(({ activityTaskCompletedEventAttributes: completed }) => (completed && scheduled.has(String(completed.scheduledEventId)) ? [completed.result ?? undefined] : []));
}
