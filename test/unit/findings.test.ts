import { expect, it } from 'vitest';
import { reasonsOf } from '../../activities/dr-test/findings.ts';
import type { NotVerified } from '../../contracts/manifest.ts';

const many = (count: number, entry: Omit<NotVerified, 'what'>, what: string): NotVerified[] => Array.from({ length: count }, (_, index) => ({ ...entry, what: `${what} ${index}` }));
const UNLOGGED = { database: 'shop', why: 'not recoverable by design', byDesign: true };
const LOCKED = { database: 'shop', why: 'locked', byDesign: false };

it('lists the first of each kind and counts the rest, and mixes nothing that is open with what is by design', () => {
  const reasons = reasonsOf([...many(10_000, UNLOGGED, 'unlogged table'), ...many(21, LOCKED, 'contents of'), ...many(20, { ...UNLOGGED, database: 'crm' }, 'unlogged table'), { database: null, what: 'passwords of roles', why: 'hidden', byDesign: false }]);
  expect(reasons.byDesign).toHaveLength(21 + 20);
  expect(reasons.byDesign[0]).toBe('shop, unlogged table 0: not recoverable by design');
  expect(reasons.byDesign[20]).toBe('shop, and 9980 more like the last one: not recoverable by design');
  expect(reasons.open).toHaveLength(21 + 1);
  expect(reasons.open.slice(-2)).toEqual(['shop, and 1 more like the last one: locked', 'passwords of roles: hidden']);
});

it('says of a part the same as of the whole, so that each reason is listed once', () => {
  const whole = [...many(30, UNLOGGED, 'unlogged table'), ...many(30, { ...UNLOGGED, database: 'crm' }, 'unlogged table')];
  const part = reasonsOf(whole.filter(({ database }) => database === 'crm'));
  expect(reasonsOf(whole).byDesign).toEqual(expect.arrayContaining(part.byDesign));
});
