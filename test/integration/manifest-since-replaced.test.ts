import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { classRow, howReplaced } from '../../activities/manifest/since/replaced-since.ts';
import type { SharedPast } from '../../activities/manifest/since/shared-past.ts';
import type { Table } from '../../activities/manifest/tables.ts';
import type { ComparisonResult, Manifest } from '../../contracts/manifest.ts';
import { asking, compareLiving, OF_BOTH, OF_SOURCE } from '../support/living-source.ts';
import { manifestsOf } from '../support/manifest-scenario.ts';
import { openedCopy } from '../support/opened-copy.ts';
import { startCluster, type Server } from '../support/postgres.ts';
import { rowsLeft } from '../support/rows-left.ts';

/** What a source has put in the place of tables and databases since the instant of its copy, and what a copy has lost of the same. */
let source: Server;
let copy: Server;
let manifest: Manifest;

const atSource = asking(() => source);
const onCopy = asking(() => copy);

beforeAll(async () => {
  source = await startCluster({ logical: true, settings: OF_SOURCE });
  for (const name of ['a_absent', 'b_closed', 'broken', 'lost', 'moved', 'retyped', 'tenant', 'unlogged']) await atSource(`CREATE DATABASE ${name}`);
  await atSource('CREATE TABLE base AS SELECT g AS id FROM generate_series(1, 50000) g');
  for (const name of ['emptied', 'orders', 'to_view']) await atSource(`CREATE TABLE ${name} AS SELECT g AS id FROM generate_series(1, 20000) g`);
  await atSource('CREATE TABLE staging AS SELECT g AS id FROM generate_series(1, 500) g; CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n FROM staging; CREATE TABLE dropped AS SELECT * FROM staging; CREATE TABLE renamed AS SELECT * FROM staging');
  await atSource('CREATE TABLE held AS SELECT g AS id FROM generate_series(1, 500) g', 'broken');
  await atSource(`CREATE TYPE mood AS ENUM ('calm', 'cross'); CREATE TYPE addr AS (a int, b text); CREATE TYPE tone AS ENUM ('low');
    CREATE TABLE enums AS SELECT g AS id, ARRAY['calm'::mood] AS m FROM generate_series(1, 500) g; CREATE TABLE composites AS SELECT g AS id, row(g, 'x')::addr AS m FROM generate_series(1, 500) g; CREATE TABLE columns AS SELECT g AS id, 'n' || g AS note FROM generate_series(1, 500) g; CREATE TABLE tones AS SELECT g AS id, 'low'::tone AS t FROM generate_series(1, 500) g`, 'retyped');
  await atSource('CREATE TABLE kept AS SELECT g AS id FROM generate_series(1, 100) g; CREATE TABLE passing AS SELECT * FROM kept; CREATE TABLE lost AS SELECT * FROM kept; CREATE TABLE numbered (id serial, other int GENERATED ALWAYS AS IDENTITY); INSERT INTO numbered SELECT FROM generate_series(1, 100); CREATE TABLE numbered_and_lost (id serial); INSERT INTO numbered_and_lost SELECT FROM generate_series(1, 100)', 'unlogged');
  manifest = await manifestsOf(() => source).take();
  await atSource('TRUNCATE staging; INSERT INTO staging SELECT generate_series(1, 600); REFRESH MATERIALIZED VIEW totals; CREATE TABLE report AS SELECT * FROM staging; CREATE TABLE made_since AS SELECT * FROM staging; CREATE TABLE empty_since (id int); CREATE ROLE passing');
  await atSource('DROP TABLE dropped; ALTER TABLE renamed RENAME TO renamed2');
  await atSource('UPDATE held SET id = id + 1', 'broken');
  await atSource('ALTER DATABASE tenant RENAME TO tenant2');
  await atSource('ALTER DATABASE lost RENAME TO lost2');
  for (const name of ['enums', 'composites', 'columns', 'tones']) await atSource(`UPDATE ${name} SET id = -1 WHERE id = 7`, 'retyped');
  await atSource('ALTER TABLE passing SET UNLOGGED; ALTER TABLE numbered SET UNLOGGED', 'unlogged');
  copy = await openedCopy(source, OF_BOTH);
});
afterAll(() => Promise.all([source.stop(), copy.stop()]));

