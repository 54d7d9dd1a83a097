import type { temporal } from '@temporalio/proto';

type Timestamp = NonNullable<temporal.api.history.v1.IHistoryEvent['eventTime']>;

/** Of a protobuf timestamp, or a duration. */
export function millis(time: Timestamp | { seconds?: unknown; nanos?: number | null } | null | undefined): number {
  return time ? Number(time.seconds ?? 0) * 1000 + Math.floor((time.nanos ?? 0) / 1e6) : 0;
}
