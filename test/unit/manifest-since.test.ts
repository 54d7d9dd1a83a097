import type { Client } from 'pg';
import { describe, expect, it } from 'vitest';
import { catalogsOf } from '../../activities/manifest/catalog.ts';
import { sqlState } from '../../activities/manifest/errors.ts';
import { withoutMoved } from '../../activities/manifest/since/catalog-rows.ts';
import type { Obstacle } from '../../activities/manifest/since/compare-rows.ts';
import { matchTuples } from '../../activities/manifest/since/match-tuples.ts';
import { rowsNotVerified, uncomparedTables, type TableRows } from '../../activities/manifest/since/not-compared.ts';
import { otherHistory } from '../../activities/manifest/since/other-history.ts';
import { RowsOfManifest } from '../../activities/manifest/since/rows-of-manifest.ts';
import { type Judged, sharedPast } from '../../activities/manifest/since/shared-past.ts';
import { compareThreeWay } from '../../activities/manifest/since/three-way.ts';
import type { CatalogObject, DatabaseManifest, Manifest } from '../../contracts/manifest.ts';

describe('versions of rows', () => {
  const tuple = (place: string, xmin: number, hash: number) => ({ place, xmin, hash: BigInt(hash) });
  const judging = (of: Partial<Record<keyof Judged, number[]>> = {}) => (xids: ReadonlySet<number>): Promise<Judged> => {
    const among = (known: number[] = []) => new Set([...xids].filter((xid) => known.includes(xid)));
    return Promise.resolve({ shared: among(of.shared), untold: among(of.untold), ambiguous: among(of.ambiguous) });
  };
  const none = { same: 0, altered: 0, maybeAltered: 0, missing: 0, untold: 0, changedSince: [] as unknown[] };

  it('that both have, and that are the same, are exact', async () => {
    expect(await matchTuples([tuple('(0,1)', 7, 1), tuple('(0,2)', 7, 2)], [tuple('(0,2)', 7, 2), tuple('(0,1)', 7, 1)], judging())).toEqual({ ...none, same: 2 });
  });

  it('with another content are damage: no version is ever changed', async () => {
    const match = (of: Partial<Record<keyof Judged, number[]>>) => matchTuples([tuple('(0,1)', 7, 1)], [tuple('(0,1)', 7, 2)], judging(of));
    expect(await match({ shared: [7] })).toEqual({ ...none, altered: 1 });
    expect(await match({ ambiguous: [7] })).toEqual({ ...none, altered: 1 });
    expect(await match({ untold: [7] })).toEqual({ ...none, maybeAltered: 1 });
  });

  it('of another transaction of the same number, or at the same place, are others', async () => {
    expect(await matchTuples([tuple('(0,1)', 7, 1)], [tuple('(0,1)', 7, 2)], judging())).toEqual({ ...none, changedSince: [tuple('(0,1)', 7, 1)] });
    expect(await matchTuples([tuple('(0,1)', 7, 1)], [tuple('(0,1)', 8, 1)], judging())).toEqual({ ...none, changedSince: [tuple('(0,1)', 7, 1)] });
  });

  it('that the copy lacks are missing where their transaction is committed in it, of later where it is not, and else nobody can tell', async () => {
    const source = [tuple('(0,1)', 7, 1), tuple('(0,2)', 8, 1), tuple('(0,3)', 7, 1)];
    expect(await matchTuples([], source, judging({ shared: [7] }))).toEqual({ ...none, missing: 2 });
    expect(await matchTuples([], source, judging({ shared: [8], untold: [7] }))).toEqual({ ...none, missing: 1, untold: 2 });
    expect(await matchTuples([], source, judging({ ambiguous: [7, 8] }))).toEqual(none);
    expect(await matchTuples([], source, judging())).toEqual(none);
  });
});

