import { defaultPayloadConverter } from '@temporalio/common';
import type { temporal } from '@temporalio/proto';
import { stepOf } from '../../activities/kernel/step-of.ts';
import { activityEnd } from '../../activities/kernel/activity-end.ts';

type History = temporal.api.history.v1.IHistory;
type HistoryEvent = temporal.api.history.v1.IHistoryEvent;

/** Milliseconds since 1970, by the server's clock; the last phase lasts for ever. */
export interface PhaseSpan { name: string; fromMs: number; untilMs: number }
/**
 * `step` null for activities of the kernel; `endedMs` is infinite where it has not ended, and
 * `completed` false where it ended in another way.
 */
export interface ActivitySpan { type: string; step: string | null; scheduledMs: number; endedMs: number; attempts: number; completed: boolean }

/** A workflow's life in durable time, read from its history. What has not ended lasts for ever. */
export interface Timeline { phases: PhaseSpan[]; activities: ActivitySpan[]; eventNames: Set<string> }

/** Reads a history, whole or as far as it has come. */
export function readTimeline(history: History): Timeline {
  const phases: PhaseSpan[] = [];
  const activities = new Map<string, ActivitySpan>();
  const eventNames = new Set<string>();
  for (const event of history.events ?? []) {
    const at = millis(event);
    for (const [name, value] of Object.entries(event)) if (name.endsWith('EventAttributes') && value !== null) eventNames.add(name.replace('EventAttributes', ''));
    const phase = event.upsertWorkflowSearchAttributesEventAttributes?.searchAttributes?.indexedFields?.['RunbookPhase'];
    if (phase) {
      const previous = phases.at(-1);
      if (previous) previous.untilMs = at;
      phases.push({ name: defaultPayloadConverter.fromPayload<string>(phase), fromMs: at, untilMs: Number.POSITIVE_INFINITY });
    }
    readActivity(event, at, activities);
  }
  return { phases, activities: [...activities.values()], eventNames };
}

function readActivity(event: HistoryEvent, at: number, activities: Map<string, ActivitySpan>): void {
  const scheduled = event.activityTaskScheduledEventAttributes;
  if (scheduled) {
    activities.set(String(event.eventId), {
      type: scheduled.activityType?.name ?? '', step: stepOf(event)?.step ?? null,
      scheduledMs: at, endedMs: Number.POSITIVE_INFINITY, attempts: 0, completed: false,
    });
    return;
  }
  const started = event.activityTaskStartedEventAttributes;
  const ofStarted = activities.get(String(started?.scheduledEventId));
  if (started && ofStarted) ofStarted.attempts = started.attempt ?? 1;
  const ended = activityEnd(event);
  const ofEnded = activities.get(String(ended?.scheduledEventId));
  if (!ofEnded) return;
  ofEnded.endedMs = at;
  ofEnded.completed = event.activityTaskCompletedEventAttributes !== null && event.activityTaskCompletedEventAttributes !== undefined;
}

function millis(event: HistoryEvent): number {
  return Number(event.eventTime?.seconds ?? 0) * 1000 + Math.floor((event.eventTime?.nanos ?? 0) / 1e6);
}
