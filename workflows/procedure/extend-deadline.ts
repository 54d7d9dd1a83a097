import { extendDeadlineSchema, LIMITS_IN_WORDS, type ExtendDeadline } from '../../contracts/messages.ts';
import { tooLate } from './decisions.ts';
import { refusalToExtend } from './gate-policy.ts';
import { noteEvent } from './gate-record.ts';
import { viewOf } from './gate-view.ts';
import { latestExpiry } from './ladder.ts';
import { refused } from './refused.ts';
import type { OpenGate, RunState } from './run-state.ts';
import { note } from './steering.ts';
import { instantOf } from './wait.ts';

/**
 * Validator of the `extendDeadline` update: throws a sentence that says what to do, before anything enters history. Only
 * later, since an expiry can be an answer too. A claimed name is enough, also where a decision asks for more: no update
 * brings a better one, and more time gives nobody a pass.
 */
export function validateExtension(state: RunState, payload: unknown): void {
  const parsed = extendDeadlineSchema.safeParse(payload);
  if (!parsed.success) throw refused(`extendDeadline takes { gate, until: "2026-12-31T18:00:00Z", by, reason? } with ${LIMITS_IN_WORDS}`);
  const gate = openGate(state, parsed.data);
  const untilMs = Date.parse(parsed.data.until);
  if (untilMs <= Date.now()) throw refused(`${parsed.data.until} is over; name a later instant, or reject at gate "${gate.name}"`);
  const over = tooLate(gate, Date.now());
  if (over !== null) throw refused(over);
  if (untilMs <= gate.expiresAtMs) throw refused(`gate "${gate.name}" is open until ${instantOf(gate.expiresAtMs)}, and can only be extended; to end it sooner, reject`);
  const reason = refusalToExtend(viewOf(state, gate), parsed.data.by, Date.now());
  if (reason !== null) throw refused(reason);
  const latest = latestExpiry(gate.policy, gate.openedAtMs);
  if (untilMs > latest) throw refused(`gate "${gate.name}" can be extended to ${instantOf(latest)} at most (extendUpTo)`);
}

/** Handler of `extendDeadline`: moves the expiry, and says to when. */
export function extendDeadline(state: RunState, update: ExtendDeadline): { gate: string; expiresAt: string } {
  const gate = openGate(state, update);
  const before = instantOf(gate.expiresAtMs);
  gate.expiresAtMs = Date.parse(update.until);
  gate.changes += 1;
  const expiresAt = instantOf(gate.expiresAtMs);
  noteEvent(gate, 'extended', `from ${before} to ${expiresAt} by ${update.by}${update.reason === undefined ? '' : `: ${update.reason}`}`);
  note(state, { operation: 'extendDeadline', by: update.by, reason: update.reason ?? null, of: gate.name, detail: expiresAt });
  return { gate: gate.name, expiresAt };
}

function openGate({ openGate: gate }: RunState, { gate: name }: ExtendDeadline): OpenGate {
  if (!gate) throw refused('no gate is open; see `runbook status`');
  if (gate.name !== name) throw refused(`gate "${name}" is not open; the open gate is "${gate.name}"`);
  return gate;
}
