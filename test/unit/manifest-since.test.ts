import { describe, expect, it } from 'vitest';
import { matchTuples } from '../../activities/manifest/since/match-tuples.ts';
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
