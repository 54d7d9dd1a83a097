import type { temporal } from '@temporalio/proto';
import type { DrillActivities } from '../../activities/dr-test/drill-activities.ts';
import { activityEnd } from '../../activities/kernel/activity-end.ts';

/** From when to when, in milliseconds. */
export type Interval = readonly [number, number];
type HistoryEvent = temporal.api.history.v1.IHistoryEvent;

/**
 * Which activities are the work of a drill: what they take grows with the data, or is the operator's own (checks, probe).
 * All others are what it costs to drill at all: those of the kernel, and looking, opening, removing and proving.
 */
const IS_WORK: Readonly<Record<keyof DrillActivities, boolean>> = {
  copyBackup: true, recoverToManifest: true, compareWithManifest: true, recoverToEnd: true, runChecks: true, probeApplication: true, measureLoss: true,
  planDrill: false, checkDrillIsPossible: false, openDrillPlace: false, closeDrillPlace: false, proveDrillAbsent: false,
};
/** Names of the activities that do the work of a drill. */
export const WORK: readonly string[] = Object.entries(IS_WORK).flatMap(([name, isWork]) => (isWork ? [name] : []));

/** When activities were running, from the durable times of their start and end: those that do the drill's work, or all. Watching for the end of the run is never work. */
export function workIntervals(events: readonly HistoryEvent[], of: 'drill' | 'all'): Interval[] {
  const names = new Map<string, string>();
  const starts = new Map<string, { name: string; at: number }>();
  const intervals: Interval[] = [];
  for (const event of events) {
    const scheduled = event.activityTaskScheduledEventAttributes;
    if (scheduled) names.set(String(event.eventId), scheduled.activityType?.name ?? '');
    const started = event.activityTaskStartedEventAttributes;
    if (started) starts.set(String(event.eventId), { name: names.get(String(started.scheduledEventId)) ?? '', at: milliseconds(event) });
    const ended = activityEnd(event);
    const start = ended ? starts.get(String(ended.startedEventId)) : undefined;
    if (start && start.name !== 'awaitRunEnd' && (of === 'all' || WORK.includes(start.name))) intervals.push([start.at, milliseconds(event)]);
  }
  return intervals;
}

/** Time that at least one interval covers. */
export function secondsCovered(intervals: readonly Interval[]): number {
  let covered = 0;
  let until = -Infinity;
  for (const [from, to] of intervals.toSorted((a, b) => a[0] - b[0])) {
    if (to > until) covered += to - Math.max(from, until);
    until = Math.max(until, to);
  }
  return covered / 1000;
}

function milliseconds({ eventTime }: HistoryEvent): number {
  return Number(eventTime?.seconds ?? 0) * 1000 + (eventTime?.nanos ?? 0) / 1e6;
}
