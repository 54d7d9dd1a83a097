import { chownSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { drillClientConfig } from '../../activities/drill/client.ts';
import { destroyDrill } from '../../activities/drill/destroy.ts';
import { type Drill, drillPaths } from '../../activities/drill/drill.ts';
import { findPostgres } from '../../activities/postgres/binaries.ts';
import type { RecoveryPoint } from '../../contracts/recovery-point.ts';
import { type ArchivedSource, archiveNow, backUp, drillOf, productionPaths, startArchivedSource, DRILL_NAME } from '../support/archived-source.ts';
import { type Canary, hashTree, listenForContact, startWithout } from '../support/canaries.ts';
import { withDrillClient } from '../support/user-clients.ts';

// Each layer of the drill's isolation alone: the namespaces, which would hide all others, are switched off unless they
// are what is looked at, and each canary is heard singing when its layer is taken away.
const OPEN: Drill['isolation'] = { network: 'notIsolated', mounts: 'notIsolated', reason: 'switched off by the test' };

let source: ArchivedSource;
let point: RecoveryPoint;
const canaries = {} as Record<'trigger' | 'login' | 'subscription' | 'primary', Canary>;

beforeAll(async () => {
  for (const name of ['trigger', 'login', 'subscription', 'primary'] as const) canaries[name] = await listenForContact();
  // The source's own subscription must not call: only the copy's may be heard.
  source = await startArchivedSource({ autovacuum: 'off', max_logical_replication_workers: 0 });
  const calls = (name: 'trigger' | 'login') => `CREATE FUNCTION call_${name}() RETURNS event_trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM public.dblink_connect('host=127.0.0.1 port=${canaries[name].port} connect_timeout=2'); EXCEPTION WHEN OTHERS THEN NULL; END $$;`;
  const triggers = `CREATE EXTENSION dblink; ${calls('trigger')} ${calls('login')}
    CREATE EVENT TRIGGER call_trigger ON ddl_command_end EXECUTE FUNCTION call_trigger(); ALTER EVENT TRIGGER call_trigger ENABLE ALWAYS;
    CREATE EVENT TRIGGER call_login ON login EXECUTE FUNCTION call_login(); ALTER EVENT TRIGGER call_login ENABLE ALWAYS;`;
  await source.server.withClient('postgres', async (client) => {
    await client.query(`CREATE TABLESPACE outside LOCATION '${source.tablespace}'`);
    await client.query('CREATE TABLE outside (a int) TABLESPACE outside; INSERT INTO outside SELECT generate_series(1, 1000)');
    await client.query(`CREATE SUBSCRIPTION calls CONNECTION 'host=127.0.0.1 port=${canaries.subscription.port} connect_timeout=2' PUBLICATION p WITH (connect = false, slot_name = calls)`);
    await client.query('ALTER SUBSCRIPTION calls ENABLE');
    await client.query('CREATE DATABASE plain');
  });
  // Here a setting of the database outranks what the server was started with; in "plain" there is none.
  await source.server.withClient('plain', (client) => client.query(triggers));
  await source.server.withClient('postgres', async (client) => {
    await client.query(triggers);
    await client.query(`ALTER DATABASE postgres SET event_triggers = on; ALTER ROLE postgres SET session_preload_libraries = 'auto_explain'`);
    await client.query(`ALTER SYSTEM SET primary_conninfo = 'host=127.0.0.1 port=${canaries.primary.port}'`);
  });
  point = await backUp(source, 'b1');
  // A segment without a record would never be closed.
  await source.server.withClient('plain', (client) => client.query('CREATE TABLE after_the_backup (a int)'));
  await archiveNow(source);
});

const destroy = () => destroyDrill({ name: DRILL_NAME, run: 'run-1', fence: '1', drillsDirectory: source.drillsDirectory, productionPaths: productionPaths(source) });
afterEach(destroy);
afterAll(async () => {
  await source.server.stop();
  for (const canary of Object.values(canaries)) await canary.close();
});

/** A copy of which only the named settings are not the drill's own. */
async function copyWithout(changed: Record<string, string>, isolation = OPEN): Promise<Drill> {
  const { drill } = await drillOf(source, point);
  const open = { ...drill, isolation, hiddenPaths: [] };
  await startWithout(open, changed);
  return open;
}

/** As a client that knows nothing of isolation would come; root or not, the drill's access rules let the worker's user in. */
async function plainly(drill: Drill, database: string, work: (client: Client) => Promise<unknown>): Promise<void> {
  const { options: _, ...config } = drillClientConfig(drill, { database });
  const client = new Client(config);
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

const heard = (name: keyof typeof canaries) => canaries[name].contacts();
/** What a restored production does by itself once somebody works in it. */
async function live(drill: Drill): Promise<void> {
  await withDrillClient(drill, 'postgres', (client) => client.query('CREATE TABLE made (a int); INSERT INTO outside SELECT generate_series(1, 2000)'));
  await withDrillClient(drill, 'postgres', (client) => client.query('SELECT pg_switch_wal()'));
  await withDrillClient(drill, 'postgres', (client) => client.query('CHECKPOINT'));
  await sleep(2000);
}

it('with all its settings and no namespace, the copy touches nothing', async () => {
  const before = { heard: Object.values(canaries).map((canary) => canary.contacts()), archive: hashTree(source.layout.wal), backups: hashTree(source.layout.backups), tablespace: hashTree(source.tablespace) };
  await live(await copyWithout({}));
  expect({ heard: Object.values(canaries).map((canary) => canary.contacts()), archive: hashTree(source.layout.wal), backups: hashTree(source.layout.backups), tablespace: hashTree(source.tablespace) }).toEqual(before);
});

describe('without one layer, its canary sings', () => {
  it('subscriptions: max_logical_replication_workers', async () => {
    const before = heard('subscription');
    await copyWithout({ max_logical_replication_workers: '4' });
    for (let tries = 0; tries < 100 && heard('subscription') === before; tries += 1) await sleep(100);
    expect(heard('subscription')).toBeGreaterThan(before);
  });

  it('the archive: archive_mode', async () => {
    const before = Object.keys(hashTree(source.layout.wal));
    const drill = await copyWithout({ archive_mode: 'on', archive_command: `cp %p ${source.layout.wal}/%f` });
    await live(drill);
    const added = Object.keys(hashTree(source.layout.wal)).filter((path) => !before.includes(path));
    for (const path of added) rmSync(path);
    expect(added).toContain(join(source.layout.wal, '00000002.history'));
  });

  it('event and login triggers: the setting of the server where nothing outranks it, that of the connection everywhere', async () => {
    const count = () => ({ trigger: heard('trigger'), login: heard('login') });
    let before = count();
    const closed = await copyWithout({});
    await plainly(closed, 'plain', (client) => client.query('CREATE TABLE by_server (a int)'));
    expect(count(), "the server's setting alone").toEqual(before);
    await withDrillClient(closed, 'postgres', (client) => client.query('CREATE TABLE by_connection (a int)'));
    expect(count(), "the connection's setting, against the database's").toEqual(before);
    await plainly(closed, 'postgres', (client) => client.query('CREATE TABLE by_nobody (a int)'));
    expect(count(), 'without the connection\'s').toEqual({ trigger: before.trigger + 1, login: before.login + 1 });
    await destroy();

    before = count();
    const open = await copyWithout({ event_triggers: 'on' });
    await withDrillClient(open, 'plain', (client) => client.query('CREATE TABLE by_connection (a int)'));
    expect(count(), "the connection's setting alone").toEqual(before);
    await plainly(open, 'plain', (client) => client.query('CREATE TABLE by_nobody (a int)'));
    expect(count(), "without the server's").toEqual({ trigger: before.trigger + 1, login: before.login + 1 });
  });

  it('preloaded libraries: those of the server, and those that a role brings along', async () => {
    const loaded = `SELECT count(*) > 0 AS loaded FROM pg_settings WHERE name LIKE 'auto_explain.%'`;
    const closed = await copyWithout({});
    await withDrillClient(closed, 'plain', async (client) => expect((await client.query(loaded)).rows).toEqual([{ loaded: false }]));
    await plainly(closed, 'plain', async (client) => expect((await client.query(loaded)).rows, 'brought by the role').toEqual([{ loaded: true }]));
    await destroy();
    const open = await copyWithout({ shared_preload_libraries: 'auto_explain' });
    await withDrillClient(open, 'plain', async (client) => expect((await client.query(loaded)).rows, 'of the server').toEqual([{ loaded: true }]));
  });

  it('replication from production: primary_conninfo, and nothing of the restored configuration is read', async () => {
    const before = heard('primary');
    const { drill } = await drillOf(source, point);
    writeFileSync(join(drillPaths(drill.directory).data, 'standby.signal'), '');
    const open = { ...drill, isolation: OPEN, hiddenPaths: [] };
    // A standby never ends its recovery: it is looked at while it recovers.
    const starting = startWithout(open, { primary_conninfo: `host=127.0.0.1 port=${canaries.primary.port} connect_timeout=2`, restore_command: '' }).catch(() => undefined);
    for (let tries = 0; tries < 100 && heard('primary') === before; tries += 1) await sleep(100);
    expect(heard('primary')).toBeGreaterThan(before);
    await destroy();
    await starting;
    const closed = await copyWithout({});
    await withDrillClient(closed, 'plain', async (client) => expect((await client.query('SHOW primary_conninfo')).rows).toEqual([{ primary_conninfo: '' }]));
  });

  it('dblink and foreign servers: the network namespace, and the hidden sockets', async () => {
    const dial = (drill: Drill, host: string, port: number) => withDrillClient(drill, 'plain', (client) =>
      client.query(`SELECT dblink_connect($1)`, [`host=${host} port=${port} user=postgres dbname=template1 connect_timeout=2`]).then(() => 'reached', () => 'refused'));
    const { port, socketDirectory } = source.server;
    const { drill } = await drillOf(source, point);
    await startWithout(drill, {});
    expect(await dial(drill, '127.0.0.1', port), 'network').toBe('refused');
    expect(await dial(drill, socketDirectory, port), 'socket').toBe('refused');
    await destroy();
    const openMounts = await copyWithout({}, { network: 'isolated', mounts: 'notIsolated', reason: 'switched off by the test' });
    expect(await dial(openMounts, '127.0.0.1', port), 'the network namespace alone').toBe('refused');
    // A socket in the file system passes every network namespace: only hiding it helps.
    expect(await dial(openMounts, socketDirectory, port), 'without hidden sockets').toBe('reached');
    await destroy();
    const openAll = await copyWithout({});
    expect(await dial(openAll, '127.0.0.1', port), 'without the network namespace').toBe('reached');
  });

  it("production's files and processes: the user", async ({ skip }) => {
    if (process.getuid?.() !== 0) return skip('only root runs the copy as somebody else');
    const mine = statSync(source.server.dataDirectory).uid;
    const { runAs } = await findPostgres({ notAs: [mine] });
    expect(runAs?.uid).not.toBe(mine);
    const exported = join(source.layout.incoming, 'daily.csv');
    const tries = async (owner: Drill['owner'], isolation: Drill['isolation']) => {
      writeFileSync(exported, 'of production', { mode: 0o600 });
      chownSync(exported, mine, mine);
      const { drill } = await drillOf(source, point, { owner, isolation });
      // Where it is hidden, the way is through a process that sees it.
      await startWithout({ ...drill, hiddenPaths: [source.server.dataDirectory] }, {});
      const does = (sql: string) => withDrillClient(drill, 'plain', (client) => client.query(sql).then(() => true, () => false));
      const proc = `/proc/${source.server.pid}`;
      const done = {
        overwrites: await does(`COPY (SELECT 1) TO '${exported}'`),
        signals: await does(`COPY (SELECT 1) TO PROGRAM 'cat >/dev/null; kill -0 ${source.server.pid}'`),
        entersByProc: await does(`SELECT pg_read_file('${proc}/root${source.server.dataDirectory}/PG_VERSION')`),
      };
      await destroy();
      return done;
    };
    const full = { network: 'isolated', mounts: 'isolated', reason: null } as const;
    for (const isolation of [full, OPEN]) {
      expect(await tries(runAs ?? null, isolation)).toEqual({ overwrites: false, signals: false, entersByProc: false });
      expect(readFileSync(exported, 'utf8')).toBe('of production');
      // As production's own user, the namespaces that there are do not help.
      expect(await tries({ uid: mine, gid: statSync(source.server.dataDirectory).gid }, isolation)).toEqual({ overwrites: true, signals: true, entersByProc: true });
    }
  });

  // Last: it spoils the source's tablespace.
  it('tablespaces: the links that are made anew', async () => {
    const before = hashTree(source.tablespace);
    const { drill } = await drillOf(source, point);
    const [tablespace] = point.tablespaces;
    const link = join(drillPaths(drill.directory).data, 'pg_tblspc', tablespace?.oid ?? '');
    rmSync(link);
    symlinkSync(tablespace?.location ?? '', link);
    const open = { ...drill, isolation: OPEN, hiddenPaths: [] };
    await startWithout(open, {});
    await live(open);
    expect(hashTree(source.tablespace)).not.toEqual(before);
  });
});
