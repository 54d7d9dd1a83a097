import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ComparisonResult, Manifest } from '../../contracts/manifest.ts';
import { asking, compareLiving, OF_BOTH, OF_SOURCE } from '../support/living-source.ts';
import { manifestsOf } from '../support/manifest-scenario.ts';
import { openedCopy } from '../support/opened-copy.ts';
import { startCluster, type Server } from '../support/postgres.ts';
import { spoilPage, whileStopped } from '../support/while-stopped.ts';

/** Sequences of a copy whose source starts some of them anew, before and after the instant of the copy, or makes them anew, or renames them. */
let source: Server;
let copy: Server;
let manifest: Manifest;

const atSource = asking(() => source);
const onCopy = asking(() => copy);

const LOAD = 'TRUNCATE staging RESTART IDENTITY; INSERT INTO staging (v) SELECT generate_series(1, ';

/** Two that read the same without quotes. */
const DOTTED = ['a."b.c"', '"a.b".c'] as const;

beforeAll(async () => {
  source = await startCluster({ logical: true, settings: OF_SOURCE });
  await atSource(`CREATE TABLE base AS SELECT g AS id FROM generate_series(1, 5000) g;
    CREATE TABLE staging (id int GENERATED ALWAYS AS IDENTITY, v int); INSERT INTO staging (v) SELECT generate_series(1, 600)`);
  for (const name of ['broken', 'daily', 'hourly', 'steady', 'swapped', 'set_back']) await atSource(`CREATE SEQUENCE ${name}; SELECT nextval('${name}') FROM generate_series(1, 900)`);
  await atSource('CREATE DATABASE names');
  await atSource(`CREATE SCHEMA live; CREATE SCHEMA next; CREATE TABLE live.t (id serial, v int); CREATE TABLE next.t (id serial, v int); INSERT INTO live.t (v) SELECT generate_series(1, 500); INSERT INTO next.t (v) SELECT generate_series(1, 5);
    CREATE TABLE stage (id serial, v int); INSERT INTO stage (v) SELECT generate_series(1, 50); CREATE SEQUENCE reset; SELECT nextval('reset') FROM generate_series(1, 50)`, 'names');
  for (const name of ['gone', 'rebuilt', 'renewed', 'kept']) await atSource(`CREATE SEQUENCE ${name}; SELECT nextval('${name}') FROM generate_series(1, 90)`, 'names');
  await atSource('CREATE DATABASE dotted');
  await atSource('CREATE SCHEMA a; CREATE SCHEMA "a.b"', 'dotted');
  for (const name of DOTTED) await atSource(`CREATE SEQUENCE ${name}; SELECT nextval('${name}') FROM generate_series(1, 90)`, 'dotted');
  manifest = await manifestsOf(() => source).take();
  await atSource(`ALTER SCHEMA live RENAME TO old; ALTER SCHEMA next RENAME TO live; DROP SEQUENCE gone, rebuilt, renewed; DROP TABLE stage; CREATE SEQUENCE renewed; SELECT setval('reset', 1, false)`, 'names');
  await atSource(`${LOAD}400)`);
  for (const name of ['daily', 'hourly', 'swapped']) await atSource(`ALTER SEQUENCE ${name} RESTART; SELECT nextval('${name}') FROM generate_series(1, 5)`);
  await atSource(`ALTER SEQUENCE ${DOTTED[0]} RESTART`, 'dotted');
  copy = await openedCopy(source, OF_BOTH);
});
afterAll(() => Promise.all([source.stop(), copy.stop()]));

const compare = (by = manifest, database = 'postgres'): Promise<ComparisonResult> => compareLiving({ copy, source, manifest: by, database, lockTimeoutMs: 500 });
const positions = ({ notVerified }: ComparisonResult) => notVerified.filter(({ what }) => what.startsWith('position of ')).map(({ what, why, byDesign }) => `${byDesign ? 'by design' : 'open'}: ${what}: ${why.split(/[,;:(]/)[0]?.trim()}`).toSorted();
const damaged = ({ differences }: ComparisonResult) => differences.map((difference) => (difference.kind === 'sequence' ? `${difference.sequence} ${difference.problem}` : difference.kind)).toSorted();
/** As older programs took it. */
const older = (): Manifest => ({ ...manifest, databases: manifest.databases.map((entry) => ({ ...entry, sequences: entry.sequences.map((one) => ({ ...one, oid: undefined, filenode: undefined })) })) });

const STARTED_ANEW = ['daily', 'hourly', 'staging_id_seq', 'swapped'].map((name) => `by design: position of sequence public.${name}: it has started anew since the manifest`);