describe('rows of the manifest', () => {
  const rows = (...xmins: number[]) => xmins.map((xmin, index) => ({ place: `(0,${index + 1})`, xmin, hash: 0n }));
  const beyond = (expected: number, ours: number[], own: number[], past = { isOfManifest: (xid: number) => xid < 10 }) => {
    const old = new RowsOfManifest(past);
    old.add(rows(...ours), rows(...own));
    return old.beyond(expected);
  };

  it('can be no more than it has, whatever came since, and fewer', () => {
    expect(beyond(2, [5, 6, 7, 20], [7])).toBe(1);
    expect(beyond(3, [5, 6, 7, 20, 21], [5, 6, 7, 20, 21])).toBe(0);
    expect(beyond(3, [5], [5])).toBe(0);
  });

  it('that the source has just so have not come back, and none is known where the file may be another one', () => {
    expect(beyond(1, [5, 6, 7], [])).toBe(0);
    expect(beyond(1, [5, 6, 7], [7])).toBe(1);
    const unknown = new RowsOfManifest(undefined);
    unknown.add(rows(5, 6), rows(5, 6));
    expect(unknown.beyond(0)).toBe(0);
  });
});

describe('transactions that a copy has in common with its source', () => {
  const ROUND = 2n ** 32n;
  /** Has forgotten the old ones, as a server that has counted so far has. */
  const server = (next: bigint): Client => ({
    query: (sql: string, values: string[][] = []) => Promise.resolve({ rows: sql.includes('pg_xact_status') ? (values[0] ?? []).map((xid) => ({ xid, status: null })) : [{ next: String(next), kept: false }] }),
  }) as unknown as Client;
  const committed = async (copy: bigint, source: bigint, ...xids: number[]) => [...await (await sharedPast(server(copy), server(source), undefined)).committed(new Set(xids))];

  it('are those that stand for nothing that the source did later, a round of 2^32 after what the copy has of that number', async () => {
    expect(await committed(ROUND + 5_000n, ROUND + 7_000n, 6_000, 6_999)).toEqual([]);
    expect(await committed(ROUND + 5_000n, ROUND + 7_000n, 2, 7_000, 3_000_000_000)).toEqual([2, 7_000, 3_000_000_000]);
    expect(await committed(2n * ROUND - 100n, 2n * ROUND + 200n, 50, 4_294_967_250)).toEqual([]);
    expect(await committed(50_000n, 60_000n, 700, 55_000)).toEqual([700]);
  });

  it('are no finding about the copy where the source cannot tell them', async () => {
    const broken = { query: () => Promise.reject(Object.assign(new Error('invalid page'), { code: 'XX001' })) } as unknown as Client;
    const past = await sharedPast(server(50_000n), broken, undefined);
    const error: unknown = await past.committed(new Set([700])).catch((thrown: unknown) => thrown);
    expect([String(error), sqlState(error)]).toEqual(['SourceUnreadable: the source could not read it (XX001): invalid page', '']);
  });

  it('may be those of a round before: what the source made since and what may be older is not surely later', async () => {
    const areLater = async (copy: bigint, source: bigint, ...xids: number[]) => (await sharedPast(server(copy), server(source), undefined)).areLater(new Set(xids));
    expect(await areLater(ROUND + 5_000n, ROUND + 7_000n, 6_000)).toBe(false);
    expect(await areLater(ROUND + 5_000n, ROUND + 7_000n, 3_000_000_000)).toBe(false);
    expect(await areLater(50_000n, 60_000n, 55_000)).toBe(true);
    expect(await areLater(50_000n, 60_000n, 55_000, 700)).toBe(false);
  });
});

