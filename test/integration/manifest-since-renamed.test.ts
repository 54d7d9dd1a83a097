import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ComparisonResult, Manifest } from '../../contracts/manifest.ts';
import { asking, compareLiving, OF_BOTH, OF_SOURCE } from '../support/living-source.ts';
import { manifestsOf } from '../support/manifest-scenario.ts';
import { openedCopy } from '../support/opened-copy.ts';
import { startCluster, type Server } from '../support/postgres.ts';
import { rowsLeft } from '../support/rows-left.ts';

/** Tables that had another name by the instant of the copy than in the manifest, and what has their names. */
let source: Server;
let copy: Server;
let manifest: Manifest;

const atSource = asking(() => source);
const onCopy = asking(() => copy);

/** As a load into a new table ends. */
const SWAP = (name: string) => `CREATE TABLE ${name}_new AS SELECT g AS id FROM generate_series(1, 200) g; ALTER TABLE ${name} RENAME TO ${name}_old; ALTER TABLE ${name}_new RENAME TO ${name}`;
const TAKE_TURNS = 'ALTER TABLE ping RENAME TO turn; ALTER TABLE pong RENAME TO ping; ALTER TABLE turn RENAME TO pong';

beforeAll(async () => {
  source = await startCluster({ logical: true, settings: OF_SOURCE });
  for (const [index, name] of ['idle', 'orders', 'ping', 'pong', 'queue', 'retired', 'sales', 'steady', 'to_view', 'wide', 'logs'].entries()) await atSource(`CREATE TABLE ${name} AS SELECT g + ${index * 1000} AS id FROM generate_series(1, 100) g`);
  await atSource('CREATE SCHEMA live; CREATE SCHEMA next; CREATE TABLE live.stock AS SELECT * FROM steady; CREATE TABLE next.stock AS SELECT * FROM wide');
  await atSource('CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n FROM steady');
  await atSource('CREATE DATABASE hidden');
  await atSource('CREATE TABLE orders AS SELECT g AS id FROM generate_series(1, 100) g', 'hidden');
  manifest = await manifestsOf(() => source).take();
  await atSource(`${SWAP('orders')}; ${SWAP('sales')}; ${TAKE_TURNS}; DROP TABLE live.stock; ALTER TABLE retired RENAME TO retired_old; ALTER TABLE wide RENAME TO wide_old; ALTER TABLE wide_old ADD COLUMN v int`);
  await atSource('ALTER TABLE logs RENAME TO logs_2026; CREATE TABLE logs AS SELECT g AS id FROM generate_series(1, 10) g');
  await atSource('ALTER TABLE idle RENAME TO idle_old; ALTER TABLE idle_old SET UNLOGGED; ALTER TABLE queue RENAME TO queue_old; CREATE UNLOGGED TABLE queue (id int)');
  await atSource('ALTER MATERIALIZED VIEW totals RENAME TO totals_old; REFRESH MATERIALIZED VIEW totals_old WITH NO DATA; DROP TABLE to_view; CREATE VIEW to_view AS SELECT * FROM orders; CREATE TABLE passing AS SELECT * FROM orders');
  copy = await openedCopy(source, OF_BOTH);
});
afterAll(() => Promise.all([source.stop(), copy.stop()]));

const compare = (by = manifest, database = 'postgres'): Promise<ComparisonResult> => compareLiving({ copy, source, manifest: by, database });
const tablesOf = ({ differences }: ComparisonResult) => differences.map((difference) => ('table' in difference ? difference.table : difference.kind)).toSorted();
const whyOf = ({ notVerified }: ComparisonResult, table: string) => notVerified.filter(({ what }) => what === `contents of ${table}`).map(({ why, byDesign }) => `${byDesign ? 'by design' : 'open'}: ${why}`);
/** As older programs took it. */
const older = (): Manifest => ({ ...manifest, databases: manifest.databases.map((entry) => ({ ...entry, tables: entry.tables.map((table) => ({ ...table, oid: undefined })) })) });