const version = async () => Number((await atSource('SHOW server_version_num')).rows[0].server_version_num);
const compare = (database = 'postgres', by = manifest): Promise<ComparisonResult> => compareLiving({ copy, source, manifest: by, database });
const tablesOf = ({ differences }: ComparisonResult) => differences.map((difference) => ('table' in difference ? difference.table : difference.kind)).toSorted();

it('asking the source what became of a table keeps no lock on its catalog, for which everybody would wait', async () => {
  await source.withClient('postgres', async (client) => {
    await client.query('BEGIN READ ONLY');
    const oid = (await client.query<{ oid: number }>(`SELECT 'totals'::regclass::oid::int AS oid`)).rows[0]!.oid;
    await client.query('COMMIT; BEGIN READ ONLY');
    const past = { areLater: () => Promise.resolve(true), committed: () => Promise.resolve(new Set<number>()) };
    const table = { oid, isHeap: true } as unknown as Table;
    expect(await howReplaced(client, { copy: table, source: table, isNew: true }, past as unknown as SharedPast)).toBe('refreshed since');
    expect(await classRow(client, oid)).toMatchObject({ kind: 'm' });
    const { rows } = await source.withClient('postgres', (other) => other.query('SELECT relation::regclass::text FROM pg_locks WHERE pid = $1 AND relation IS NOT NULL', [(client as unknown as { processID: number }).processID]));
    expect(rows).toEqual([]);
    await client.query('ROLLBACK');
  });
});

describe('a table that the source has written anew since', () => {
  const left = async () => rowsLeft(await compare());

  it('is left out by design where it was refreshed, reloaded or dropped: that is so in each drill', async () => {
    await atSource('REFRESH MATERIALIZED VIEW totals; TRUNCATE staging; INSERT INTO staging SELECT generate_series(1, 300); DROP TABLE report');
    expect((await compare()).differences).toEqual([]);
    expect(await left()).toEqual([
      'by design: 1 of 1 rows of public.totals: the source has refreshed this materialized view since the instant of the copy',
      'by design: 600 of 600 rows of public.report: the table was made after the manifest',
      'by design: 600 of 600 rows of public.staging: the source has written all rows of the table anew since the instant of the copy',
    ]);
    expect((await compare()).uncompared?.map(({ table }) => table).toSorted()).toEqual(['public.report', 'public.staging', 'public.totals']);
  });

  it('hides no loss: what a copy has lost of it is damage as long as the source tells, and open from then on', async () => {
    await onCopy('DELETE FROM emptied; DELETE FROM orders WHERE id > 15000; DELETE FROM to_view');
    expect([...new Set(tablesOf(await compare()))]).toEqual(['public.emptied', 'public.orders', 'public.to_view']);
    await atSource('ALTER TABLE emptied ALTER COLUMN id TYPE bigint; ALTER TABLE orders ALTER COLUMN id TYPE bigint');
    await atSource('ALTER TABLE to_view RENAME TO to_view_base; CREATE MATERIALIZED VIEW to_view AS SELECT * FROM base');
    // It is the one of its number, whatever has its name by now.
    expect([...new Set(tablesOf(await compare()))]).toEqual(['public.to_view']);
    await atSource('DROP TABLE to_view_base');
    expect((await compare()).differences).toEqual([]);
    expect((await left()).filter((one) => one.startsWith('open'))).toEqual([
      'open: 0 of 0 rows of public.emptied, where the manifest has 20000 more: the source has written all rows of the table anew since the instant of the copy',
      'open: 0 of 0 rows of public.to_view, where the manifest has 20000 more: the source has written all rows of the table anew since the instant of the copy',
      expect.stringMatching(/^open: \d+ of 15000 rows of public\.orders, where the manifest has 5000 more: the source has written all rows of the table anew/),
    ]);
  });

  it('is damage where the copy has none of its rows, too, and it was made after the manifest', async () => {
    await onCopy('DELETE FROM made_since');
    expect(tablesOf(await compare())).toEqual(['public.made_since']);
  });

  it('of which the source cannot read by now what it has is no finding about the copy: it is open, and all else is compared', async () => {
    await atSource('VACUUM FULL held', 'broken');
    await atSource('CHECKPOINT', 'broken');
    const { rows: [file] } = await atSource(`SELECT pg_relation_filepath('held') AS path`, 'broken') as { rows: { path: string }[] };
    const handle = await open(join(source.dataDirectory, file!.path), 'r+');
    await handle.write(Buffer.alloc(8192, 0xff), 0, 8192, 0);
    await handle.close();
    const result = await compare('broken');
    expect(result.differences).toEqual([]);
    expect(rowsLeft(result)).toEqual(['open: 500 of 500 rows of public.held: the source cannot read it']);
  });
});