describe('of the newest transactions', () => {
  type Known = Record<number, { isCommitted?: boolean; seconds?: string; origin?: string }>;
  /** Keeps times of commits where it has any. */
  const server = (next: number, known: Known): Client => ({
    query: (sql: string, [asked = []]: string[][] = []) => Promise.resolve({
      rows: sql.includes('pg_xact_status') ? asked.map((xid) => ({ xid, status: known[Number(xid)]?.isCommitted ? 'committed' : 'aborted' }))
        : sql.includes('pg_xact_commit_timestamp') ? asked.flatMap((xid) => { const { seconds, origin = '0' } = known[Number(xid)] ?? {}; return seconds === undefined ? [] : [{ xid, seconds, origin }]; })
          : [{ next: String(next), kept: Object.values(known).some(({ seconds }) => seconds !== undefined) }],
    }),
  }) as unknown as Client;
  const SEEN = { finishedBelow: '100', begunBelow: '110' };
  const judge = async (copy: Known, source: Known, xid: number, seen: typeof SEEN | undefined = SEEN) => {
    const { shared, untold } = await (await sharedPast(server(120, copy), server(200, source), seen)).judge(new Set([xid]));
    return shared.has(xid) ? 'shared' : untold.has(xid) ? 'untold' : 'later';
  };
  const committed = { isCommitted: true };

  it('without times of commits, those are shared that had been begun by the manifest, and those of after the copy are later', async () => {
    expect(await judge({ 99: committed }, {}, 99)).toBe('shared');
    expect(await judge({ 105: committed }, {}, 105)).toBe('shared');
    expect(await judge({ 112: committed }, {}, 112)).toBe('untold');
    expect(await judge({}, {}, 112)).toBe('untold');
    expect(await judge({}, {}, 120)).toBe('later');
  });

  it('those that were over by the manifest are shared also where the copy has forgotten them, and those under way by then may be', async () => {
    expect(await judge({}, {}, 99)).toBe('shared');
    expect(await judge({}, {}, 100)).toBe('untold');
  });

  it('nothing is known of any where the manifest does not say, or says what the copy has not come to', async () => {
    expect(await judge({ 99: committed }, {}, 99, { finishedBelow: '100', begunBelow: '121' })).toBe('untold');
    const past = await sharedPast(server(120, { 99: committed }), server(200, {}), undefined);
    expect((await past.judge(new Set([99]))).untold).toEqual(new Set([99]));
  });

  it('times of commits tell: the same are shared, whatever the copy counts as committed, and others are of two transactions', async () => {
    expect(await judge({ 115: { isCommitted: true, seconds: '50.25' } }, { 115: { seconds: '50.25' } }, 115)).toBe('shared');
    expect(await judge({ 115: { seconds: '50.25' } }, { 115: { seconds: '50.25' } }, 115)).toBe('shared');
    expect(await judge({ 115: { isCommitted: true, seconds: '70' } }, { 115: { seconds: '60' } }, 115)).toBe('later');
    expect(await judge({ 115: { isCommitted: true, seconds: '70' } }, {}, 115)).toBe('untold');
  });

  it('what the copy does not have is later where the source committed it after all that both have, by the same clock', async () => {
    const last: Known = { 111: { isCommitted: true, seconds: '50' } };
    expect(await judge(last, { ...last, 113: { seconds: '60' } }, 113)).toBe('later');
    expect(await judge(last, { ...last, 113: { seconds: '49.9' } }, 113)).toBe('later');
    expect(await judge(last, { ...last, 113: { seconds: '40' } }, 113)).toBe('untold');
    expect(await judge(last, { ...last, 113: { seconds: '60', origin: '1' } }, 113)).toBe('untold');
    expect(await judge({ ...last, 113: committed }, { ...last, 113: { seconds: '60' } }, 113)).toBe('untold');
  });

  it('those are forgotten that the copy has the time of, and does not count as committed', async () => {
    const source: Known = { 111: { seconds: '50' }, 112: { seconds: '51' }, 113: { seconds: '52' } };
    const past = await sharedPast(server(120, { 111: { isCommitted: true, seconds: '50' }, 112: { seconds: '51' }, 113: { seconds: '99' } }), server(200, source), SEEN);
    expect(await past.forgotten()).toEqual([112]);
  });

  it('that were over by the manifest are those of which it has each row, and none where it does not say, or says what the copy has not come to', async () => {
    const of = async (seen: typeof SEEN | undefined) => [2, 99, 100, 119, 4_294_967_295].map((xid) => past(seen).then((one) => one.isOfManifest(xid)));
    const past = (seen: typeof SEEN | undefined) => sharedPast(server(120, {}), server(200, {}), seen);
    expect(await Promise.all(await of(SEEN))).toEqual([true, true, false, false, false]);
    for (const seen of [undefined, { finishedBelow: '100', begunBelow: '121' }]) expect(await Promise.all(await of(seen))).toEqual([false, false, false, false, false]);
  });

  it('of the manifest are those of which a row may be damaged, and not reloaded', async () => {
    const past = await sharedPast(server(120, {}), server(200, {}), SEEN);
    expect([[110, 119], [109, 119], [2], []].map((xids) => past.areSinceManifest(new Set(xids)))).toEqual([true, false, false, true]);
    expect((await sharedPast(server(120, {}), server(200, {}), undefined)).areSinceManifest(new Set([119]))).toBe(false);
  });
});

