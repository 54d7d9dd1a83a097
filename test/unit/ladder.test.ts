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

describe('a policy', () => {
  it.each([
    [{ escalation: [{ after: '24h', approvers: ['ben'] }] }, 'comes only when the gate has expired already'],
    [{ escalation: [{ after: '1h' }] }, 'asks nobody and tells nobody'],
    [{ approvers: [], escalation: [{ after: '1h', approvers: ['ben'] }] }, 'anyone may decide from the beginning'],
    [{ remindEvery: '10s' }, 'more often than people can stand'],
    [{ extendUpTo: '1h' }, 'is shorter than expiresAfter'],
  ])('that makes no sense is refused: %j', (over, sentence) => {
    expect(() => policy(over)).toThrow(sentence);
  });
});
