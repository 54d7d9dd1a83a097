import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ComparisonResult, Manifest } from '../../contracts/manifest.ts';
import { asking, compareLiving, OF_BOTH, OF_SOURCE } from '../support/living-source.ts';
import { manifestsOf } from '../support/manifest-scenario.ts';
import { openedCopy } from '../support/opened-copy.ts';
import { startCluster, type Server } from '../support/postgres.ts';
import { rowsLeft } from '../support/rows-left.ts';

/** What a source did after the instant of its copy, once it has counted 2^32 transactions. */
let source: Server;
let copy: Server;
let manifest: Manifest;

const atSource = asking(() => source);

beforeAll(async () => {
  source = await startCluster({ logical: true, epoch: 1, settings: OF_SOURCE });
  await atSource(`CREATE TABLE orders AS SELECT g AS id, 'order ' || g AS note FROM generate_series(1, 2000) g`);
  await atSource(`CREATE TABLE staging AS SELECT g AS id FROM generate_series(1, 500) g; CREATE TABLE archive AS SELECT * FROM staging; CREATE TABLE kept AS SELECT * FROM staging; CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n FROM staging`);
  for (const name of ['a_first', 'lost', 'dropped', 'closed', 'renewed']) await atSource(`CREATE DATABASE ${name}`);
  manifest = await manifestsOf(() => source).take();
  // What is as in the manifest is not held against the source.
  await atSource(`UPDATE orders SET note = 'changed' WHERE id = 2`);
  await atSource(`TRUNCATE staging; INSERT INTO staging SELECT generate_series(1, 400); UPDATE archive SET id = id + 1; UPDATE kept SET id = id + 1; REFRESH MATERIALIZED VIEW totals; CREATE TABLE report AS SELECT * FROM staging`);
  copy = await openedCopy(source, OF_BOTH);
});
afterAll(() => Promise.all([source.stop(), copy.stop()]));

const onCopy = asking(() => copy);
const compare = (database = 'postgres', living = true): Promise<ComparisonResult> => compareLiving({ copy, source: living ? source : null, manifest, database });

describe('after 2^32 transactions', () => {
  it('no row is missing that the source has written since, of whatever number', async () => {
    // Each in a transaction of its own, beyond those that the copy counted for itself.
    for (let n = 0; n < 50; n += 1) await atSource(`INSERT INTO orders VALUES (${3_000 + n}, 'later')`);
    await atSource(`UPDATE orders SET note = 'later' WHERE id = 1`);
    expect((await compare()).differences).toEqual([]);
  });

  it('a row that the copy lacks is missing', async () => {
    await onCopy('DELETE FROM orders WHERE id = 1000');
    expect((await compare()).differences).toEqual([expect.objectContaining({ kind: 'rows', table: 'public.orders' })]);
  });
});

describe('a table whose rows the source has elsewhere by now, or no more', () => {
  const left = async (living = true) => rowsLeft(await compare('postgres', living));

  it('is left out by design where the source dropped it since, and open where it refreshed or reloaded it: its numbers may be of a round before', async () => {
    await atSource(`REFRESH MATERIALIZED VIEW totals; TRUNCATE staging; INSERT INTO staging SELECT generate_series(1, 300); DROP TABLE report`);
    expect(await left()).toEqual([
      'by design: 400 of 400 rows of public.report: the table was made after the manifest',
      'open: 1 of 1 rows of public.totals: the source has rewritten or altered the table since',
      'open: 400 of 400 rows of public.staging, where the manifest has 100 more: the source has rewritten or altered the table since',
    ]);
    expect((await compare()).uncompared?.map(({ table }) => table).toSorted()).toEqual(['public.report', 'public.staging', 'public.totals']);
  });

  it('is open where the rows are still there, elsewhere, where a table of the manifest was dropped or renamed, and where no source answers', async () => {
    await atSource('VACUUM FULL archive');
    await atSource('DROP TABLE kept');
    expect((await left()).filter((one) => /public\.(archive|kept):/.test(one))).toEqual([
      'open: 500 of 500 rows of public.archive: the source has rewritten or altered the table since',
      'open: 500 of 500 rows of public.kept: the source has dropped or renamed the table since',
    ]);
    expect(await left(false)).toEqual(expect.arrayContaining(['archive', 'kept', 'orders', 'report', 'staging', 'totals'].map((name) => expect.stringMatching(new RegExp(`^open: \\d+ of \\d+ rows of public\\.${name}(, where the manifest has \\d+ more)?: they are not as the manifest has them`)) as string)));
  });
});

describe('a database of the manifest that the copy lacks', () => {
  const LOST = [{ kind: 'catalog', object: 'database', identity: 'lost', change: 'missing' }];
  const said = ({ differences, notVerified }: ComparisonResult) => [differences, notVerified.map(({ why, byDesign }) => `${byDesign ? 'by design' : 'open'}: ${why.split(/[,;:(]/)[0]?.trim()}`)];

  it('is lost where the source has had it all the while, and of none that no source tells of that is known', async () => {
    await onCopy('DROP DATABASE lost');
    expect(said(await compare('lost'))).toEqual([LOST, []]);
    expect(said(await compare('lost', false))).toEqual([[], ['open: the copy has no such database']]);
  });

  it('is rightly not there where the source has it no more either', async () => {
    await onCopy('DROP DATABASE dropped');
    await atSource('DROP DATABASE dropped');
    expect(said(await compare('dropped'))).toEqual([[], ['by design: neither the copy nor the source has it']]);
  });

  it('says nothing where the source has made its own anew', async () => {
    await onCopy('DROP DATABASE renewed');
    await atSource('DROP DATABASE renewed');
    await atSource('CREATE DATABASE renewed');
    expect(said(await compare('renewed'))).toEqual([[], ['open: the copy has no such database']]);
  });

  it('in the copy alone is not lost because it takes no connections, but its files may be', async () => {
    await onCopy('ALTER DATABASE closed ALLOW_CONNECTIONS false');
    expect(said(await compare('closed'))).toEqual([[], ['open: the copy takes no connections to this database']]);
    const { rows: [row] } = await onCopy(`SELECT oid FROM pg_database WHERE datname = 'closed'`) as { rows: { oid: number }[] };
    await onCopy('ALTER DATABASE closed ALLOW_CONNECTIONS true');
    await rm(join(copy.dataDirectory, 'base', String(row?.oid)), { recursive: true });
    expect(said(await compare('closed'))[0]).toEqual([{ ...LOST[0], identity: 'closed' }]);
  });

  it("and that is the manifest's first, with which what all databases share is compared, keeps nothing of that back", async () => {
    expect(manifest.databases[0]?.database).toBe('a_first');
    await onCopy('DROP DATABASE a_first');
    await atSource('DROP DATABASE a_first');
    const [differences, why] = said(await compare('a_first'));
    expect([differences, why]).toEqual([expect.arrayContaining(LOST), expect.arrayContaining(['by design: neither the copy nor the source has it'])]);
  });
});
