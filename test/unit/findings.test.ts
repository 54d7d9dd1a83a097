import { describe, expect, it } from 'vitest';
import { comparisonChecks, reasonsOf } from '../../activities/dr-test/findings.ts';
import type { ComparisonResult, NotVerified } from '../../contracts/manifest.ts';

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

describe('a comparison without differences', () => {
  const result = (over: Partial<ComparisonResult>): ComparisonResult => ({
    database: 'shop', lsn: '0/1', depth: 'standard', equal: true, differences: [], notVerified: [], preparedTransactions: [], durationMs: 1,
    compared: { tables: 3, rows: 30, bytes: 1, buckets: 3, catalogObjects: 5, sequences: 2 }, counted: { tables: 0, rows: 0 }, ...over,
  });

  it.each([
    ['of everything', {}, 'contents of shop', '30 rows in 3 tables, 5 definitions and 2 sequences are as at 0/1'],
    ['of some tables of which the rows were only counted', { counted: { tables: 1, rows: 7 } }, 'contents of shop', '30 rows in 3 tables, 5 definitions and 2 sequences are as at 0/1; 7 rows in 1 tables are as many as there, and were not compared'],
    ['of counts only', { compared: { tables: 0, rows: 0, bytes: 0, buckets: 0, catalogObjects: 5, sequences: 2 }, counted: { tables: 4, rows: 37 } }, 'definitions and counts of shop', '5 definitions and 2 sequences are as at 0/1; 37 rows in 4 tables are as many as there, and were not compared'],
    ['of a database without tables', { compared: { tables: 0, rows: 0, bytes: 0, buckets: 0, catalogObjects: 5, sequences: 0 } }, 'contents of shop', '0 rows in 0 tables, 5 definitions and 0 sequences are as at 0/1'],
  ])('%s claims no more than that', (_what, over, name, detail) => {
    expect(comparisonChecks(result(over))).toEqual([{ name, outcome: 'passed', detail }]);
  });

  describe('with a living source', () => {
    const coverage = (over: Partial<NonNullable<ComparisonResult['coverage']>>) => ({ coverage: { byManifest: 0, bySource: 0, changedSince: 0, unknown: 0, ...over }, takenAt: '2026-11-30T00:00:00.000Z' });
    const said = (over: Partial<ComparisonResult>) => comparisonChecks(result(over)).map(({ name, outcome }) => `${name} ${outcome}`);

    it('has passed, but for tables with rows of which not one was compared', () => {
      expect(said({ ...coverage({ byManifest: 30, unknown: 7 }), uncompared: [] })).toEqual(['contents of shop passed']);
      expect(said({ ...coverage({ bySource: 30, changedSince: 1 }), uncompared: [{ table: 'public.beats', rows: 1 }] })).toEqual(['contents of shop passed', 'table public.beats skipped']);
      const many = Array.from({ length: 22 }, (_, index) => ({ table: `public.t${index}`, rows: 1 }));
      expect(said({ ...coverage({ bySource: 30, unknown: 22 }), uncompared: many }).slice(20)).toEqual(['table public.t19 skipped', 'contents of shop skipped']);
    });

    it('has not passed where not one row was compared', () => {
      expect(said({ ...coverage({ unknown: 7 }), uncompared: [{ table: 'public.orders', rows: 7 }] })).toEqual(['contents of shop skipped', 'table public.orders skipped']);
      expect(said({ ...coverage({}), uncompared: [] })).toEqual(['contents of shop passed']);
    });

    it('says also beside differences what was not compared', () => {
      const differences: ComparisonResult['differences'] = [{ kind: 'catalog', object: 'index', identity: 'i', change: 'missing' }];
      expect(said({ ...coverage({ unknown: 7 }), equal: false, differences, uncompared: [{ table: 'public.orders', rows: 7 }] })).toEqual(['index i failed', 'table public.orders skipped']);
    });
  });
});
