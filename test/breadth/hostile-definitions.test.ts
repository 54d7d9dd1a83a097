import { setTimeout } from 'node:timers/promises';
import type { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { NoInstants, readBeat } from '../../activities/dr-test/heartbeat.ts';
import { listTables } from '../../activities/manifest/tables.ts';
import { takeManifest } from '../../activities/manifest/take-manifest.ts';
import { withClient } from '../../activities/postgres/source.ts';
import type { Manifest } from '../../contracts/manifest.ts';
import { startCluster, type Server } from '../support/postgres.ts';
import { ranDuring } from '../support/ran-as.ts';

/**
 * What the owner of a table, who is no superuser, has said of it: PostgreSQL runs some of that when it plans a query, with the
 * rights of whoever asks. Theirs says so in the server's log.
 */
let server: Server;
beforeAll(async () => {
  server = await startCluster({ logical: true });
  await asSuperuser('postgres', `CREATE ROLE mallory LOGIN; CREATE ROLE runbook LOGIN REPLICATION BYPASSRLS IN ROLE pg_read_all_data, pg_read_all_settings;
    CREATE ROLE deputy LOGIN REPLICATION BYPASSRLS IN ROLE postgres, pg_read_all_data; CREATE ROLE runner LOGIN REPLICATION BYPASSRLS IN ROLE pg_execute_server_program, pg_read_all_data`);
  await asSuperuser('postgres', 'CREATE ROLE heir LOGIN IN ROLE postgres, pg_read_all_data; CREATE ROLE plain LOGIN IN ROLE pg_read_all_data; CREATE ROLE clerk LOGIN');
  await asSuperuser('postgres', 'CREATE DATABASE shop OWNER mallory');
});
afterAll(() => server.stop());

const asSuperuser = (database: string, sql: string) => server.withClient(database, (client) => client.query(sql));
const asMallory = (sql: string) => withClient({ ...server.config('shop'), user: 'mallory' }, (client) => client.query(sql));
const theirs = (name: string, type: string, value: string) =>
  `CREATE FUNCTION s.${name} RETURNS ${type} LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE WARNING 'theirs ran as %', current_user; RETURN ${value}; END $$;`;
beforeEach(() => asMallory(`ALTER DATABASE shop RESET ALL; DROP SCHEMA IF EXISTS s CASCADE; CREATE SCHEMA s; CREATE TABLE s.other (); CREATE TABLE s.t (id int, at timestamptz, filler text);
  ${theirs('f()', 'int', '1')} ${theirs('f(int)', 'int', '1')} ${theirs('yes()', 'boolean', 'true')} ${theirs('plus(int, int)', 'int', '1')}
  CREATE FUNCTION s.inlined(int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT $1 + s.f() $$; CREATE OPERATOR s.+ (FUNCTION = s.plus, LEFTARG = int, RIGHTARG = int)`));
/** More pages than one bucket has. */
const FILL = `INSERT INTO s.t (id, at, filler) SELECT 1, '2026-11-21T03:00:00Z', repeat('x', 500) FROM generate_series(1, 200); ANALYZE s.t`;

const manifestAs = (user: string, onRead: (done: number) => void = () => undefined) => takeManifest({
  connect: (database) => ({ ...server.config(database), user }), databases: ['shop'], applicationName: 'manifest-test', signal: new AbortController().signal, limits: { connections: 1, bucketBytes: 16 * 1024, dutyCycle: 0.05 },
  onProgress: ({ phase, bytesDone }) => { if (phase === 'tables') onRead(bytesDone); },
});
const beatAs = (user: string, of: 'source' | 'copy' = 'source', table = 's.t') => withClient({ ...server.config('shop'), user, searchPath: 'ofDatabase' }, (client) => readBeat(client, { table, column: 'at', every: 1000 }, { of, until: null }));
const tablesOf = ({ databases: [database] }: Manifest) => database?.tables.map(({ name }) => name).sort();
const refused = { database: 'shop', what: 'contents of s.t', why: expect.stringMatching(/functions of a role that is no superuser.*read with a role that is none/) as string, byDesign: false };

const planned: [what: string, sql: string][] = [
  ['an expression of an index', 'CREATE INDEX ON s.t ((id + s.f()))'], ['an index that calls what is put in its place', 'CREATE INDEX ON s.t (s.inlined(id))'], ['a predicate of an index', 'CREATE INDEX ON s.t (id) WHERE s.yes()'],
  ['an operator in an index', 'CREATE INDEX ON s.t ((id + (1 OPERATOR(s.+) 2)))'], ['extended statistics', 'CREATE STATISTICS s.st ON (id + s.f()) FROM s.t'],
];
/** As a leaf of a partitioned table. */
const PARTITION = `DROP TABLE s.t; CREATE TABLE s.p (id int, at timestamptz, filler text) PARTITION BY LIST ((id + s.f())); CREATE TABLE s.t PARTITION OF s.p FOR VALUES IN (1, 2)`;
const EXCLUSION = 'ALTER DATABASE shop SET constraint_exclusion = on';
const harmless: [what: string, sql: string][] = [
  ['a constraint', `ALTER TABLE s.t ADD CHECK (id + s.f() > 0)`], ['a constraint that is asked for', `ALTER TABLE s.t ADD CHECK (id + s.f() > 0); ${EXCLUSION}`],
  ['a default', 'ALTER TABLE s.t ADD d int DEFAULT s.f()'], ['a column that is computed', 'ALTER TABLE s.t ADD g int GENERATED ALWAYS AS (id + s.f()) STORED'],
  ['a partition key', PARTITION], ['a partition key that is asked for', `${PARTITION}; ${EXCLUSION}`],
  ['a policy', 'CREATE POLICY p ON s.t USING (s.yes()); ALTER TABLE s.t ENABLE ROW LEVEL SECURITY; ALTER TABLE s.t FORCE ROW LEVEL SECURITY'],
  ['a constraint of a domain', 'CREATE DOMAIN s.d AS int CHECK (VALUE + s.f() > 0); ALTER TABLE s.t ADD d s.d DEFAULT 1'], ['a rule', 'CREATE RULE r AS ON INSERT TO s.t WHERE s.f() = 2 DO ALSO NOTHING'],
];

test.each(planned)('%s runs nothing with the rights of a superuser: its table is not read', async (_what, sql) => {
  await asMallory(`${sql}; ${FILL}`);
  expect(await ranDuring(server, 'mallory', () => asSuperuser('shop', 'SELECT count(*) FROM s.t'))).toEqual(['theirs']);
  for (const user of ['postgres', 'deputy', 'runner']) {
    let manifest: Manifest | undefined;
    expect(await ranDuring(server, 'mallory', async () => { manifest = await manifestAs(user); })).toEqual([]);
    expect([manifest && tablesOf(manifest), manifest?.notVerified]).toEqual([['other', 'pg_largeobject', 'pg_largeobject_metadata'], expect.arrayContaining([refused])]);
    expect(await ranDuring(server, 'mallory', () => expect(beatAs(user)).rejects.toThrow(NoInstants))).toEqual([]);
  }
  // What it could do as a role that may read only is little more than its owner can.
  expect(tablesOf(await manifestAs('runbook'))).toContain('t');
  expect([await beatAs('runbook'), await beatAs('postgres', 'copy')]).toEqual([Date.parse('2026-11-21T03:00:00Z'), Date.parse('2026-11-21T03:00:00Z')]);
});

test.each(harmless)('%s runs nothing, and its table is read', async (_what, sql) => {
  await asMallory(`${sql}; ${FILL}`);
  for (const user of ['postgres', 'runbook']) {
    expect(await ranDuring(server, 'mallory', async () => {
      expect(tablesOf(await manifestAs(user))).toContain('t');
      expect(await beatAs(user)).toBe(Date.parse('2026-11-21T03:00:00Z'));
    })).toEqual([]);
  }
});

test('a policy of a heartbeat table is run by nobody who reads it, and hides no beats: whoever it is for is refused', async () => {
  await asMallory(`${FILL}; CREATE POLICY p ON s.t USING (s.yes() AND at < '2026-01-01'); ALTER TABLE s.t ENABLE ROW LEVEL SECURITY; ALTER TABLE s.t FORCE ROW LEVEL SECURITY`);
  for (const user of ['heir', 'plain']) expect(await ranDuring(server, 'mallory', () => expect(beatAs(user)).rejects.toThrow(/affected by row-level security policy for table "t"/))).toEqual([]);
});

test('a role that may read nothing but the column of a heartbeat table reads it', async () => {
  await asMallory(`${FILL}; GRANT USAGE ON SCHEMA s TO clerk; GRANT SELECT (at) ON s.t TO clerk`);
  expect(await beatAs('clerk')).toBe(Date.parse('2026-11-21T03:00:00Z'));
});

test('functions of superusers are no reason to leave a table unread', async () => {
  await asMallory(FILL);
  await asSuperuser('shop', `CREATE FUNCTION public.trusted(int) RETURNS int LANGUAGE sql IMMUTABLE RETURN $1; CREATE INDEX ON s.t (public.trusted(id)); CREATE INDEX ON s.t (abs(id)) WHERE id > 0`);
  const { notVerified, databases: [database] } = await manifestAs('postgres');
  expect(database?.tables.map(({ name }) => name)).toContain('t');
  expect(notVerified).not.toContainEqual(refused);
});

test('a name is no code, whatever its database says of backslashes', async () => {
  const name = `\\')IS NULL THEN 1 END);SELECT s.f();SELECT(CASE WHEN(EXISTS(--`;
  await asMallory(`CREATE SCHEMA "${name}"; CREATE TABLE "${name}".beats AS SELECT '2026-11-21T03:00:00Z'::timestamptz AS at`);
  await asMallory(`ALTER DATABASE shop SET search_path = "${name}"`);
  await asMallory('ALTER DATABASE shop SET standard_conforming_strings = off');
  const ran = await ranDuring(server, 'mallory', async () => expect(await beatAs('postgres', 'source', 'beats')).toBe(Date.parse('2026-11-21T03:00:00Z')));
  await asMallory(`DROP SCHEMA "${name}" CASCADE`);
  expect(ran).toEqual([]);
});

describe('what is made while a superuser reads', () => {
  const LOCK = 'BEGIN; LOCK TABLE s.t';
  /** Who has locked it changes it while the reader is past all that it asks before it wants the table. */
  async function makeWhileAwaited(mallory: Client, sql: string): Promise<void> {
    await expect.poll(async () => (await mallory.query(`SELECT FROM pg_locks WHERE relation = 's.t'::regclass AND NOT granted`)).rowCount, { interval: 1 }).toBeGreaterThan(0);
    await mallory.query(`${sql}; COMMIT`);
  }

  test.each(planned.slice(-1).concat(planned.slice(0, 1)))('%s is looked for before each part of a table, once that is locked, which is then left out', async (_what, sql) => {
    await asMallory(`${FILL}; ${FILL}; ${FILL}; ${FILL}`);
    let manifest: Manifest | undefined;
    const ran = await ranDuring(server, 'mallory', () => withClient({ ...server.config('shop'), user: 'mallory' }, async (mallory) => {
      const make = async () => { await mallory.query(LOCK); await makeWhileAwaited(mallory, sql); };
      let making: Promise<unknown> | undefined;
      manifest = await manifestAs('postgres', (done) => { if (done > 0) making ??= make(); });
      await making;
      expect(making).toBeDefined();
    }));
    expect([ran, manifest?.notVerified, manifest?.cost.restarts]).toEqual([[], expect.arrayContaining([refused]), []]);
  });

  test.each([
    ...planned, ['a table of that name with an index', 'CREATE TABLE s.theirs (id int, at timestamptz); CREATE INDEX ON s.theirs ((id + s.f())); ALTER TABLE s.t RENAME TO was; ALTER TABLE s.theirs RENAME TO t'],
  ])('%s is looked for before a heartbeat table is read, once that is locked', async (_what, sql) => {
    await asMallory(FILL);
    expect(await ranDuring(server, 'mallory', () => withClient({ ...server.config('shop'), user: 'mallory' }, async (mallory) => {
      await mallory.query(LOCK);
      const making = makeWhileAwaited(mallory, sql);
      await expect(beatAs('postgres')).rejects.toThrow('does not exist');
      await making;
    }))).toEqual([]);
  });

  test.each(['read committed', 'repeatable read', 'serializable'])('so it is before a materialized view is, whose database says %s', async (isolation) => {
    await asMallory(`DROP TABLE s.t; CREATE MATERIALIZED VIEW s.t AS SELECT 1 AS id, '2026-11-21T03:00:00Z'::timestamptz AS at`);
    const options = '-c default_transaction_isolation=read\\ committed';
    await asMallory(`ALTER DATABASE shop SET default_transaction_isolation = '${isolation}'`);
    expect(await ranDuring(server, 'mallory', () => withClient({ ...server.config('shop'), user: 'mallory', options }, async (mallory) => {
      await mallory.query('BEGIN; REFRESH MATERIALIZED VIEW s.t');
      const making = makeWhileAwaited(mallory, 'CREATE INDEX ON s.t ((id + s.f()))');
      await expect(beatAs('postgres')).rejects.toThrow('does not exist');
      await making;
    }))).toEqual([]);
  });

  const [STATISTICS] = planned.flatMap(([what, sql]) => (what === 'extended statistics' ? [sql] : []));
  /** Holds an index that every plan needs, gives the table something to run once somebody waits for it, and else after a while. */
  async function makeBehindAnIndex(mallory: Client): Promise<void> {
    const isWaiting = async () => (await mallory.query(`SELECT FROM pg_locks WHERE relation = 's.i'::regclass AND NOT granted`)).rowCount !== 0;
    for (const end = Date.now() + 400; Date.now() < end && !await isWaiting();) await setTimeout(1);
    await mallory.query(`${STATISTICS}; COMMIT`);
  }
  const REINDEX = 'BEGIN; REINDEX INDEX s.i';

  test('what is made while the planner waits for an index does not run: it waits for nothing after the look', async () => {
    await asMallory(`${FILL}; ${FILL}; ${FILL}; ${FILL}; CREATE INDEX i ON s.t (id)`);
    let manifest: Manifest | undefined;
    const ran = await ranDuring(server, 'mallory', () => withClient({ ...server.config('shop'), user: 'mallory' }, async (mallory) => {
      let making: Promise<unknown> | undefined;
      manifest = await manifestAs('postgres', (done) => { if (done > 0) making ??= mallory.query(REINDEX).then(() => makeBehindAnIndex(mallory)); });
      await making;
    }));
    expect([ran, manifest?.notVerified]).toEqual([[], expect.arrayContaining([refused])]);
  });

  test('nor does it where a heartbeat table is read', async () => {
    await asMallory(`${FILL}; CREATE INDEX i ON s.t (id)`);
    expect(await ranDuring(server, 'mallory', () => withClient({ ...server.config('shop'), user: 'mallory' }, async (mallory) => {
      await mallory.query(REINDEX);
      const making = makeBehindAnIndex(mallory);
      await expect(beatAs('postgres')).rejects.toThrow('does not exist');
      await making;
    }))).toEqual([]);
  });

  test('a heartbeat table of which an index is made anew is read once that is there', async () => {
    await asMallory(`${FILL}; CREATE INDEX i ON s.t (id)`);
    await withClient({ ...server.config('shop'), user: 'mallory' }, async (mallory) => {
      await mallory.query(REINDEX);
      const making = setTimeout(200).then(() => mallory.query('COMMIT'));
      expect(await beatAs('postgres')).toBe(Date.parse('2026-11-21T03:00:00Z'));
      await making;
    });
  });

  test('nothing is planned after rows were read: what is made meanwhile does not run', async () => {
    await asMallory(`INSERT INTO s.t (id, filler) SELECT 1, repeat('x', 5000000) FROM generate_series(1, 60); ANALYZE s.t`);
    const ran = await ranDuring(server, 'mallory', () => withClient({ ...server.config('shop'), user: 'mallory' }, async (mallory) => {
      const isRead = async () => (await asSuperuser('shop', `SELECT FROM pg_stat_activity WHERE application_name = 'manifest-test' AND state = 'active' AND query LIKE '%count(*)%"s"."t"%'`)).rowCount !== 0;
      let isOver = false;
      const reading = manifestAs('postgres').finally(() => { isOver = true; });
      let isMade = false;
      while (!isOver && !isMade) {
        isMade = await isRead();
        await setTimeout(isMade ? 20 : 1);
      }
      await mallory.query(STATISTICS ?? '');
      await reading;
      expect(isMade).toBe(true);
    }));
    expect(ran).toEqual([]);
  });

  test('an index of a materialized view is not run where that is locked', async () => {
    await asMallory(`CREATE MATERIALIZED VIEW s.m AS SELECT 1 AS id; CREATE INDEX ON s.m ((id + s.f()))`);
    expect(await ranDuring(server, 'mallory', () => server.withClient('shop', async (client) => {
      const lock = (await listTables(client, 150000)).tables.find(({ name }) => name === 'm')?.lock ?? '';
      await client.query('BEGIN');
      await client.query(lock);
      const { rows } = await client.query(`SELECT mode FROM pg_locks WHERE relation = 's.m'::regclass`);
      expect(rows).toEqual([{ mode: 'AccessShareLock' }]);
    }))).toEqual([]);
  });
});

test('what runs all the same with the rights of a role that is no superuser can write nothing', async () => {
  await asMallory(`CREATE FUNCTION s.write() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    BEGIN SET LOCAL transaction_read_only = off; EXCEPTION WHEN OTHERS THEN NULL; END; EXECUTE format('CREATE TABLE public.%I ()', gen_random_uuid()); RAISE WARNING 'written ran as %', current_user; EXCEPTION WHEN OTHERS THEN RAISE WARNING 'refused ran as %', current_user; END $$;
    CREATE FUNCTION s.writing() RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM s.write(); RETURN 1; END $$;
    ${FILL}; CREATE INDEX ON s.t ((id + s.writing()))`);
  await asSuperuser('shop', 'GRANT CREATE ON SCHEMA public TO PUBLIC');
  expect(await ranDuring(server, 'mallory', () => manifestAs('runbook'))).toEqual(['refused']);
  expect(await ranDuring(server, 'mallory', () => beatAs('runbook'))).toEqual(['refused']);
});
