import { afterAll, beforeAll, expect, test } from 'vitest';
import { readSourceFacts } from '../../activities/archive/source-facts.ts';
import { identifyServer } from '../../activities/archive/source-host.ts';
import { checkCollations } from '../../activities/dr-test/collation-check.ts';
import { describeSource } from '../../activities/dr-test/describe-source.ts';
import { measureLoss } from '../../activities/dr-test/measure-loss.ts';
import { systemIdentifierOf } from '../../activities/dr-test/other-cluster.ts';
import { runOwnChecks } from '../../activities/dr-test/own-checks.ts';
import { checkPreparedTransactions } from '../../activities/dr-test/prepared-check.ts';
import { drillClientConfig } from '../../activities/drill/client.ts';
import { Sessions } from '../../activities/manifest/session.ts';
import { takeManifest } from '../../activities/manifest/take-manifest.ts';
import { endSourceSessions, lookForSourceSessions } from '../../activities/postgres/run-sessions.ts';
import { withClient } from '../../activities/postgres/source.ts';
import { databaseSchema } from '../../contracts/configuration.ts';
import { Findings } from '../../scripts/cli/doctor-finding.ts';
import { examineSource } from '../../scripts/cli/doctor-source.ts';
import { startCluster, type Server } from '../support/postgres.ts';
import { ranDuring } from '../support/ran-as.ts';

/**
 * A database whose owner is no superuser, and has functions of their own found before PostgreSQL's: `ALTER DATABASE … SET
 * search_path` is theirs to give. What runs says so in the server's log, which a session that may not write can do, too.
 */
let server: Server;
let identifier: string;
const signal = new AbortController().signal;

const returning = (name: string, parameters: string, type: string, value: string) => `CREATE FUNCTION evil.${name}(${parameters}) RETURNS ${type} LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING '${name} ran as %', current_user; RETURN ${value}; END $$;`;
/** By the types of what is asked, so that each is the better candidate, or the first found. */
const shadows = [
  returning('set_config', 'text, text, boolean', 'text', 'pg_catalog.set_config($1, $2, $3)'), returning('current_setting', 'text', 'text', 'pg_catalog.current_setting($1)'),
  returning('pg_is_in_recovery', '', 'boolean', 'false'), returning('clock_timestamp', '', 'timestamptz', 'pg_catalog.clock_timestamp()'), returning('now', '', 'timestamptz', 'pg_catalog.now()'),
  returning('pg_current_wal_flush_lsn', '', 'pg_lsn', `'0/1'`), returning('pg_backend_pid', '', 'int', '0'), returning('current_database', '', 'name', 'pg_catalog.current_database()'),
  returning('to_regclass', 'text', 'regclass', 'pg_catalog.to_regclass($1)'), returning('starts_with', 'text, text', 'boolean', 'true'), returning('pg_terminate_backend', 'int, bigint', 'boolean', 'true'),
  returning('pg_collation_actual_version', 'oid', 'text', `'forged'`), returning('pg_database_size', 'oid', 'bigint', '1'), returning('lower', 'text', 'text', 'pg_catalog.lower($1)'),
  returning('concat_ws', 'text, name, name', 'text', `''`), returning('least', 'timestamptz', 'timestamptz', '$1'), returning('is_same', 'name, name', 'boolean', 'true'), returning('is_equal', 'oid, oid', 'boolean', '$1::text OPERATOR(pg_catalog.=) $2::text'),
  `CREATE FUNCTION evil.pg_control_system(OUT pg_control_version int, OUT catalog_version_no int, OUT system_identifier bigint, OUT pg_control_last_modified timestamptz) LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'pg_control_system ran as %', current_user; system_identifier := 42; END $$;`,
  'CREATE OPERATOR evil.= (FUNCTION = evil.is_equal, LEFTARG = oid, RIGHTARG = oid);', 'CREATE OPERATOR evil.= (FUNCTION = evil.is_same, LEFTARG = name, RIGHTARG = name);',
  'CREATE TABLE evil.pg_database AS SELECT * FROM pg_catalog.pg_database; CREATE VIEW evil.pg_settings AS SELECT * FROM pg_catalog.pg_settings WHERE evil.pg_is_in_recovery() IS NOT NULL;',
];

beforeAll(async () => {
  server = await startCluster({ logical: true, tcp: true });
  const run = (database: string, sql: string, user = 'postgres') => withClient({ ...server.config(database), user, searchPath: 'ofDatabase' }, (client) => client.query(sql));
  identifier = await server.withClient('postgres', systemIdentifierOf);
  await run('postgres', 'CREATE ROLE mallory LOGIN');
  await run('postgres', 'CREATE DATABASE shop OWNER mallory');
  await run('shop', `CREATE SCHEMA evil; CREATE SCHEMA app; CREATE TABLE app.beats (at timestamptz); INSERT INTO app.beats VALUES ('2026-11-21T02:59:59.5Z'); CREATE TABLE app.goods AS SELECT 1 AS id;
    CREATE COLLATION app.sorting (provider = icu, locale = 'de'); CREATE TABLE app.sorted (name text COLLATE app.sorting); CREATE INDEX ON app.sorted (name)`, 'mallory');
  for (const shadow of shadows) await run('shop', shadow, 'mallory');
  await run('shop', 'ALTER DATABASE shop SET search_path = evil, pg_catalog, app', 'mallory');
});
afterAll(() => server.stop());