describe('rows that both have, and that say something else at the source by now', () => {
  const said = async () => { const result = await compare('retyped'); return [tablesOf(result), rowsLeft(result)]; };

  it('are open where the source has changed since what their values are read by', async () => {
    expect(await said()).toEqual([[], []]);
    await atSource(`ALTER TYPE mood RENAME VALUE 'calm' TO 'quiet'; ALTER TYPE addr ADD ATTRIBUTE c int; ALTER TABLE columns DROP COLUMN note; ALTER TABLE columns ADD COLUMN note text`, 'retyped');
    expect(await said()).toEqual([[], ['columns', 'composites', 'enums'].map((name) => `open: 500 of 500 rows of public.${name}: the source has changed since the instant of the copy how values of the table are read`)]);
  });

  it('are damage where the copy alone has them so', async () => {
    await onCopy(`ALTER TYPE tone RENAME VALUE 'low' TO 'deep'`, 'retyped');
    expect((await said())[0]).toContain('public.tones');
  });
});

describe('a table of the manifest that the copy has UNLOGGED', () => {
  const said = async () => { const { differences, notVerified } = await compare('unlogged'); return [differences, notVerified.filter(({ what }) => what.startsWith('contents')).map(({ what, why, byDesign }) => `${byDesign ? 'by design' : 'open'}: ${what}: ${why.split(',')[0]}`)]; };

  it('is empty, rightly, whatever the source has made of it since', async () => {
    const empty = [[], ['numbered', 'passing'].map((name) => `by design: contents of public.${name}: it was UNLOGGED at the instant of the copy`)];
    expect(await said()).toEqual(empty);
    await atSource('ALTER TABLE passing SET LOGGED', 'unlogged');
    expect(await said()).toEqual(empty);
  });

  it('has sequences that start anew, rightly, from PostgreSQL 15 on', async ({ skip }) => {
    if (await version() < 150_000) return skip('sequences of older servers are never UNLOGGED');
    const because = async (of = source as Server | null, by = manifest) => { const { differences, notVerified } = await compareLiving({ copy, source: of, manifest: by, database: 'unlogged' }); return [differences, notVerified.filter(({ what }) => what.startsWith('position')).map(({ what, why, byDesign }) => `${byDesign ? 'by design' : 'open'}: ${what}: ${why}`).toSorted()]; };
    const anew = [[], ['id', 'other'].map((column) => `by design: position of sequence public.numbered_${column}_seq: it was UNLOGGED at the instant of the copy, and such a sequence starts anew after a restore, wherever the manifest has it`)];
    expect(await because()).toEqual(anew);
    expect((await because(null))[1]).toEqual(['id', 'other'].map((column) => expect.stringMatching(`^open: position of sequence public\\.numbered_${column}_seq: it was UNLOGGED at the instant of the copy, as its catalog has it, and the source does not answer`) as string));
    await atSource('ALTER TABLE numbered SET LOGGED', 'unlogged');
    expect(await because()).toEqual(anew);
    await atSource('DROP TABLE numbered', 'unlogged');
    expect(await because()).toEqual(anew);
    // Of before a manifest that saw it logged, the copy's row would be one that came back.
    const next = String((await onCopy('SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS next')).rows[0].next);
    const later: Manifest = { ...manifest, databases: manifest.databases.map((entry) => ({ ...entry, transactions: { finishedBelow: next, begunBelow: next }, takenAtBySource: undefined })) };
    expect((await because(source, later))[0]).toContainEqual(expect.objectContaining({ sequence: 'public.numbered_id_seq', problem: 'unlogged' }));
    await onCopy('ALTER TABLE numbered_and_lost SET UNLOGGED', 'unlogged');
    expect((await because())[0]).toContainEqual({ kind: 'sequence', sequence: 'public.numbered_and_lost_id_seq', problem: 'unlogged', expectedAtLeast: '101', found: null });
    await onCopy('ALTER TABLE numbered_and_lost SET LOGGED', 'unlogged');
  });

  it('is damage where the source had it LOGGED by then', async () => {
    await onCopy('ALTER TABLE lost SET UNLOGGED', 'unlogged');
    expect((await said())[0]).toContainEqual({ kind: 'rows', table: 'public.lost', rowsExpected: 100, rowsFound: 0, buckets: [] });
  });
});

