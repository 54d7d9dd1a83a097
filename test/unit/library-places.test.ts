import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { missingLibraries } from '../../activities/archive-provider/missing-libraries.ts';
import { placesOfLibrary } from '../../activities/postgres/library-places.ts';

it.each([
  ['$libdir/x', ['/lib/x']],
  ['x', ['/lib/x']],
  ['$libdir/plugins/x', ['/lib/plugins/x']],
  ['/opt/x', ['/opt/x']],
  // By no server of ours: from wherever it runs, or not at all.
  ['below/x', []], ['$other/x', []], ['$libdirectory/x', []], ['', []],
])('a server loads %s from where PostgreSQL looks for it, with and without an ending', (file, places) => {
  expect(placesOfLibrary(file, '/lib')).toEqual(places.flatMap((place) => [place, `${place}.so`, `${place}.dylib`]));
});

it.each([['$libdir/x', ['/lib/x', '/opt/x', '/lib/more/x']], ['x', ['/opt/x', '/lib/more/x', '/lib/x']], ['$libdir/plugins/x', ['/lib/plugins/x']], ['/usr/x', ['/usr/x']]])('and %s from where it is told to look', (file, places) => {
  expect(placesOfLibrary(file, '/lib', '/opt:$libdir/more:$libdir:not/absolute').filter((place) => !/\.(so|dylib)$/.test(place)).sort()).toEqual(places.sort());
});

let root: string;
beforeEach(async () => { root = await mkdtemp(join(tmpdir(), 'lib-')); });
afterEach(() => rm(root, { recursive: true }));

it('a host lacks a library only where the directory is that of its PostgreSQL, and what is there is a file', async () => {
  const look = (searchPath?: string) => missingLibraries({ databases: [{ extensions: null, libraries: [{ file: '$libdir/x', extension: 'x' }] }] as never }, { libDirectory: root }, { searchPath, without: [] });
  await mkdir(join(root, 'x'));
  expect(await look()).toEqual([]);
  await writeFile(join(root, 'plpgsql.dylib'), '');
  expect(await look()).toEqual(['$libdir/x (extension x)']);
  await mkdir(join(root, 'more'));
  await writeFile(join(root, 'more', 'x.so'), '');
  expect(await look(join(root, 'more'))).toEqual([]);
  await writeFile(join(root, 'x.so'), '');
  expect(await look()).toEqual([]);
});
