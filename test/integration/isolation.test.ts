import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { destroyDrill, proveAbsent } from '../../activities/drill/destroy.ts';
import type { PreparedDrill } from '../../activities/drill/prepare.ts';
import { recoverToEnd } from '../../activities/drill/recover.ts';
import { findServer } from '../../activities/drill/server.ts';
import { type ArchivedSource, archiveNow, backUp, drillOf, productionPaths, startArchivedSource, DRILL_NAME } from '../support/archived-source.ts';
import { withDrillClient } from '../support/user-clients.ts';

let source: ArchivedSource;
let prepared: PreparedDrill;
let before: Awaited<ReturnType<typeof lookAtProduction>>;

beforeAll(async () => {
  source = await startArchivedSource({ autovacuum: 'off', max_replication_slots: 10 });
  const { server } = source;
  const tcp = `host=127.0.0.1 port=${server.port} user=postgres dbname=subscriber`;
  await server.withClient('postgres', async (client) => {
    await client.query(`CREATE TABLESPACE outside LOCATION '${source.tablespace}'`);
    await client.query('CREATE TABLE outside (a int) TABLESPACE outside; INSERT INTO outside SELECT generate_series(1, 1000)');
    await client.query('CREATE EXTENSION dblink; CREATE TABLE published (a int); CREATE PUBLICATION everything FOR TABLE published');
    await client.query('CREATE DATABASE subscriber');
    await client.query(`SELECT pg_create_logical_replication_slot('production_slot', 'pgoutput')`);
  });
  await server.withClient('subscriber', async (client) => {
    await client.query('CREATE TABLE published (a int); CREATE TABLE contact (who text, at timestamptz DEFAULT now())');
    await client.query(`CREATE SUBSCRIPTION keeps CONNECTION 'host=127.0.0.1 port=${server.port} user=postgres dbname=postgres' PUBLICATION everything WITH (create_slot = false, slot_name = production_slot)`);
  });
  await server.withClient('postgres', async (client) => {
    await client.query(`CREATE FUNCTION call_home() RETURNS event_trigger LANGUAGE plpgsql AS $$
      BEGIN PERFORM public.dblink_exec('${tcp}', 'INSERT INTO public.contact (who) VALUES (''login'')'); END $$`);
    await client.query('CREATE EVENT TRIGGER call_home ON ddl_command_end EXECUTE FUNCTION call_home(); ALTER EVENT TRIGGER call_home ENABLE ALWAYS');
    await client.query('CREATE EVENT TRIGGER call_home_login ON login EXECUTE FUNCTION call_home(); ALTER EVENT TRIGGER call_home_login ENABLE ALWAYS');
    await client.query(`ALTER ROLE postgres SET session_preload_libraries = 'auto_explain'; ALTER DATABASE postgres SET event_triggers = on`);
    await client.query(`ALTER SYSTEM SET archive_command = 'touch ${source.layout.wal}/contact-%f'`);
  });
  await sleep(500);
  const point = await backUp(source, 'b1');
  await archiveNow(source);
  await server.withClient('postgres', (client) => client.query('CHECKPOINT'));
  before = await lookAtProduction();
  prepared = await drillOf(source, point);
  await recoverToEnd({ drill: prepared.drill, target: null, expectedEndLsn: prepared.wal.endLsn, timeline: 1 });
});

afterAll(async () => {
  await destroyDrill({ name: DRILL_NAME, run: 'run-1', fence: '1', drillsDirectory: source.drillsDirectory, productionPaths: productionPaths(source) });
  const { findings } = await proveAbsent({ name: DRILL_NAME, drillsDirectory: source.drillsDirectory });
  if (findings.length > 0) throw new Error(`left behind: ${findings.join(', ')}`);
  await source.server.stop();
});

/** Everything of production that a careless copy would change. */
async function lookAtProduction() {
  // In "template1": a login to "postgres" fires the canary itself.
  return source.server.withClient('template1', async (client) => ({
    archive: hashTree(source.layout.wal),
    backups: hashTree(source.layout.backups),
    tablespace: hashTree(source.tablespace),
    slots: (await client.query('SELECT slot_name, active, active_pid, confirmed_flush_lsn FROM pg_replication_slots')).rows,
    settings: (await client.query(`SELECT name, setting FROM pg_settings WHERE name !~ 'transaction|^application' ORDER BY 1`)).rows,
    clients: (await client.query(`SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = '' AND datname = 'postgres' AND backend_type = 'client backend'`)).rows,
  }));
}

async function contacts(): Promise<number> {
  return source.server.withClient('subscriber', async (client) => ((await client.query('SELECT count(*)::int AS n FROM contact')).rows[0] as { n: number }).n);
}