describe('a table of the manifest that neither the copy nor the source has', () => {
  const said = async () => (await compare()).notVerified.flatMap(({ what, why, byDesign }) => (/^contents of public\.(dropped|renamed)/.test(what) ? [`${byDesign ? 'by design' : 'open'}: ${what}: ${why.split(/[;:(]/)[0]?.trim()}`] : [])).toSorted();

  it('is named, by design; one that was renamed is lost where the copy has it by no name, and another open where that lacks something of the catalog', async () => {
    const neither = 'contents of public.dropped: neither the copy nor the source has a table of this name';
    await expect(said()).resolves.toEqual([`by design: ${neither}`]);
    await onCopy('DROP TABLE renamed2');
    await expect(said()).resolves.toEqual([`open: ${neither}`]);
    expect(tablesOf(await compare())).toContain('public.renamed');
  });
});

describe('a database of the manifest that the copy lacks', () => {
  const said = ({ differences, notVerified }: ComparisonResult) => [differences, notVerified.map(({ why, byDesign }) => `${byDesign ? 'by design' : 'open'}: ${why.split(/[;:(]/)[0]?.trim()}`)];
  /** As older programs took it. */
  const older = (): Manifest => ({ ...manifest, databases: manifest.databases.map((entry) => ({ ...entry, oid: undefined })) });

  it('and with which what all databases share is compared is judged over one database of both', async () => {
    expect(manifest.databases.map(({ database }) => database).slice(0, 3)).toEqual(['a_absent', 'b_closed', 'broken']);
    await onCopy('DROP DATABASE a_absent');
    await atSource('DROP DATABASE a_absent');
    await atSource('ALTER DATABASE b_closed ALLOW_CONNECTIONS false');
    await atSource('DROP ROLE passing');
    expect(said(await compare('a_absent'))).toEqual([[], ['by design: neither the copy nor the source has it']]);
  });

  it('is open where it was renamed, whatever the copy has of it by now', async () => {
    expect(said(await compare('tenant'))).toEqual([[], ['open: it was renamed since the manifest, and the copy has it as tenant2, of which nothing was compared']]);
  });

  it('is open where the manifest does not tell whether it was renamed, and the copy has others', async () => {
    expect(said(await compare('tenant', older()))).toEqual([[], ['open: neither the copy nor the source has it, and it may have been renamed']]);
    expect((await compare('tenant', older())).notVerified.map(({ why }) => why)).toEqual([expect.stringContaining('has as lost2, tenant2, of which')]);
  });

  it('is rightly not there where the copy has none that the manifest does not have', async () => {
    const by = older();
    const notVerified = [...by.notVerified, ...['lost2', 'tenant2'].map((database) => ({ database, what: 'contents', why: 'it is a template', byDesign: true }))];
    expect(said(await compare('tenant', { ...by, notVerified }))).toEqual([[], ['by design: neither the copy nor the source has it']]);
  });

  it('is lost where the source had renamed it by the instant of the copy, and open where it did so since', async () => {
    await onCopy('DROP DATABASE lost2');
    expect(said(await compare('lost'))).toEqual([[{ kind: 'catalog', object: 'database', identity: 'lost', change: 'missing' }], []]);
    await onCopy('DROP DATABASE moved');
    await atSource('ALTER DATABASE moved RENAME TO moved2');
    expect(said(await compare('moved'))).toEqual([[], ['open: the source has renamed it']]);
  });
});
