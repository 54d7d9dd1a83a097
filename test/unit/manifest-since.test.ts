import type { Client } from 'pg';
import { describe, expect, it } from 'vitest';
import { sqlState } from '../../activities/manifest/errors.ts';
import type { Obstacle } from '../../activities/manifest/since/compare-rows.ts';
import { matchTuples } from '../../activities/manifest/since/match-tuples.ts';
import { rowsNotVerified, uncomparedTables, type TableRows } from '../../activities/manifest/since/not-compared.ts';
import { sharedPast } from '../../activities/manifest/since/shared-past.ts';
import { compareThreeWay } from '../../activities/manifest/since/three-way.ts';
import type { CatalogObject } from '../../contracts/manifest.ts';

describe('versions of rows', () => {
  const tuple = (place: string, xmin: number, hash: number) => ({ place, xmin, hash: BigInt(hash) });
  const committed = (...known: number[]) => (xids: ReadonlySet<number>) => Promise.resolve(new Set([...xids].filter((xid) => known.includes(xid))));

  it('that both have, and that are the same, are exact', async () => {
    expect(await matchTuples([tuple('(0,1)', 7, 1), tuple('(0,2)', 7, 2)], [tuple('(0,2)', 7, 2), tuple('(0,1)', 7, 1)], committed())).toEqual({ same: 2, altered: 0, missing: 0, changedSince: 0 });
  });

  it('with another content are damage: no version is ever changed', async () => {
    expect(await matchTuples([tuple('(0,1)', 7, 1)], [tuple('(0,1)', 7, 2)], committed())).toMatchObject({ same: 0, altered: 1 });
  });

  it('of another transaction at the same place are others', async () => {
    expect(await matchTuples([tuple('(0,1)', 7, 1)], [tuple('(0,1)', 8, 1)], committed())).toEqual({ same: 0, altered: 0, missing: 0, changedSince: 1 });
  });

  it('that the copy lacks are missing where their transaction is committed in it, and of later otherwise', async () => {
    const source = [tuple('(0,1)', 7, 1), tuple('(0,2)', 8, 1), tuple('(0,3)', 7, 1)];
    expect(await matchTuples([], source, committed(7))).toMatchObject({ missing: 2, changedSince: 0 });
    expect(await matchTuples([], source, committed())).toMatchObject({ missing: 0 });
  });
});

describe('transactions that a copy has in common with its source', () => {
  const ROUND = 2n ** 32n;
  /** Has forgotten the old ones, as a server that has counted so far has. */
  const server = (next: bigint): Client => ({
    query: (sql: string, values: string[][] = []) => Promise.resolve({ rows: sql.includes('pg_xact_status') ? (values[0] ?? []).map((xid) => ({ xid, status: null })) : [{ next: String(next), kept: false }] }),
  }) as unknown as Client;
  const committed = async (copy: bigint, source: bigint, ...xids: number[]) => [...await (await sharedPast(server(copy), server(source))).committed(new Set(xids))];

  it('are those that stand for nothing that the source did later, a round of 2^32 after what the copy has of that number', async () => {
    expect(await committed(ROUND + 5_000n, ROUND + 7_000n, 6_000, 6_999)).toEqual([]);
    expect(await committed(ROUND + 5_000n, ROUND + 7_000n, 2, 7_000, 3_000_000_000)).toEqual([2, 7_000, 3_000_000_000]);
    expect(await committed(2n * ROUND - 100n, 2n * ROUND + 200n, 50, 4_294_967_250)).toEqual([]);
    expect(await committed(50_000n, 60_000n, 700, 55_000)).toEqual([700]);
  });

  it('are no finding about the copy where the source cannot tell them', async () => {
    const broken = { query: () => Promise.reject(Object.assign(new Error('invalid page'), { code: 'XX001' })) } as unknown as Client;
    const past = await sharedPast(server(50_000n), broken);
    const error: unknown = await past.committed(new Set([700])).catch((thrown: unknown) => thrown);
    expect([String(error), sqlState(error)]).toEqual(['SourceUnreadable: the source could not read it (XX001): invalid page', '']);
  });

  it('may be those of a round before: what the source made since and what may be older is not surely later', async () => {
    const areLater = async (copy: bigint, source: bigint, ...xids: number[]) => (await sharedPast(server(copy), server(source))).areLater(new Set(xids));
    expect(await areLater(ROUND + 5_000n, ROUND + 7_000n, 6_000)).toBe(false);
    expect(await areLater(ROUND + 5_000n, ROUND + 7_000n, 3_000_000_000)).toBe(false);
    expect(await areLater(50_000n, 60_000n, 55_000)).toBe(true);
    expect(await areLater(50_000n, 60_000n, 55_000, 700)).toBe(false);
  });
});

describe('definitions', () => {
  const objects = (entries: Record<string, string>): CatalogObject[] => Object.entries(entries).map(([name, hash]) => ['index', name, hash]);
  const differing = (manifest: Record<string, string>, copy: Record<string, string>, source: Record<string, string> | null) => {
    const { differences, unknown, changedSince } = compareThreeWay(objects(manifest), objects(copy), source && objects(source));
    return [differences.map((difference) => ('change' in difference ? `${difference.identity} ${difference.change}` : '')), unknown, changedSince];
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

describe('rows that were not compared', () => {
  const table = (name: string, { expected = 0, lacking = 0, ...coverage }: Partial<TableRows['coverage'] & Pick<TableRows, 'expected' | 'lacking'>>, ...obstacles: Obstacle[]): TableRows => ({ name, expected, lacking, coverage: { byManifest: 0, bySource: 0, changedSince: 0, unknown: 0, ...coverage }, differences: [], obstacles: new Set(obstacles) });
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
    ['those of tables that were reloaded since, where these are most of the data', [compared, table('orders', { unknown: 6 }, 'reloaded since'), table('lines', { unknown: 6 }, 'reloaded since')], ['open: 6 of 6 rows of orders: the source has written all rows of the table anew since the instant of the copy ', 'open: 6 of 6 rows of lines: the source has written all rows of the table anew since the instant of the copy '], ['orders', 'lines']],
    ['all, where none but what was refreshed has rows', [table('totals', { unknown: 20 }, 'refreshed since')], ['by design: 20 of 20 rows of totals: the source has refreshed this materialized view since the instant of the copy', 'open: contents of tables: not one of the 20 rows could be compared'], ['totals']],
    ['all, where none but what was refreshed had rows, and the copy has lost them', [table('totals', { lacking: 20, expected: 20 }, 'refreshed since')], ['by design: 0 of 0 rows of totals, where the manifest has 20 more: the source has refreshed this materialized view since the instant of the copy', 'open: contents of tables: not one of the 20 rows could be compared'], ['totals']],
    ['all, where that is so of all tables', [table('beats', { changedSince: 1 }), table('empty', {})], ['by design: all 1 rows of beats: the source has changed or deleted each of them since the instant of the copy', 'open: contents of tables: not one of the 1 rows could be compared'], ['beats']],
  ])('are %s', (_what, tables, entries, names) => {
    expect(said(...tables)).toEqual(entries);
    expect(uncomparedTables(tables).map(({ table: name }) => name)).toEqual(names);
  });
});
