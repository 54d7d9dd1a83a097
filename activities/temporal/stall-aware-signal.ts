import { ApplicationFailure } from '@temporalio/common';

/** How much older than our last look the server's last heartbeat of ours can be: one interval between two, and the SDK's throttle. */
export const HEARTBEAT_LAG_MS = 2_500;

/**
 * A signal that also knows of stalls. A process that was stopped for longer than its heartbeat's timeout, or until its attempt
 * was to be over, has a successor by the time it wakes, and goes on in the middle of what it did, before any timer or message could tell it so.
 * `throwIfAborted()` looks at the clock itself: called right before something that a successor must not suffer (a server
 * stopped or started, a file removed), it aborts the signal and throws instead.
 *
 * `beat()` is to be called as often as the attempt heartbeats.
 */
export function stallAwareSignal(args: { cancellation: AbortSignal; heartbeatTimeoutMs: number | undefined; startToCloseTimeoutMs?: number | undefined; now?: () => number }): { signal: AbortSignal; beat: () => void } {
  // Of the wall: it goes on while a machine is frozen. Set back, it says less than it could, and never more.
  const { cancellation, heartbeatTimeoutMs, startToCloseTimeoutMs, now = Date.now } = args;
  const stall = new AbortController();
  const signal = AbortSignal.any([cancellation, stall.signal]);
  // None: the server says zero.
  if (!heartbeatTimeoutMs && !startToCloseTimeoutMs) return { signal, beat: () => undefined };
  const before = (timeoutMs: number | undefined) => (timeoutMs ? Math.max(0, timeoutMs - HEARTBEAT_LAG_MS) : Number.POSITIVE_INFINITY);
  const limit = before(heartbeatTimeoutMs);
  const began = now();
  const mostMs = before(startToCloseTimeoutMs);
  let last = began;
  const look = () => {
    const silent = now() - last;
    if (now() - began > mostMs) stall.abort(ApplicationFailure.retryable(`This attempt was to be over within ${(mostMs / 1000).toFixed(1)} s; another one may be at work.`, 'UNAVAILABLE'));
    else if (silent > limit) stall.abort(ApplicationFailure.retryable(`This attempt was stalled for ${(silent / 1000).toFixed(1)} s; another one may be at work.`, 'UNAVAILABLE'));
    last = now();
  };
  signal.throwIfAborted = () => {
    look();
    AbortSignal.prototype.throwIfAborted.call(signal);
  };
  return { signal, beat: look };
}
