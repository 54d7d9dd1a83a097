import { z } from 'zod';
import { formatBytes, formatSeconds } from './quantities.ts';

const bytesSchema = z.number().min(0).max(1e18);

/**
 * How far a long activity is, as it tells its run now and then, for the web UI. Anybody who can reach the server can send one: it is
 * shown, and nothing is decided by it.
 */
export const underWaySchema = z.object({
  /** The activity's id in its run. */
  activity: z.string().min(1).max(200),
  phase: z.string().max(200),
  bytesDone: bytesSchema,
  /** 0 where nobody knows. */
  bytesTotal: bytesSchema,
  /** Bytes a second since it was told before; null where it was not. */
  rate: bytesSchema.nullable(),
  /** By the clock of the activity's host, RFC 3339. */
  at: z.iso.datetime().max(40),
});
export type UnderWay = z.output<typeof underWaySchema>;

/** Bytes, share, rate (bytes a second) and time left, as far as they are known. */
export function progressWords({ bytesDone, bytesTotal }: { bytesDone: number | null; bytesTotal: number | null }, rate: number | null): string[] {
  const parts: string[] = [];
  if (bytesDone !== null && bytesTotal !== null && bytesTotal > 0) {
    parts.push(`${formatBytes(bytesDone)} of ${formatBytes(bytesTotal)} (${Math.floor((bytesDone / bytesTotal) * 100)} %)`);
  } else if (bytesDone !== null) parts.push(formatBytes(bytesDone));
  if (rate !== null) parts.push(`${formatBytes(rate)}/s`);
  if (rate !== null && rate > 0 && bytesDone !== null && bytesTotal !== null && bytesTotal > bytesDone) parts.push(`${formatSeconds((bytesTotal - bytesDone) / rate)} left`);
  return parts;
}
