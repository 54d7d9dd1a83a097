import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { HEARTBEAT_LAG_MS, stallAwareSignal } from '../../activities/temporal/stall-aware-signal.ts';

describe('a signal that knows of stalls', () => {
  const at = () => {
    const clock = { now: 1_000_000 };
    const cancellation = new AbortController();
    return { clock, cancellation, ...stallAwareSignal({ cancellation: cancellation.signal, heartbeatTimeoutMs: 10_000, now: () => clock.now }) };
  };

  it('throws at the very next look after a stall that the server must have noticed, before any timer could tell', () => {
    const { clock, signal } = at();
    clock.now += 10_000 - HEARTBEAT_LAG_MS + 1;
    expect(signal.aborted).toBe(false);
    expect(() => signal.throwIfAborted()).toThrow(/stalled for 7\.5 s/);
    expect(signal.aborted).toBe(true);
    // For good: looking again does not make it the living one.
    expect(() => signal.throwIfAborted()).toThrow(/stalled/);
  });

  it('lets through what beats in time, for as long as it does', () => {
    const { clock, signal, beat } = at();
    for (let second = 0; second < 100; second += 1) {
      clock.now += 1_500;
      beat();
      clock.now += 5_000;
      signal.throwIfAborted();
    }
    expect(signal.aborted).toBe(false);
  });

  it('tells listeners too, when the first beat after a stall finds it', () => {
    const { clock, signal, beat } = at();
    let heard = false;
    signal.addEventListener('abort', () => { heard = true; });
    clock.now += 60_000;
    beat();
    expect(heard).toBe(true);
  });

  it('throws once the time of the attempt is over, however steadily it beat, and also where nothing beats', () => {
    for (const heartbeatTimeoutMs of [10_000, undefined]) {
      const free = at();
      const { signal, beat } = stallAwareSignal({ cancellation: free.cancellation.signal, heartbeatTimeoutMs, startToCloseTimeoutMs: 60_000, now: () => free.clock.now });
      for (let second = 0; second < 57; second += 1, beat()) free.clock.now += 1_000;
      signal.throwIfAborted();
      free.clock.now += 1_000;
      expect(() => signal.throwIfAborted()).toThrow(/to be over within 57\.5 s/);
    }
  });

  it('passes a cancellation on with its reason', async () => {
    const { cancellation, signal } = at();
    cancellation.abort(new Error('asked to'));
    await sleep(0);
    expect(() => signal.throwIfAborted()).toThrow('asked to');
  });

  it('a clock that is set back, or no heartbeat to miss, is no stall', () => {
    const back = at();
    back.clock.now -= 3_600_000;
    expect(() => back.signal.throwIfAborted()).not.toThrow();
    for (const heartbeatTimeoutMs of [undefined, 0]) {
      const free = at();
      const { signal } = stallAwareSignal({ cancellation: free.cancellation.signal, heartbeatTimeoutMs, now: () => free.clock.now });
      free.clock.now += 3_600_000;
      expect(() => signal.throwIfAborted()).not.toThrow();
    }
  });
});
