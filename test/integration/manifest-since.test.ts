import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CatalogObject, ComparisonResult, Manifest } from '../../contracts/manifest.ts';
import { asking, compareLiving, OF_BOTH } from '../support/living-source.ts';
import { manifestsOf, schemaOfEverything, startWriters } from '../support/manifest-scenario.ts';
import { openedCopy } from '../support/opened-copy.ts';
import { startCluster, type Server } from '../support/postgres.ts';

/** Copies that could not be stopped at their manifest, as a managed service restores them, against their source, which goes on. */
let source: Server;
let copy: Server;
let manifest: Manifest;
let writers: ReturnType<typeof startWriters>;


beforeAll(async () => {
  source = await startCluster({ logical: true, settings: { wal_keep_size: '2GB', max_wal_size: '2GB', autovacuum_naptime: '1s', ...OF_BOTH } });
  await source.withClient('postgres', (client) => client.query(schemaOfEverything));
  // In between what the writers change. What the source has changed since, a copy that lost it does not show.
  await source.withClient('postgres', (client) => client.query(`INSERT INTO accounts SELECT g, 1000, 'left alone' FROM generate_series(20001, 20050) g`));
  writers = startWriters(source, { raceEveryMs: 150 });
  manifest = await manifestsOf(() => source).take();
  await source.withClient('postgres', (client) => client.query(`CREATE TABLE made_since AS SELECT g AS id FROM generate_series(1, 100) g; ALTER TABLE no_key ADD COLUMN c int DEFAULT 7; DROP VIEW rich; CREATE INDEX journal_account ON journal (account)`));
  copy = await openedCopy(source, OF_BOTH);
});
afterAll(async () => {
  await writers.stop();
  await Promise.all([source.stop(), copy.stop()]);
});

const compare = (living = true, user?: string): Promise<ComparisonResult> => compareLiving({ copy: { config: (name) => ({ ...copy.config(name), ...(user === undefined ? {} : { user }) }) }, source: living ? source : null, manifest });
const named = ({ differences }: ComparisonResult) => differences.map((difference) => ('table' in difference ? difference.table : 'identity' in difference ? difference.identity : difference.sequence)).toSorted();
const onCopy = asking(() => copy);
const openOf = ({ notVerified }: ComparisonResult) => notVerified.filter(({ byDesign }) => !byDesign).map(({ what }) => what);

describe('a sound copy, while its source is written to', () => {
  it('has no differences: what nobody touched is as in the manifest, and the rest as the source has it', async () => {
    const result = await compare();
    expect(result.differences).toEqual([]);
    const { byManifest, bySource, changedSince, unknown } = result.coverage!;
    // Every row that the copy has is in one of these.
    const { rows: [all] } = await onCopy(`SELECT sum((xpath('/row/n/text()', query_to_xml(format('SELECT count(*) AS n FROM ONLY %s', c.oid::regclass), false, true, '')))[1]::text::int) AS rows FROM pg_class c WHERE (relkind IN ('r', 'm') AND relpersistence = 'p' AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace, 'pg_toast'::regnamespace)) OR oid IN ('pg_largeobject'::regclass, 'pg_largeobject_metadata'::regclass)`) as { rows: { rows: string }[] };
    expect(byManifest + bySource + changedSince + unknown).toBe(Number(all?.rows));
    expect(byManifest).toBeGreaterThan(3_000);
    expect(bySource).toBeGreaterThan(1_000);
  });

  it('and no false alarm, however often they are compared', async () => {
    for (let round = 0; round < 4; round += 1) expect((await compare()).differences).toEqual([]);
  });

  it('is held against the manifest alone where the source does not answer; what differs is open, and no finding', async () => {
    const result = await compare(false);
    expect(result.differences).toEqual([]);
    expect(result.coverage).toMatchObject({ bySource: 0, changedSince: 0 });
    expect(result.coverage!.unknown).toBeGreaterThan(1_000);
    expect(openOf(result)).toContain('index public.journal_account');
    // Of rows, too, table by table.
    const open = openOf(result).flatMap((what) => /^(\d+) of \d+ rows of public\.accounts(?:, where the manifest has \d+ more)?$/.exec(what)?.slice(1) ?? []);
    expect(open.map(Number)).toEqual([expect.any(Number)]);
    expect(openOf(result)).toContain('100 of 100 rows of public.made_since');
    expect(result.uncompared).toContainEqual({ table: 'public.made_since', rows: 100 });
  });

  it('is compared also where more definitions differ than a call takes arguments', async () => {
    const more = Array.from({ length: 200_000 }, (_, index) => ['table', `public.partition_${index}`, '0'] as CatalogObject);
    const by = { ...manifest, databases: manifest.databases.map((entry) => ({ ...entry, catalog: [...entry.catalog, ...more] })) };
    expect(openOf(await compareLiving({ copy, source: null, manifest: by })).length).toBeGreaterThan(more.length);
  });

  it('has no differences where who reads it may not read all of it: that is open, with what to grant', async () => {
    await onCopy(`CREATE ROLE reader LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader; REVOKE SELECT ON everything FROM reader`);
    const { differences, notVerified } = await compare(true, 'reader');
    await onCopy('DROP OWNED BY reader; DROP ROLE reader');
    expect(differences).toEqual([]);
    const refused = notVerified.filter(({ why, byDesign }) => !byDesign && why.includes('grant that user')).map(({ what }) => what);
    expect(refused).toEqual(expect.arrayContaining(['definitions and privileges', expect.stringMatching(/^\d+ of \d+ rows of public\.everything$/), expect.stringMatching(/^position of sequence public\./)]));
  });
});

describe('a copy that is damaged', () => {
  it.each([
    ['a row that is gone, in a table that nobody touched', 'DELETE FROM everything WHERE id = 1234', ['public.everything']],
    ['a row that is gone, in a table that everybody writes to', 'DELETE FROM accounts WHERE id = 20025', ['public.accounts']],
    ['a row of a table that was made since', 'DELETE FROM made_since WHERE id = 50', ['public.made_since']],
    ['a value that is another', `UPDATE "Odd ""schema"""."Table '; --" SET "va""lue" = 'other' WHERE "va""lue" = 'v7'`, ["Table '; --"]],
    ['a table', 'DROP TABLE parted_a', ['public.parted_a']],
    ['an index, and a trigger', 'DROP INDEX everything_i4; DROP TRIGGER touch ON everything', ['public.everything_i4', 'touch']],
    ['a grant', 'REVOKE USAGE ON SCHEMA "Odd ""schema""" FROM clerk', ['Odd']],
    ['a policy', 'DROP POLICY mine ON no_key', ['mine']],
    ['a large object', 'SELECT lo_unlink(oid) FROM (SELECT oid FROM pg_largeobject_metadata LIMIT 1) x', ['pg_catalog.pg_largeobject']],
  ])('%s', async (_what, damage, where) => {
    const before = named(await compare());
    await onCopy(damage);
    const after = named(await compare()).filter((name) => !before.includes(name));
    for (const part of where) expect(after.filter((name) => name.includes(part)), `${part} in ${after.join()}`).not.toEqual([]);
  });
});