describe('a sequence that was started anew since the manifest', () => {
  it('is named, by design, while the source is where the copy is', async () => {
    const result = await compare();
    expect([damaged(result), positions(result)]).toEqual([[], STARTED_ANEW]);
  });

  it('is no damage once the source has gone on, or started it anew once more', async () => {
    await atSource(`${LOAD}700); SELECT nextval('daily') FROM generate_series(1, 1000)`);
    await atSource(`ALTER SEQUENCE hourly RESTART; SELECT nextval('hourly') FROM generate_series(1, 1000)`);
    const result = await compare();
    expect([damaged(result), positions(result)]).toEqual([[], STARTED_ANEW]);
  });

  it('is open where the manifest is an older one and the source has another file', async () => {
    const result = await compare(older());
    // Of one that has the same file nothing tells that from damage.
    expect(damaged(result)).toEqual(['public.daily behindItself']);
    expect(positions(result)).toEqual(['hourly', 'staging_id_seq', 'swapped'].map((name) => `open: position of sequence public.${name}: is not as the manifest has it`));
  });
});

describe('a sequence of a copy that is damaged', () => {
  it('is a difference where it is behind in the file of the manifest, and where the copy alone has another', async () => {
    await onCopy(`SELECT setval('set_back', 7)`);
    expect(damaged(await compare())).toEqual(['public.set_back behindItself']);
    expect(damaged(await compare(older()))).toContain('public.set_back behindItself');
    // What the source has had since before the manifest, and what it gave it before the instant of the copy.
    await onCopy('ALTER SEQUENCE steady RESTART; ALTER SEQUENCE swapped RESTART');
    expect(damaged(await compare())).toEqual(['public.set_back behindItself', 'public.steady behindItself', 'public.swapped behindItself']);
  });
});

describe('two sequences of which names and schemas read the same', () => {
  it('are not taken for one another: that one was started anew excuses nothing of the other', async () => {
    await onCopy(`SELECT setval('${DOTTED[1]}', 7)`, 'dotted');
    const result = await compare(manifest, 'dotted');
    expect([damaged(result), positions(result)]).toEqual([['a.b.c behindItself'], ['by design: position of sequence a.b.c: it has started anew since the manifest']]);
    expect(result.differences).toMatchObject([{ found: '8' }]);
  });
});

describe('a sequence that the copy has under another name than the manifest, or not at all', () => {
  const dropped = (name: string) => `by design: position of sequence public.${name}: the source has dropped it since the manifest`;
  const open = (name: string) => `open: position of sequence ${name}: is not as the manifest has it`;

  it('is no damage where the source has renamed its schema back, or made another of its name since', async () => {
    await atSource(`ALTER SCHEMA live RENAME TO next; ALTER SCHEMA old RENAME TO live; CREATE SEQUENCE rebuilt; SELECT nextval('rebuilt') FROM generate_series(1, 200);
      CREATE TABLE stage (id serial, v int); INSERT INTO stage (v) SELECT generate_series(1, 60)`, 'names');
    const result = await compare(manifest, 'names');
    expect([damaged(result), positions(result)]).toEqual([[], [...['gone', 'rebuilt', 'stage_id_seq'].map(dropped), 'by design: position of sequence public.renewed: it has started anew since the manifest', open('public.reset')].toSorted()]);
    // One that does not say the number knows nobody by another name.
    const byOlder = await compare(older(), 'names');
    expect([damaged(byOlder), positions(byOlder)]).toEqual([[], expect.arrayContaining(['live.t_id_seq', 'next.t_id_seq', 'public.rebuilt'].map(open))]);
  });

  it('is no damage where nobody can ask the source where it stands', async () => {
    const busy = new Client(source.config('names'));
    await busy.connect();
    try {
      await busy.query('BEGIN; DROP SEQUENCE reset');
      const result = await compare(manifest, 'names');
      expect(damaged(result)).toEqual([]);
      expect(positions(result)).toContain('open: position of sequence public.reset: is behind where the manifest has it');
    } finally {
      await busy.end();
    }
  });

  it('is damage where the source has had it all the while, whatever it is called there or was granted since', async () => {
    await onCopy(`DROP SEQUENCE kept, renewed; SELECT setval('old.t_id_seq', 3)`, 'names');
    await atSource('CREATE ROLE reader; GRANT SELECT ON kept, renewed TO reader; ALTER SEQUENCE kept RENAME TO held', 'names');
    expect(damaged(await compare(manifest, 'names')).filter((one) => /^\w+\.\w+ /.test(one))).toEqual(['live.t_id_seq behindItself', 'public.kept missing', 'public.renewed missing']);
  });
});

describe('a sequence that the copy cannot read', () => {
  it('is damage, also where no source answers, or where that has dropped it since', async () => {
    const { rows: [file] } = await onCopy(`SELECT pg_relation_filepath('broken') AS path`) as { rows: { path: string }[] };
    copy = await whileStopped(copy, { ...OF_BOTH, fsync: 'off', autovacuum: 'off' }, () => spoilPage(copy, file!.path, 0));
    expect(damaged(await compare())).toContain('public.broken unreadable');
    expect(damaged(await compareLiving({ copy, source: null, manifest }))).toEqual(['public.broken unreadable']);
    await atSource('DROP SEQUENCE broken');
    expect(damaged(await compare())).toContain('public.broken unreadable');
  });
});
