import { setTimeout } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkPreparedTransactions } from '../../activities/dr-test/prepared-check.ts';
import { freeLoopbackPort } from '../../scripts/embedded/free-port.ts';
import type { ComparisonResult, Manifest } from '../../contracts/manifest.ts';
import { asking, compareLiving, OF_BOTH, OF_SOURCE } from '../support/living-source.ts';
import { manifestsOf } from '../support/manifest-scenario.ts';
import { openedCopy } from '../support/opened-copy.ts';
import { startCluster, type Server } from '../support/postgres.ts';

/** A source that was itself restored to a point of before the manifest, and has gone on beyond its numbers and positions since. */
let lost: Server;
let source: Server;
let copy: Server;
/** Lives on, at the source alone. */
let session: Client;
/** Of what was lost; and of the source as it is. */
let [before, after]: Manifest[] = [];

const atLost = asking(() => lost);
const atSource = asking(() => source);

beforeAll(async () => {
  lost = await startCluster({ logical: true, settings: OF_SOURCE });
  await atLost(`CREATE TABLE orders AS SELECT g AS id, g AS v FROM generate_series(1, 5000) g; CREATE TABLE kept AS SELECT * FROM orders; CREATE TABLE moved AS SELECT * FROM orders; CREATE TABLE remade AS SELECT * FROM orders; CREATE SEQUENCE numbers; SELECT nextval('numbers') FROM generate_series(1, 100)`);
  source = await openedCopy(lost, { ...OF_SOURCE, shared_buffers: '128MB' });
  await atLost(`DELETE FROM orders WHERE id <= 1000; SELECT nextval('numbers') FROM generate_series(1, 400); CREATE TABLE made (id int); INSERT INTO made VALUES (1)`);
  before = await manifestsOf(() => lost).take();
  // By what is held for a clock that was set back.
  await setTimeout(1_500);
  const { begunBelow = '0' } = before.databases[0]?.transactions ?? {};
  await atSource(`CREATE TABLE later AS SELECT g AS id, repeat('x', 1000) AS t FROM generate_series(1, 5000) g`);
  const isBeyond = async () => (await atSource(`SELECT pg_snapshot_xmax(pg_current_snapshot())::text::numeric > ${begunBelow} AND pg_current_wal_lsn() > '${before?.databases[0]?.lsn}' AS beyond`)).rows[0]?.beyond === true;
  while (!await isBeyond()) await atSource('INSERT INTO later VALUES (0)');
  after = await manifestsOf(() => source).take();
  await atSource('UPDATE kept SET v = v + 1 WHERE id = 7');
  session = new Client(source.config('postgres'));
  await session.connect();
  await session.query('CREATE TEMP TABLE state (id int)');
  copy = await openedCopy(source, OF_BOTH);
  await atSource(`UPDATE orders SET v = v + 1 WHERE id <= 10; SELECT nextval('numbers') FROM generate_series(1, 1000)`);
});
afterAll(async () => {
  await session.end();
  await Promise.all([lost.stop(), source.stop(), copy.stop()]);
});

const compare = (manifest: Manifest | undefined): Promise<ComparisonResult> => compareLiving({ copy, source, manifest: manifest as Manifest });
/** Of what was lost, with another number of one table. */
const numbering = (name: string, oid: number): Manifest => ({ ...before as Manifest, databases: before?.databases.map((entry) => ({ ...entry, tables: entry.tables.map((table) => (table.name === name ? { ...table, oid } : table)) })) ?? [] });
const openOf = ({ notVerified }: ComparisonResult) => notVerified.flatMap(({ what, why, byDesign }) => (byDesign ? [] : [`${what}: ${why.split(/[;:]/)[0]}`]));
const NOT_JUDGED = 'what the manifest alone tells of the past';