describe('a table that the copy has by another name than the manifest', () => {
  it('is held against the manifest, and what has its name against the source', async () => {
    const result = await compare();
    expect([result.differences, rowsLeft(result)]).toEqual([[], []]);
    // Those that were swapped, renamed and put aside, or stayed; what was loaded, made since and got another column.
    expect(result.coverage).toEqual({ byManifest: 900, bySource: 710, changedSince: 0, unknown: 0 });
  });

  it('is known at the source by its number, too', async () => {
    await atSource(TAKE_TURNS);
    expect((await compare()).coverage).toEqual({ byManifest: 900, bySource: 710, changedSince: 0, unknown: 0 });
  });

  it('that the source has dropped since, as after a swap, is as the manifest has it', async () => {
    await atSource('DROP TABLE orders_old, queue_old, retired_old, passing');
    const result = await compare();
    expect([result.differences, rowsLeft(result)]).toEqual([[], ['by design: 200 of 200 rows of public.passing: the table was made after the manifest']]);
    expect(result.uncompared).toEqual([{ table: 'public.passing', rows: 200 }]);
  });

  it('is open where it is not so, and nothing is left to hold it against', async () => {
    await onCopy('UPDATE orders_old SET id = -1 WHERE id = 1007; UPDATE ping SET id = -1 WHERE id = 3007');
    await atSource('DROP TABLE wide_old');
    const result = await compare();
    // This one has the name of another by turns.
    expect(tablesOf(result)).toEqual(['public.ping']);
    expect(rowsLeft(result).filter((one) => one.startsWith('open'))).toEqual(['orders_old', 'wide_old'].map((name) => `open: 100 of 100 rows of public.${name}: the source has dropped or renamed the table since`));
  });

  it('is open where the manifest does not say numbers, unless all of its rows came after it', async () => {
    expect(rowsLeft(await compare(older())).filter((one) => /_old|passing/.test(one))).toEqual([
      'by design: 200 of 200 rows of public.passing: the table was made after the manifest',
      ...['orders_old', 'queue_old', 'retired_old', 'wide_old'].map((name) => `open: 100 of 100 rows of public.${name}: the source has dropped or renamed the table since`),
    ]);
  });
});

describe('what evidence says of a table that has no contents in the copy', () => {
  it('is where that is, by which name, and that what has its own is another', async () => {
    const result = await compare();
    expect(whyOf(result, 'public.queue')).toEqual([]);
    expect(whyOf(result, 'public.idle_old')).toEqual([expect.stringMatching(/^by design: it was UNLOGGED at the instant of the copy/)]);
    expect(whyOf(result, 'public.totals')).toEqual([expect.stringMatching(/^by design: the copy has it as public.totals_old, without contents: it was UNLOGGED, or a materialized view WITH NO DATA/)]);
    expect(whyOf(result, 'public.to_view')).toEqual(['by design: the source has another one of this name by now, and so has the copy: the one of the manifest was dropped by the instant of the copy']);
    await atSource('DROP VIEW to_view');
    expect(whyOf(await compare(), 'public.to_view')).toEqual([expect.stringMatching(/^by design: the source has dropped or renamed it since the manifest, and what the copy has of this name is another one/)]);
  });

  it('is that it was dropped, also where the source has given its name to one that the copy has by another', async () => {
    await atSource('ALTER SCHEMA live RENAME TO before; ALTER SCHEMA next RENAME TO live');
    const result = await compare();
    expect([tablesOf(result).filter((one) => one.endsWith('.stock')), whyOf(result, 'live.stock')]).toEqual([[], [expect.stringMatching(/^by design: the source has another one of this name by now, and the copy has none: /)]]);
  });

  it('is that it was lost where the source has it under another name, which another has taken in the copy', async () => {
    await onCopy('DROP TABLE sales_old');
    await atSource('ALTER TABLE sales_old RENAME TO sales_older');
    expect((await compare()).differences).toContainEqual({ kind: 'rows', table: 'public.sales_older', rowsExpected: 100, rowsFound: 0, buckets: [] });
  });

  it('is that it was lost where the source had it logged by then', async () => {
    await onCopy('ALTER TABLE steady RENAME TO lost; ALTER TABLE lost SET UNLOGGED');
    expect(tablesOf(await compare())).toContain('public.lost');
  });
});

describe('a table that has the name of one that the copy has by another', () => {
  it('was made since, also where the source has reloaded or dropped it by now', async () => {
    await atSource('TRUNCATE logs; INSERT INTO logs SELECT generate_series(1, 20); DROP TABLE orders CASCADE');
    expect(rowsLeft(await compare()).filter((one) => /public\.(logs|orders)\b/.test(one))).toEqual([
      'by design: 10 of 10 rows of public.logs: the source has written all rows of the table anew since the instant of the copy',
      'by design: 200 of 200 rows of public.orders: the table was made after the manifest',
    ]);
  });

  it('is damage where the copy alone has it, and has put the other aside', async () => {
    await onCopy('ALTER TABLE orders RENAME TO aside; CREATE TABLE orders AS SELECT * FROM aside LIMIT 7', 'hidden');
    const put = { kind: 'catalog', object: 'table', identity: 'public.aside', change: 'unexpected' };
    expect((await compare(manifest, 'hidden')).differences).toContainEqual(put);
    await atSource('GRANT SELECT ON orders TO PUBLIC', 'hidden');
    expect((await compare(manifest, 'hidden')).differences).toContainEqual(put);
  });
});
