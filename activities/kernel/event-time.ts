import type { temporal } from '@temporalio/proto';

type HistoryEvent = temporal.api.history.v1.IHistoryEvent;
type Timestamp = NonNullable<HistoryEvent['eventTime']>;

/** Of a protobuf timestamp, or a duration. */
export function millis(time: Timestamp | { seconds?: unknown; nanos?: number | null } | null | undefined): number {
  return time ? Number(time.seconds ?? 0) * 1000 + Math.floor((time.nanos ?? 0) / 1e6) : 0;
}

/** Of an event, as RFC 3339 in UTC. */
export function timeOf(event: HistoryEvent | undefined): string {
  return new Date(millis(event?.eventTime)).toISOString();
}
