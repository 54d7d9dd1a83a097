import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ComparisonResult, Manifest } from '../../contracts/manifest.ts';
import { asking, compareLiving, OF_BOTH, OF_SOURCE } from '../support/living-source.ts';
import { manifestsOf } from '../support/manifest-scenario.ts';
import { openedCopy } from '../support/opened-copy.ts';
import { startCluster, type Server } from '../support/postgres.ts';

/** What a source has made anew since the instant of its copy, so that places and numbers stand for other things than they did. */
let source: Server;
let copy: Server;
let manifest: Manifest;

const atSource = asking(() => source);

beforeAll(async () => {
  source = await startCluster({ logical: true, settings: OF_SOURCE });
  await atSource('CREATE DATABASE template_of_ours');
  await atSource('CREATE TABLE t AS SELECT g AS id, g AS v FROM generate_series(1, 1000) g; CREATE TABLE kept AS SELECT * FROM t', 'template_of_ours');
  for (const name of ['a_demo', 'dropped', 'flips', 'lost', 'renamed', 'swapped']) await atSource(`CREATE DATABASE ${name} TEMPLATE template_of_ours`);
  await atSource('DELETE FROM t WHERE id <= 100', 'dropped');
  await atSource('CREATE ROLE reader');
  manifest = await manifestsOf(() => source).take();
  await atSource('UPDATE t SET v = v + 1 WHERE id % 2 = 0; CREATE ROLE made_since', 'a_demo');
  await atSource('GRANT SELECT ON t TO reader', 'flips');
  await atSource('UPDATE t SET v = v + 1 WHERE id % 2 = 0', 'renamed');
  await atSource('DROP DATABASE dropped');
  await atSource('ALTER DATABASE swapped RENAME TO swapped_before');
  for (const name of ['dropped', 'swapped']) await atSource(`CREATE DATABASE ${name} TEMPLATE template_of_ours`);
  copy = await openedCopy(source, OF_BOTH);
});
afterAll(() => Promise.all([source.stop(), copy.stop()]));

const compare = (database: string): Promise<ComparisonResult> => compareLiving({ copy, source, manifest, database });
const onCopy = asking(() => copy);
const openOf = ({ notVerified }: ComparisonResult) => notVerified.filter(({ byDesign }) => !byDesign).map(({ what, why }) => `${what}: ${why.split(/[,;:(]/)[0]?.trim()}`);

describe('a database that the source has made anew since from the same template', () => {
  it('is another one with rows of the same transactions at the same places: no source of the copy', async () => {
    expect(manifest.databases[0]?.database).toBe('a_demo');
    expect(openOf(await compare('a_demo'))).toEqual([]);
    await atSource('DROP DATABASE a_demo');
    await atSource('CREATE DATABASE a_demo TEMPLATE template_of_ours');
    const result = await compare('a_demo');
    expect(result.differences).toEqual([]);
    expect(result.coverage).toMatchObject({ byManifest: 1000, bySource: 0, unknown: 1000 });
    // The role that was made between manifest and copy is as at the source, over whatever database.
    expect(openOf(result)).toEqual(['1000 of 1000 rows of public.t: they are not as the manifest has them']);
  });
});

describe('catalogs that the source has written anew since, so that their rows stand elsewhere', () => {
  it('leave open what was changed and changed back', async () => {
    await atSource('REVOKE SELECT ON t FROM reader', 'flips');
    expect(await compare('flips')).toMatchObject({ differences: [] });
    await atSource('VACUUM FULL pg_class', 'flips');
    const result = await compare('flips');
    expect([result.differences, openOf(result)]).toEqual([[], ['grant on relation public.t to reader: differs from the manifest']]);
  });

  it('leave open a table that was altered since, whose row in pg_class is not where it was', async () => {
    await atSource('ALTER TABLE t RENAME COLUMN v TO w', 'renamed');
    expect(await compare('renamed')).toMatchObject({ differences: [] });
    await atSource('VACUUM FULL pg_class', 'renamed');
    const result = await compare('renamed');
    expect([result.differences, openOf(result)]).toEqual([[], ['1000 of 1000 rows of public.t: the source has rewritten or altered the table since']]);
  });

  it('hide no loss: what others tell of is damage, and what none does is open', async () => {
    await onCopy('DROP TABLE kept', 'lost');
    await atSource('VACUUM FULL pg_class', 'lost');
    expect((await compare('lost')).differences).toContainEqual(expect.objectContaining({ kind: 'rows', table: 'public.kept' }));
    await atSource('VACUUM FULL', 'lost');
    const result = await compare('lost');
    expect([result.differences, openOf(result)]).toEqual([[], expect.arrayContaining(['table public.kept: differs from the manifest', 'contents of public.kept: it is not in the copy'])]);
  });
});

describe('a database whose name another one had by the instant of the copy', () => {
  const namesake = ({ notVerified }: ComparisonResult) => notVerified.filter(({ what }) => what === 'the database that had this name by the manifest').map(({ why, byDesign }) => `${byDesign ? 'by design' : 'open'}: ${why.split(';')[0]}`);

  it('is open where the copy has it by another name, since nothing of it was compared', async () => {
    const result = await compare('swapped');
    expect([result.differences, namesake(result)]).toEqual([[], ['open: it was renamed since, and another one has its name']]);
    expect(result.notVerified.find(({ what }) => what.startsWith('the database'))?.why).toContain('the copy has it as swapped_before, of which nothing was compared');
  });

  it('is rightly not there where the source has dropped it', async () => {
    // The one of that name has, in files of the same numbers, rows of the template that it had deleted.
    await atSource('UPDATE t SET v = v + 1', 'dropped');
    const result = await compare('dropped');
    expect([result.differences, namesake(result)]).toEqual([[], ['by design: the source has dropped it since, and another one has its name, which was compared in its place']]);
  });

  it('is lost where the source has had it by another name all the while', async () => {
    await onCopy('DROP DATABASE swapped_before');
    expect((await compare('swapped')).differences).toEqual([{ kind: 'catalog', object: 'database', identity: 'swapped', change: 'missing' }]);
  });
});
