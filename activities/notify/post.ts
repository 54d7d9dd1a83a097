import { ApplicationFailure } from '@temporalio/common';

/** One attempt. `timeoutMs`: from its beginning to the status of the answer. */
export interface Post {
  /** For what people read; the address is a secret. */
  channel: string;
  address: URL;
  headers: Readonly<Record<string, string>>;
  body: string;
  timeoutMs: number;
  /** Ends the attempt early, as when the worker stops. */
  cancellation: AbortSignal;
}

/** How long a receiver may put us off. */
const LONGEST_DELAY_MS = 10 * 60_000;

/**
 * Posts JSON once. Nothing is read of the answer but its status, and no redirect is followed: that would carry the message,
 * and what it is signed for, to where nobody configured it.
 *
 * @throws ApplicationFailure `UNAVAILABLE` where trying again may help, no sooner than the receiver asks for (ten minutes at most);
 *   `CONFIGURATION`, final, where it answers that the message will never be taken. Both name the channel, and never its address.
 */
export async function post({ channel, address, headers, body, timeoutMs, cancellation }: Post): Promise<void> {
  const timeout = AbortSignal.timeout(timeoutMs);
  let answer: Response;
  try {
    answer = await fetch(address, {
      method: 'POST', body, redirect: 'manual', signal: AbortSignal.any([timeout, cancellation]),
      headers: { 'content-type': 'application/json', 'user-agent': 'durable-runbooks', ...headers },
    });
  } catch (error) {
    // Its own words, and its cause's, hold the address.
    if (timeout.aborted) throw unavailable(`channel "${channel}" did not answer within ${timeoutMs} ms`);
    if (cancellation.aborted) throw unavailable(`the worker stopped while it waited for channel "${channel}"`);
    throw unavailable(`channel "${channel}" cannot be reached${codeOf(error)}`);
  }
  await answer.body?.cancel().catch(() => undefined);
  judge(channel, answer);
}

function judge(channel: string, { status, headers }: Response): void {
  if (status >= 200 && status < 300) return;
  const said = `channel "${channel}" answered with HTTP ${status}`;
  if (status >= 500 || [408, 425, 429].includes(status)) throw unavailable(said, [429, 503].includes(status) ? delayOf(headers.get('retry-after')) : undefined);
  throw ApplicationFailure.nonRetryable(`${said}; the message is not tried again: ${whatToDo(status)}`, 'CONFIGURATION');
}

function whatToDo(status: number): string {
  if (status < 400) return 'redirects are not followed, so put the address there that it redirects to';
  if (status === 401 || status === 403) return 'look whether its address or secret was withdrawn, and put the new one there';
  if (status === 404 || status === 410) return 'there is no such address (any more), so put the present one there';
  return 'look at its address and at what its receiver takes';
}

/** Seconds, or an instant as HTTP writes it; what is neither, or not in the future, asks for nothing. */
function delayOf(retryAfter: string | null): number | undefined {
  const text = retryAfter?.trim() ?? '';
  const ms = /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - Date.now();
  return ms > 0 ? Math.min(ms, LONGEST_DELAY_MS) : undefined;
}

function unavailable(message: string, nextRetryDelay?: number): ApplicationFailure {
  return ApplicationFailure.create({ message, type: 'UNAVAILABLE', nonRetryable: false, ...(nextRetryDelay === undefined ? {} : { nextRetryDelay }) });
}

/** As in ECONNREFUSED or CERT_HAS_EXPIRED. */
function codeOf(error: unknown): string {
  const code = (error as { cause?: { code?: unknown } }).cause?.code;
  return typeof code === 'string' && /^[A-Z0-9_]+$/.test(code) ? ` (${code})` : '';
}