describe('another history than that of a manifest', () => {
  const TAKEN = Date.parse('2026-01-01T00:00:00.000Z') / 1000;
  const of = (times: Record<string, { seconds: number; origin?: string }>, timeline: number | Error = 1): Promise<string | null> => {
    const source = { query: (sql: string, [asked = []]: string[][] = []) => (/pg_walfile_name|pg_control/.test(sql) ? timeline instanceof Error ? Promise.reject(timeline) : Promise.resolve({ rows: [{ file: `0000000${timeline}0000000000000001` }] })
      : Promise.resolve({ rows: sql.includes('pg_xact_commit_timestamp') ? asked.flatMap((xid) => { const { seconds, origin = '0' } = times[xid] ?? {}; return seconds === undefined ? [] : [{ xid, seconds: String(seconds), origin }]; }) : [{ next: '9000', kept: true }] })) } as unknown as Client;
    return otherHistory(source, { timeline: 1 } as Manifest, { transactions: { finishedBelow: '5000', begunBelow: '5000' }, takenAtBySource: '2026-01-01T00:00:00.000Z' } as DatabaseManifest);
  };

  it('is that of another timeline, and that in which what was over by the manifest was committed later', async () => {
    expect(await of({}, 2)).toContain('timeline 2');
    expect(await of({ 4999: { seconds: TAKEN - 5 }, 4500: { seconds: TAKEN + 60 } })).toContain('transaction 4500');
  });

  it('is none where all was committed by then, by the clock of the source, or where we may not ask', async () => {
    expect(await of({ 4999: { seconds: TAKEN + 0.5 }, 4998: { seconds: TAKEN + 60, origin: '1' }, 5000: { seconds: TAKEN + 60 } })).toBeNull();
    expect(await of({}, Object.assign(new Error('permission denied'), { code: '42501' }))).toBeNull();
  });
});

describe('definitions', () => {
  const objects = (entries: Record<string, string>): CatalogObject[] => Object.entries(entries).map(([name, hash]) => ['index', name, hash]);
  const differing = (manifest: Record<string, string>, copy: Record<string, string>, source: Record<string, string> | null) => {
    const { differences, unknown, changedSince } = compareThreeWay(objects(manifest), objects(copy), source && objects(source));
    return [differences.map((difference) => ('change' in difference ? `${difference.identity} ${difference.change}` : '')), unknown.map(({ object, identity }) => `${object} ${identity}`), changedSince];
  };

  it.each([
    ['as in the manifest, whatever the source has by now', { a: '1' }, { a: '1' }, { a: '2' }, [[], [], 0]],
    ['as the source has them by now', { a: '1' }, { a: '2', b: '1' }, { a: '2', b: '1' }, [[], [], 2]],
    ['otherwise than both, which are the same', { a: '1', b: '1' }, { a: '2' }, { a: '1', b: '1' }, [['a changed', 'b missing'], [], 0]],
    ['that neither has', {}, { a: '1' }, {}, [['a unexpected'], [], 0]],
    ['otherwise than both, which are not the same', { a: '1' }, { a: '2' }, { a: '3' }, [[], ['index a'], 0]],
    ['otherwise than the manifest, where the source does not answer', { a: '1', b: '1' }, { a: '2' }, null, [[], ['index a', 'index b'], 0]],
  ] as const)('%s', (_what, manifest, copy, source, expected) => {
    expect(differing(manifest, copy, source)).toEqual(expected);
  });
});

