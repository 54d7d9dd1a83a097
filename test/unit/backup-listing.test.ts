import { expect, it } from 'vitest';
import { placesInBackup } from '../../activities/archive/backup-listing.ts';

it('what a server has lies in a backup below its own directory and below each tablespace, directories before what lies in them', () => {
  const pieces = [
    { source: '/pg/data', under: 'data', listing: { directories: ['global', 'base', 'base/5'], files: [{ path: 'base/5/1', size: 1 }] } },
    { source: '/mnt/fast', under: 'tablespaces/7', listing: { directories: ['PG_15_1'], files: [{ path: 'PG_15_1/9', size: 2 }] } },
  ];
  expect(placesInBackup(pieces)).toEqual({
    directories: ['data', 'tablespaces', 'data/base', 'data/base/5', 'data/global', 'tablespaces/7', 'tablespaces/7/PG_15_1'],
    files: [{ path: 'data/base/5/1', source: '/pg/data/base/5/1', size: 1 }, { path: 'tablespaces/7/PG_15_1/9', source: '/mnt/fast/PG_15_1/9', size: 2 }],
  });
  expect(placesInBackup(pieces.slice(0, 1)).directories).not.toContain('tablespaces');
});

it('a server may have more files than a call takes arguments', () => {
  const files = Array.from({ length: 200_000 }, (_, index) => ({ path: `base/5/${index}`, size: 1 }));
  expect(placesInBackup([{ source: '/pg', under: 'data', listing: { directories: [], files } }]).files).toHaveLength(200_000);
});
