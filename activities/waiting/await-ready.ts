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

/** What a look found. */
export interface Look<State> {
  isReady: boolean;
  state: State;
  /** When what is waited for was begun, where that can be seen: where another process has begun it, the wait is as old. */
  beganAtMs?: number | undefined;
}

/** What is waited for, by what signs, and for how long. */
export interface AwaitReady<State> {
  /** Looks once. What cannot become ready any more is thrown. */
  look: (signal: AbortSignal) => Promise<Look<State>>;
  schedule: LookSchedule;
  /** Whether a look that failed says nothing of what is waited for, so that it is looked at again by the schedule while there is patience. Default: none does. */
  passes?: (error: unknown) => boolean;
  /** For how long it is waited for, in milliseconds since its begin, and what is thrown then. Default: for ever. */
  patience?: { ms: number; over: (state: State) => Error };
  /** Where there is one, looks are made when it says so, and by the schedule where it says nothing, or fails. */
  events?: EventSource | undefined;
  /** When looks are made as long as news can be heard. Default: `schedule`. */
  whileHeard?: LookSchedule;
  /** After news, what is looked at may still be as it was before, or not be through yet: looks follow after these, in milliseconds. Default: for services that are consistent in the end only. */
  afterNewsMs?: readonly number[];
  clock: Clock;
  signal: AbortSignal;
  /** Why events are of no use any more: the wait goes on without. */
  onEventsLost?: (cause: unknown) => void;
}

const AFTER_NEWS_MS = [0, 1_000, 2_000, 4_000];

/** Waits until something is ready. Begins with a look: it may be ready already. */
export async function awaitReady<State>({ look, schedule, passes = () => false, patience, events, whileHeard = schedule, afterNewsMs = AFTER_NEWS_MS, clock, signal, onEventsLost }: AwaitReady<State>): Promise<State> {
  let heard = events;
  let beganAtMs = clock.nowMs();
  const isOver = () => patience !== undefined && clock.nowMs() - beganAtMs > patience.ms;
  const lookOnce = async (): Promise<Look<State> | undefined> => {
    let seen: Look<State>;
    try {
      seen = await look(signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!passes(error) || isOver()) throw error;
      return undefined;
    }
    beganAtMs = Math.min(beganAtMs, seen.beganAtMs ?? beganAtMs);
    if (!seen.isReady && patience && isOver()) throw patience.over(seen.state);
    return seen;
  };
  for (;;) {
    const first = await lookOnce();
    if (first?.isReady) return first.state;
    const nowMs = clock.nowMs();
    const nextMs = nowMs + (heard ? whileHeard : schedule).nextLookInMs(nowMs - beganAtMs);
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
        const seen = await lookOnce();
        if (seen?.isReady) return seen.state;
      }
    }
    await clock.sleep(Math.max(0, nextMs - clock.nowMs()), signal);
  }
}
