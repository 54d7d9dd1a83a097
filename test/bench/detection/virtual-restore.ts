import { awaitReady, type Clock, type EventSource } from '../../../activities/waiting/await-ready.ts';
import { lookSchedule } from '../../../activities/waiting/look-schedule.ts';

/** One restore, in virtual time. */
export interface Restore {
  takesMs: number;
  earlierMs: readonly number[];
  /** How long the news that it is ready is under way; undefined where nobody listens. */
  newsAfterMs?: number;
}

/** How late it was found to be ready, in milliseconds, and how many looks that took. */
export interface Detected { lateMs: number; looks: number }

/** Waits for a restore by the very code that waits for real ones; only the clock is another. */
export async function detect({ takesMs, earlierMs, newsAfterMs }: Restore): Promise<Detected> {
  let [nowMs, looks] = [0, 0];
  const clock: Clock = { nowMs: () => nowMs, sleep: (ms) => { nowMs += ms; return Promise.resolve(); } };
  const newsAtMs = newsAfterMs === undefined ? Infinity : takesMs + newsAfterMs;
  let isRead = false;
  const events: EventSource = {
    next(withinMs) {
      const isNews = !isRead && newsAtMs <= nowMs + withinMs;
      nowMs = isNews ? Math.max(nowMs, newsAtMs) : nowMs + withinMs;
      isRead ||= isNews;
      return Promise.resolve(isNews);
    },
  };
  await awaitReady({
    look: () => { looks += 1; return Promise.resolve({ isReady: nowMs >= takesMs, state: undefined }); },
    schedule: lookSchedule({ earlierMs }), events: newsAfterMs === undefined ? undefined : events, clock, signal: new AbortController().signal,
  });
  return { lateMs: nowMs - takesMs, looks };
}

/** What somebody needs who looks every 30 s, as the service's own waiter does. */
export function pollerLooks(takesMs: number): number {
  return Math.ceil(takesMs / 30_000);
}
