import { setTimeout as sleep } from 'node:timers/promises';
import type { LookSchedule } from './look-schedule.ts';

/** Time, so that a bench can have its own. */
export interface Clock {
  nowMs(): number;
  /** Throws the signal's reason when that aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** This host's. */
export const HOST_CLOCK: Clock = { nowMs: Date.now, sleep: (ms, signal) => sleep(ms, undefined, { signal }) };

/** Tells when something has happened to what is waited for, sooner than looking would. */
export interface EventSource {
  /** Waits for news, and no longer than that. @returns whether there is any */
  next(withinMs: number, signal: AbortSignal): Promise<boolean>;
}

export interface AwaitReady<State> {
  /** Looks once. What cannot become ready any more is thrown. */
  look: (signal: AbortSignal) => Promise<{ isReady: boolean; state: State }>;
  /** When the wait began: a wait that another process goes on with began before. */
  beganAtMs: number;
  schedule: LookSchedule;
  /** Where there is one, looks are made when it says so, and by the schedule where it says nothing, or fails. */
  events?: EventSource | undefined;
  /** After news, what is looked at may still be as it was before, or not be through yet: looks follow after these, in milliseconds. Default: for services that are consistent in the end only. */
  afterNewsMs?: readonly number[];
  clock: Clock;
  signal: AbortSignal;
  /** Why events are of no use any more: the wait goes on without. */
  onEventsLost?: (cause: unknown) => void;
}

const AFTER_NEWS_MS = [0, 1_000, 2_000, 4_000];

/** Waits until something is ready. Begins with a look: it may be ready already. */
export async function awaitReady<State>({ look, beganAtMs, schedule, events, afterNewsMs = AFTER_NEWS_MS, clock, signal, onEventsLost }: AwaitReady<State>): Promise<State> {
  let heard = events;
  for (;;) {
    const { isReady, state } = await look(signal);
    if (isReady) return state;
    const nowMs = clock.nowMs();
    const nextMs = nowMs + schedule.nextLookInMs(nowMs - beganAtMs);
    while (heard && clock.nowMs() < nextMs) {
      const isNews = await heard.next(nextMs - clock.nowMs(), signal).catch((cause: unknown) => {
        signal.throwIfAborted();
        onEventsLost?.(cause);
        heard = undefined;
        return false;
      });
      if (!isNews) continue;
      for (const afterMs of afterNewsMs) {
        await clock.sleep(afterMs, signal);
        const seen = await look(signal);
        if (seen.isReady) return seen.state;
      }
    }
    await clock.sleep(Math.max(0, nextMs - clock.nowMs()), signal);
  }
}