test('the canaries sing at the source', async () => {
  const first = await contacts();
  await source.server.withClient('postgres', async (client) => {
    expect((await client.query(`SELECT count(*)::int AS n FROM pg_settings WHERE name LIKE 'auto_explain.%'`)).rows).not.toEqual([{ n: 0 }]);
  });
  expect(await contacts()).toBe(first + 1);
  expect(before.slots).toMatchObject([{ slot_name: 'production_slot', active: true }]);
});

test('neither login nor event triggers, nor preloaded libraries, come to life in the copy', async () => {
  const first = await contacts();
  await withDrillClient(prepared.drill, 'postgres', async (client) => {
    expect((await client.query(`SELECT count(*)::int AS n FROM pg_settings WHERE name LIKE 'auto_explain.%'`)).rows).toEqual([{ n: 0 }]);
    expect((await client.query('SHOW event_triggers')).rows).toEqual([{ event_triggers: 'off' }]);
    await client.query('CREATE TABLE made_in_the_drill (a int)');
  });
  expect(await contacts()).toBe(first);
});

test('the copy reaches the source neither by network nor by its socket', async () => {
  expect(prepared.drill.isolation).toEqual({ network: 'isolated', mounts: 'isolated', reason: null });
  const { port, socketDirectory } = source.server;
  await withDrillClient(prepared.drill, 'postgres', async (client) => {
    for (const host of ['127.0.0.1', socketDirectory]) {
      await expect(client.query(`SELECT dblink_connect('x', $1)`, [`host=${host} port=${port} user=postgres dbname=template1`])).rejects.toThrow(/could not establish connection/);
    }
  });
});

test('the copy cannot even see the files of the source', async () => {
  await withDrillClient(prepared.drill, 'postgres', async (client) => {
    for (const path of [source.server.dataDirectory, source.tablespace, source.layout.wal]) {
      expect((await client.query('SELECT count(*)::int AS n FROM pg_ls_dir($1, true, false) AS f', [path])).rows).toEqual([{ n: 0 }]);
    }
  });
});

test('no subscription of the copy takes over the slot of production', async () => {
  await withDrillClient(prepared.drill, 'subscriber', async (client) => {
    await sleep(1500);
    expect((await client.query(`SELECT count(*)::int AS n FROM pg_stat_subscription WHERE pid IS NOT NULL`)).rows).toEqual([{ n: 0 }]);
  });
  expect((await lookAtProduction()).slots).toMatchObject([{ active_pid: (before.slots[0] as { active_pid: number }).active_pid }]);
});

test('only the user of the worker may connect, and every file of the copy is private', async () => {
  await withDrillClient(prepared.drill, 'postgres', async (client) => {
    expect((await client.query('SELECT type, auth_method FROM pg_hba_file_rules')).rows).toEqual([{ type: 'local', auth_method: 'peer' }]);
    const { rows } = await client.query(`SELECT name, setting FROM pg_settings WHERE name IN ('archive_mode','listen_addresses','fsync','full_page_writes','primary_conninfo','max_logical_replication_workers')`);
    expect(Object.fromEntries(rows.map((row) => [row.name, row.setting]))).toEqual({
      archive_mode: 'off', listen_addresses: '', fsync: 'on', full_page_writes: 'on', primary_conninfo: '', max_logical_replication_workers: '0',
    });
  });
  for (const path of ['s', 'data', 'wal', 'tablespaces']) expect(statSync(join(prepared.drill.directory, path)).mode & 0o777).toBe(0o700);
  // The server of a worker that is root walks through it and changes nothing in it.
  expect(statSync(prepared.drill.directory)).toMatchObject({ uid: process.getuid?.() });
  expect(statSync(prepared.drill.directory).mode & 0o777).toBe(process.getuid?.() === 0 ? 0o750 : 0o700);
});

test('the server lives in a session of its own, so the death of the worker leaves it to the guardian', async () => {
  const server = await findServer(prepared.drill);
  const fields = readFileSync(`/proc/${server?.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  expect(Number(fields[3])).toBe(server?.pid);
});

test('after writes and a checkpoint of the copy, archive, backups, tablespace, slots and settings of production are as before', async () => {
  await withDrillClient(prepared.drill, 'postgres', async (client) => {
    await client.query('UPDATE outside SET a = a + 1; INSERT INTO outside SELECT generate_series(1, 5000)');
    await client.query('SELECT pg_switch_wal()');
    await client.query('CHECKPOINT');
  });
  const after = await lookAtProduction();
  expect({ ...after, slots: [], settings: after.settings }).toEqual({ ...before, slots: [], settings: before.settings });
});

function hashTree(root: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) found[path] = createHash('sha256').update(readFileSync(path)).digest('hex');
  }
  return found;
}