it('rows of a catalog that say the same elsewhere are no loss, also where both have written something else at one place by one number', () => {
  const row = (place: string, xmin: number, hash: number) => ({ place, xmin, hash: BigInt(hash) });
  const [old, anew, other, kept] = [row('(0,1)', 7, 1), row('(0,2)', 9, 1), row('(0,2)', 9, 2), row('(0,3)', 7, 3)];
  expect(withoutMoved([anew, kept], [old, other, kept])).toEqual({ here: [kept], there: [other, kept], copyAlone: [] });
  expect(withoutMoved([kept], [old, kept])).toEqual({ here: [kept], there: [old, kept], copyAlone: [] });
  expect(withoutMoved([other, kept], [old, kept])).toEqual({ here: [other, kept], there: [old, kept], copyAlone: [other] });
});

it('a kind of definition stands in few catalogs: what became of tables tells nothing of functions', () => {
  expect(catalogsOf('function')).toEqual(expect.arrayContaining(['pg_proc', 'pg_namespace']));
  expect(catalogsOf('function')).not.toContain('pg_class');
  expect(catalogsOf('view')).toEqual(expect.arrayContaining(['pg_class', 'pg_namespace']));
  expect(catalogsOf('membership')).toEqual(['pg_auth_members', 'pg_authid']);
});