const config = () => server.config('shop');
const settings = () => databaseSchema.parse({
  connection: { host: server.socketDirectory, port: server.port, database: 'shop', user: 'postgres' }, heartbeat: { table: 'beats', column: 'at', every: '2s' }, provider: { kind: 'archive', repository: '/r', walDirectory: '/w' },
});
const owner = { workflowId: 'w', firstExecutionRunId: 'r' } as never;
const resolvePassword = () => Promise.resolve(undefined);

test('what is theirs is noticed when it runs', async () => {
  expect(await ranDuring(server, 'mallory', () => server.withClient('shop', (client) => client.query('SELECT now()')))).toEqual(['now']);
});

test.each<[string, () => Promise<unknown>]>([
  ['a manifest', async () => expect((await takeManifest({ connect: (database) => server.config(database), databases: ['shop'], applicationName: 'manifest-test', signal })).systemIdentifier).toBe(identifier)],
  ['the session on which a slot is made', async () => {
    const sessions = new Sessions({ connect: (database) => server.config(database), applicationName: 'test', limits: { statementTimeoutMs: 0, lockTimeoutMs: 0 }, signal });
    try { await sessions.openReplication('shop', 1000); } finally { await sessions.closeAll(); }
  }],
  ['the plan of a drill, with a heartbeat', async () => {
    expect(await describeSource({ database: 'shop', owner }, { settings: settings(), resolvePassword, signal })).toMatchObject({ source: { systemIdentifier: identifier }, sourceSilence: null });
  }],
  ['what a base backup is told of its source', () => withClient(config(), async (client) => {
    expect(await readSourceFacts({ client, connection: config() })).toMatchObject({ systemIdentifier: identifier });
    expect(await identifyServer(client)).toMatchObject({ systemIdentifier: identifier });
  })],
  ['the end of sessions, and the look for them', async () => {
    expect(await endSourceSessions(config(), 'nobody')).toBe(0);
    expect(await lookForSourceSessions(config(), 'nobody', 9)).toEqual({ looked: 'sessions and slots at the source', found: [] });
  }],
  ['the look for collations', async () => expect(await checkCollations(() => config(), () => config(), { databases: ['shop'], at: 'shop' })).toMatchObject([{ outcome: 'passed' }])],
  ['the look for prepared transactions', async () => expect(await checkPreparedTransactions(() => config(), 'shop', { readManifest: () => Promise.resolve(null), replayed: { clockSkewSeconds: 0, lastCommitAt: null }, signal })).toMatchObject({ outcome: 'passed' })],
  ['doctor', async () => {
    const findings = new Findings('shop');
    expect(await examineSource(settings(), findings)).toMatchObject({ systemIdentifier: identifier });
  }],
  ['the measuring of what was lost, with a heartbeat', async () => {
    const { checks } = await measureLoss({
      declarationSkewSeconds: 0, drill: { owner } as never, recovered: { endLsn: '0/1', lastCommitAt: '2026-11-21T02:59:59.500Z', stoppedBeforeLater: false, replaySeconds: 0, promotionSeconds: 0 },
      plan: { declaredAt: '2026-11-21T03:00:00.000Z', heartbeat: { table: 'beats', column: 'at', every: 2000 }, source: { lsn: '0/2', systemIdentifier: identifier, clockSkewSeconds: 0 }, sourceSilence: null, recoverTo: null } as never,
    }, {
      settings: settings(), resolvePassword, signal, copy: () => Promise.resolve(() => config()),
      provider: {
        find: () => Promise.resolve({ id: 'b1', beganAt: '2026-11-21T02:00:00.000Z', systemIdentifier: identifier } as never),
        lostCommits: async (_drill, { source }) => {
          await source?.query('SELECT now()');
          return { commits: 0, maintenance: 0, lastCommitAt: null, knownFrom: 'source', unread: null };
        },
      },
    });
    expect(checks).toMatchObject([{ outcome: 'passed' }]);
  }],
])('%s runs none of it', async (_what, work) => {
  expect(await ranDuring(server, 'mallory', work)).toEqual([]);
});

test('a copy is asked in the same way, with the options that it has', async () => {
  const { options } = drillClientConfig({ directory: '/nowhere', owner: null, serverMajor: 14, superuser: 'postgres', maintenanceDatabase: 'postgres' }, { database: 'shop' });
  const shown = (name: string) => withClient({ ...config(), ...(options === undefined ? {} : { options: `${options} -c work_mem=7MB -c search_path=evil` }) }, async (client) => (await client.query<Record<string, string>>(`SHOW ${name}`)).rows[0]?.[name]);
  expect([await shown('search_path'), await shown('work_mem'), await shown('default_transaction_read_only')]).toEqual(['pg_catalog,pg_temp', '7MB', 'off']);
});

test("the owner's checks are what users wrote, and mean what their database says", async () => {
  const check = { name: 'mine', sql: 'SELECT count(*) FROM goods WHERE now() IS NOT NULL', expect: '1' };
  let result: unknown;
  expect(await ranDuring(server, 'mallory', async () => { result = await runOwnChecks(() => config(), [check], { database: 'shop', signal }); })).toContain('now');
  expect(result).toMatchObject([{ outcome: 'passed' }]);
});
