import { awaitReady, type Clock, type EventSource } from '../../../activities/waiting/await-ready.ts';
import { lookSchedule } from '../../../activities/waiting/look-schedule.ts';
import { listening } from '../../../activities/rds-provider/restore-instance.ts';

/** The waiter of the service, and of whoever configures nothing, looks so often. */
const EVERY_MS = 30_000;

/** One restore, in virtual time. */
export interface Restore {
  takesMs: number;
  earlierMs: readonly number[];
  /** When news of it can be read, in milliseconds since its begin; undefined where nobody listens. */
  newsAtMs?: readonly number[];
}

/** How late it was found to be ready, in milliseconds, and how many looks that took. */
export interface Detected { lateMs: number; looks: number }

/** Waits for a restore by the very code, and with the very intervals, that real ones are waited for with; only the clock is another. */
export async function detect({ takesMs, earlierMs, newsAtMs }: Restore): Promise<Detected> {
  let [nowMs, looks] = [0, 0];
  const clock: Clock = { nowMs: () => nowMs, sleep: (ms) => { nowMs += ms; return Promise.resolve(); } };
  // All that has come by then is read at once.
  const unread = [...newsAtMs ?? []].sort((a, b) => b - a);
  const events: EventSource = {
    next(withinMs) {
      const isNews = (unread.at(-1) ?? Infinity) <= nowMs + withinMs;
      nowMs = isNews ? Math.max(nowMs, unread.at(-1) ?? 0) : nowMs + withinMs;
      while ((unread.at(-1) ?? Infinity) <= nowMs) unread.pop();
      return Promise.resolve(isNews);
    },
  };
  await awaitReady({
    look: () => { looks += 1; return Promise.resolve({ isReady: nowMs >= takesMs, state: undefined }); },
    schedule: lookSchedule({ earlierMs }), ...listening({ earlierMs, everyMs: EVERY_MS }), events: newsAtMs === undefined ? undefined : events, clock, signal: new AbortController().signal,
  });
  return { lateMs: nowMs - takesMs, looks };
}

/** What somebody needs who looks every 30 s, as the service's own waiter does. */
export function pollerLooks(takesMs: number): number {
  return Math.ceil(takesMs / EVERY_MS);
}
