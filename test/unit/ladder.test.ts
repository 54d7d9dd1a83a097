import { describe, expect, it } from 'vitest';
import { gatePolicySchema } from '../../contracts/gate.ts';
import { approversAt, latestExpiry, nextRung, type LadderState } from '../../workflows/procedure/ladder.ts';

const HOUR = 3_600_000;
const policy = (over: Record<string, unknown> = {}) => gatePolicySchema.parse({ approvers: ['anna'], expiresAfter: '24h', ...over });
const at = (over: Partial<LadderState> = {}): LadderState => ({ openedAtMs: 0, expiresAtMs: 24 * HOUR, toldAtMs: 0, escalated: 0, ...over });

describe('nextRung', () => {
  const ladder = policy({ remindEvery: '2h', escalation: [{ after: '12h', approvers: ['boss'] }, { after: '3h', approvers: ['ben'] }] });
  it('reminds, escalates in the order of time whatever was written first, and expires', () => {
    expect(nextRung(ladder, at())).toEqual({ kind: 'remind', atMs: 2 * HOUR });
    expect(nextRung(ladder, at({ toldAtMs: 2 * HOUR }))).toEqual({ kind: 'escalate', atMs: 3 * HOUR, index: 0 });
    expect(nextRung(ladder, at({ toldAtMs: 3 * HOUR, escalated: 1 }))).toEqual({ kind: 'remind', atMs: 5 * HOUR });
    expect(nextRung(ladder, at({ toldAtMs: 11 * HOUR, escalated: 1 }))).toEqual({ kind: 'escalate', atMs: 12 * HOUR, index: 1 });
    expect(nextRung(ladder, at({ toldAtMs: 23 * HOUR, escalated: 2 }))).toEqual({ kind: 'expire', atMs: 24 * HOUR });
  });
  it('escalates rather than reminds, and expires rather than reminds, at one instant', () => {
    expect(nextRung(policy({ remindEvery: '3h', escalation: [{ after: '3h', approvers: ['ben'] }] }), at())).toMatchObject({ kind: 'escalate' });
    expect(nextRung(policy({ remindEvery: '24h' }), at())).toMatchObject({ kind: 'expire' });
  });
  it('follows an extension', () => {
    expect(nextRung(policy(), at({ expiresAtMs: 30 * HOUR }))).toEqual({ kind: 'expire', atMs: 30 * HOUR });
    expect(nextRung(ladder, at({ toldAtMs: 22 * HOUR, escalated: 2, expiresAtMs: 30 * HOUR }))).toEqual({ kind: 'remind', atMs: 24 * HOUR });
  });
});

it('asks further people from the instant of their escalation on, and never narrows a gate for anyone', () => {
  const escalating = policy({ escalation: [{ after: '3h', approvers: ['ben'] }] });
  expect(approversAt(escalating, HOUR, 4 * HOUR - 1)).toEqual(['anna']);
  expect(approversAt(escalating, HOUR, 4 * HOUR)).toEqual(['anna', 'ben']);
  expect(approversAt(policy({ approvers: [] }), 0, HOUR)).toEqual([]);
});

it('can be extended to a week from its opening, to its own expiry where that is later, or as the policy says', () => {
  expect(latestExpiry(policy(), HOUR)).toBe(7 * 24 * HOUR + HOUR);
  expect(latestExpiry(policy({ expiresAfter: '10d' }), 0)).toBe(10 * 24 * HOUR);
  expect(latestExpiry(policy({ extendUpTo: '48h' }), 0)).toBe(48 * HOUR);
});

const channels = (count: number) => Array.from({ length: count }, (_, index) => `channel ${index}`);
const escalations = (count: number) => Array.from({ length: count }, () => ({ after: '1h', notify: channels(20) }));

describe('a policy', () => {
  it.each([
    { remindEvery: '1m', extendUpTo: '24h' }, { remindEvery: '15m', notify: channels(1) }, { remindEvery: '1h', expiresAfter: '30d', notify: channels(2) },
    { remindEvery: '94m', notify: channels(20) }, { remindEvery: '150m', expiresAfter: '90d', notify: channels(2) }, { remindEvery: '4h', expiresAfter: '90d', notify: channels(2), escalation: [{ after: '1d', notify: channels(20) }] },
  ])('that a history has room for is taken: $remindEvery', (over) => {
    expect(() => policy(over)).not.toThrow();
  });
  it.each([
    ['comes only when the gate has expired already', { escalation: [{ after: '24h', approvers: ['ben'] }] }],
    ['asks nobody and tells nobody', { escalation: [{ after: '1h' }] }],
    ['anyone may decide from the beginning', { approvers: [], escalation: [{ after: '1h', approvers: ['ben'] }] }],
    ['more often than people can stand', { remindEvery: '10s' }],
    ['is shorter than expiresAfter', { extendUpTo: '1h' }],
    ['tells more than 20 channels; leave some out', { notify: channels(21) }],
    ['tells more than 20 channels; leave some out', { escalation: [{ after: '1h', notify: channels(21) }] }],
    ['fills the history of a run before the gate ends, which it may after 90d; remind every 150m or more seldom, let it end after 14h at the latest (expiresAfter, extendUpTo), or tell fewer channels', { remindEvery: '1m', expiresAfter: '90d', notify: channels(2) }],
    // It may be extended to a week.
    ['which it may after 7d; remind every 3m or more seldom, let it end after 66h at the latest (expiresAfter, extendUpTo)', { remindEvery: '1m', expiresAfter: '1h' }],
    ['remind every 94m or more seldom, let it end after 108h at the latest', { remindEvery: '1h', extendUpTo: '7d', notify: channels(20) }],
    // Of 20,000 events, escalations leave 1,500 to 300 reminders.
    ['remind every 34m or more seldom, let it end after 25h at the latest', { remindEvery: '5m', extendUpTo: '7d', escalation: escalations(100) }],
    ['are more than the history of a run has room for; leave some out', { escalation: escalations(120) }],
  ])('is refused: %s', (sentence, over) => {
    expect(() => policy(over)).toThrow(sentence);
  });
});