describe('a sound copy of a source that was itself restored since the manifest', () => {
  it('is not damaged: what the manifest has no more has not come back, and a sequence need not be where it was', async () => {
    const result = await compare(before);
    expect(result.differences).toEqual([]);
    expect(openOf(result)).toEqual([
      `${NOT_JUDGED}: the source is on timeline 2, and the manifest is of timeline 1, so that the copy may rightly lack what the manifest has, and have what that has no more`,
      'position of sequence public.numbers: is not as the manifest has it, and the source was itself restored to an earlier point since the manifest, or has failed over, by which nothing need be lost',
    ]);
  });

  it('is not damaged where only the times of commits tell, as of a snapshot that began no other timeline', async () => {
    const result = await compare({ ...before as Manifest, timeline: 2 });
    expect(result.differences).toEqual([]);
    expect(openOf(result)).toEqual([expect.stringMatching(`^${NOT_JUDGED}: transaction \\d+ was over by the manifest, and the source has committed one of that number since`), expect.stringContaining('position of sequence')]);
  });

  it('is compared with the source also where it has not come to the numbers and positions of the manifest', async () => {
    const far = { ...before as Manifest, databases: before?.databases.map((entry) => ({ ...entry, lsn: 'F/0', transactions: { finishedBelow: '1000000', begunBelow: '1000000' } })) ?? [] };
    const { differences, coverage } = await compare(far);
    expect(differences).toEqual([]);
    expect(coverage?.bySource).toBeGreaterThan(0);
  });

  it('has not lost a table whose number a session of the source has given to a temporary one, which copies drop', async () => {
    const found = async (server: (sql: string) => Promise<{ rows: unknown[] }>) => (await server(`SELECT oid::int8::float8 AS oid, format('%I.%I', relnamespace::regnamespace, relname) AS label FROM pg_class WHERE relname = 'state'`)).rows as { oid: number; label: string }[];
    const [temporary] = await found(atSource);
    const said = async (name = 'made') => { const { differences, notVerified } = await compare(numbering(name, temporary!.oid)); return [differences, notVerified.flatMap(({ what, why }) => (what.startsWith('contents of ') ? [`${what}: ${why.split(':')[0]}`] : []))]; };
    const gone = [[], ['contents of public.made: neither the copy nor the source has a table of this name']];
    // Neither while the copy still has it, nor when autovacuum has found that it is of nobody.
    expect(await found(asking(() => copy))).toEqual([temporary]);
    expect(await said()).toEqual(gone);
    // What the copy has by the name is it, all the same.
    expect(await said('kept')).toEqual(gone);
    await asking(() => copy)(`DROP TABLE ${temporary!.label}`);
    expect(await said()).toEqual(gone);
  });

  it('is judged again by the next manifest', async () => {
    const result = await compare(after);
    expect([result.differences, openOf(result)]).toEqual([[], []]);
  });
});

it('a prepared transaction that the copy of such a source has, and that the manifest does not list, is not taken for one that the source did not have', async () => {
  await asking(() => copy)(`BEGIN; INSERT INTO kept VALUES (-1); PREPARE TRANSACTION 'open'`);
  const hence = (ms: number) => new Date(Date.now() + ms).toISOString();
  const outcome = async (manifest: Manifest | undefined, living: Pick<Server, 'config'> | 'silent' | null) => {
    const later = { ...manifest as Manifest, databases: manifest?.databases.map((entry) => ({ ...entry, takenAtBySource: hence(3_600_000) })) ?? [] };
    return (await checkPreparedTransactions((name) => copy.config(name), 'postgres', { readManifest: () => Promise.resolve(later), source: living === null || living === 'silent' ? living : (name) => living.config(name), replayed: { clockSkewSeconds: 0, lastCommitAt: hence(9_000_000) }, signal: new AbortController().signal })).outcome;
  };
  try {
    expect([await outcome(before, source), await outcome(before, null), await outcome(after, source)]).toEqual(['skipped', 'failed', 'failed']);
    // Nor where the source would tell, and cannot be asked.
    const port = await freeLoopbackPort();
    expect([await outcome(before, { config: () => ({ host: '127.0.0.1', port }) }), await outcome(before, 'silent')]).toEqual(['skipped', 'skipped']);
  } finally {
    await asking(() => copy)(`ROLLBACK PREPARED 'open'`);
  }
});

describe('a copy that is damaged, of such a source', () => {
  it('is damaged by what the source has', async () => {
    await asking(() => copy)('DELETE FROM kept WHERE id = 1000');
    expect((await compare(before)).differences).toEqual([expect.objectContaining({ kind: 'rows', table: 'public.kept', rowsFound: 4999 })]);
  });

  it('has lost a table that the source had made by its instant, whatever that calls it by now, and whatever has its name', async () => {
    await asking(() => copy)('DROP TABLE moved, orders, remade; CREATE TABLE remade AS SELECT * FROM kept');
    await atSource('ALTER TABLE moved RENAME TO moved_old; CREATE TABLE moved (id int); ALTER TABLE remade RENAME TO remade_old; CREATE TABLE remade (id int)');
    const { differences } = await compare(before);
    // The source may have given these numbers to others than the manifest means: what they held, that does not say.
    for (const identity of ['public.moved_old', 'public.remade_old']) expect(differences).toContainEqual({ kind: 'catalog', object: 'table', identity, change: 'missing' });
    // Missed by its definition, too.
    expect(differences.filter((one) => one.kind === 'catalog' && one.object === 'table' && one.identity === 'public.orders')).toHaveLength(1);
  });

  it('may have lost one whose number the source has given since', async () => {
    const { rows: [given] } = await atSource(`SELECT 'moved'::regclass::oid::int8::float8 AS oid`) as { rows: { oid: number }[] };
    const { notVerified } = await compare(numbering('made', given!.oid));
    expect(notVerified.find(({ what }) => what === 'contents of public.made')).toMatchObject({ why: expect.stringContaining('the source has one of its number: that one') as string, byDesign: false });
  });
});