describe('rows that were not compared', () => {
  const table = (name: string, { expected = 0, lacking = 0, untold = 0, ...coverage }: Partial<TableRows['coverage'] & Pick<TableRows, 'expected' | 'lacking' | 'untold'>>, ...obstacles: Obstacle[]): TableRows => ({ name, expected, lacking, untold, coverage: { byManifest: 0, bySource: 0, changedSince: 0, unknown: 0, ...coverage }, differences: [], obstacles: new Set(obstacles) });
  const said = (...tables: TableRows[]) => rowsNotVerified('shop', tables).map(({ what, why, byDesign }) => `${byDesign ? 'by design' : 'open'}: ${what}: ${why.split(/[,;(]/)[0]}`);
  const compared = table('compared', { byManifest: 5, bySource: 5, changedSince: 5 });

  it.each([
    ['none, where all was compared, or some', [compared, table('empty', {})], [], []],
    ['those of a table that the source has rewritten since', [compared, table('orders', { byManifest: 3, unknown: 7 }, 'another file')], ['open: 7 of 10 rows of orders: the source has rewritten or altered the table since '], []],
    ['those that differ where no source answers', [compared, table('orders', { unknown: 7 }, 'no source')], ['open: 7 of 7 rows of orders: they are not as the manifest has them'], ['orders']],
    ['those that the copy does not show, however many', [compared, table('tenants', {}, 'copy not readable')], ['open: contents of tenants: the user as whom the copy is read may not read it there '], ['tenants']],
    ['those of a table that the source has no more', [compared, table('old', { unknown: 2 }, 'not at the source')], ['open: 2 of 2 rows of old: the source has dropped or renamed the table since'], ['old']],
    ['those of a table of which each was changed since, which nothing has any more', [compared, table('beats', { changedSince: 1 })], ['by design: all 1 rows of beats: the source has changed or deleted each of them since the instant of the copy'], ['beats']],
    ['those of a materialized view that was refreshed since', [compared, table('totals', { unknown: 20 }, 'refreshed since')], ['by design: 20 of 20 rows of totals: the source has refreshed this materialized view since the instant of the copy'], ['totals']],
    ['those of a table that was made after the manifest and dropped', [compared, table('report', { unknown: 20 }, 'dropped since')], ['by design: 20 of 20 rows of report: the table was made after the manifest'], ['report']],
    ['those of a table that was reloaded since', [compared, table('staging', { unknown: 10, expected: 9 }, 'reloaded since')], ['by design: 10 of 10 rows of staging: the source has written all rows of the table anew since the instant of the copy '], ['staging']],
    ['those of a table that was reloaded since, of which some are as they were: it was rewritten', [compared, table('staging', { byManifest: 1, unknown: 11 }, 'reloaded since')], ['open: 11 of 12 rows of staging: the source has written all rows of the table anew since the instant of the copy '], []],
    ['those of a table that was reloaded since, of which the copy has fewer than the manifest', [compared, table('staging', { unknown: 4, lacking: 1, expected: 5 }, 'reloaded since')], ['open: 4 of 4 rows of staging, where the manifest has 1 more: the source has written all rows of the table anew since the instant of the copy '], ['staging']],
    ['those of a table that was reloaded since, of which the copy has none', [compared, table('emptied', { lacking: 5, expected: 5 }, 'reloaded since')], ['open: 0 of 0 rows of emptied, where the manifest has 5 more: the source has written all rows of the table anew since the instant of the copy '], ['emptied']],
    ['those of a table that was reloaded since, where the manifest had more of them than were compared, in ranges of which the copy has others', [compared, table('staging', { unknown: 8, lacking: 3, expected: 8 }, 'reloaded since')], ['open: 8 of 8 rows of staging, where the manifest has 3 more: the source has written all rows of the table anew since the instant of the copy '], ['staging']],
    ['those of a table that was reloaded since, of which some were there by the manifest', [compared, table('prices', { unknown: 10, expected: 10 }, 'reloaded since', 'rewritten since')], ['open: 10 of 10 rows of prices: the source has written all rows of the table anew since the instant of the copy '], ['prices']],
    ['those that the source has, and that the copy may have lost', [compared, table('orders', { bySource: 5, untold: 2 }), table('journal', { untold: 3 })], ['open: 2 rows of orders that the source has, and the copy has not: nobody can tell whether the copy must have them: they are of transactions that were begun after the manifest or under way then', 'open: 3 rows of journal that the source has, and the copy has not: nobody can tell whether the copy must have them: they are of transactions that were begun after the manifest or under way then'], ['journal']],
    ['those of tables that were reloaded since, where these are most of the data', [compared, table('orders', { unknown: 6 }, 'reloaded since'), table('lines', { unknown: 6 }, 'reloaded since')], ['open: 6 of 6 rows of orders: the source has written all rows of the table anew since the instant of the copy ', 'open: 6 of 6 rows of lines: the source has written all rows of the table anew since the instant of the copy '], ['orders', 'lines']],
    ['all, where none but what was refreshed has rows', [table('totals', { unknown: 20 }, 'refreshed since')], ['by design: 20 of 20 rows of totals: the source has refreshed this materialized view since the instant of the copy', 'open: contents of tables: not one of the 20 rows could be compared'], ['totals']],
    ['all, where none but what was refreshed had rows, and the copy has lost them', [table('totals', { lacking: 20, expected: 20 }, 'refreshed since')], ['by design: 0 of 0 rows of totals, where the manifest has 20 more: the source has refreshed this materialized view since the instant of the copy', 'open: contents of tables: not one of the 20 rows could be compared'], ['totals']],
    ['all, where that is so of all tables', [table('beats', { changedSince: 1 }), table('empty', {})], ['by design: all 1 rows of beats: the source has changed or deleted each of them since the instant of the copy', 'open: contents of tables: not one of the 1 rows could be compared'], ['beats']],
  ])('are %s', (_what, tables, entries, names) => {
    expect(said(...tables)).toEqual(entries);
    expect(uncomparedTables(tables).map(({ table: name }) => name)).toEqual(names);
  });
});
