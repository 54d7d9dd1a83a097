import { z } from 'zod';
import { formatBytes, formatSeconds } from './quantities.ts';

const bytesSchema = z.number().min(0).max(1e18);
/** What is said to take longer is not known. */
const MOST_SECONDS_LEFT = 30 * 86_400;

/** So many characters of a phase are taken: who tells of more has to shorten it. */
export const LONGEST_PHASE = 200;

/**
 * How far a long activity is, as it tells its run now and then, for the web UI. Anybody who can reach the server can send one: it is
 * shown, and nothing is decided by it.
 */
export const underWaySchema = z.object({
  /** The id of the run that it belongs to: what a former life was told comes again with a reset. */
  run: z.string().min(1).max(200),
  /** The activity's id in its run. */
  activity: z.string().min(1).max(200),
  phase: z.string().max(LONGEST_PHASE),
  bytesDone: bytesSchema,
  /** 0 where nobody knows. */
  bytesTotal: bytesSchema,
  /** What {@link bytesDone} and {@link bytesTotal} count; bytes where it is absent. */
  unit: z.literal('percent').optional(),
  /** Bytes a second when it last moved; null where it was not seen to. */
  rate: bytesSchema.nullable(),
});
/** Checked for its form only: it may be wrong, or of an activity that has ended. */
export type UnderWay = z.output<typeof underWaySchema>;

/** Bytes, share, rate (bytes a second) and time left, as far as they are known; of per cent the share alone, since that moves in jumps. */
export function progressWords({ bytesDone, bytesTotal, unit }: { bytesDone: number | null; bytesTotal: number | null; unit?: 'percent' | null | undefined }, rate: number | null): string[] {
  const total = bytesTotal ?? 0;
  // Nothing of nothing tells who knows no more than the phase.
  if (bytesDone === null || (bytesDone === 0 && total === 0)) return [];
  const share = total > 0 ? `${Math.floor((bytesDone / total) * 100)} %` : undefined;
  if (unit === 'percent') return share === undefined ? [] : [share];
  const parts = [share === undefined ? formatBytes(bytesDone) : `${formatBytes(bytesDone)} of ${formatBytes(total)} (${share})`];
  // What has less stands still.
  if (rate === null || rate < 1) return parts;
  parts.push(`${formatBytes(rate)}/s`);
  const secondsLeft = (total - bytesDone) / rate;
  if (secondsLeft > 0 && secondsLeft <= MOST_SECONDS_LEFT) parts.push(`${formatSeconds(secondsLeft)} left`);
  return parts;
}
