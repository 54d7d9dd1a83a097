import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { CreateDBSnapshotCommand, RestoreDBInstanceFromDBSnapshotCommand } from '@aws-sdk/client-rds';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { Findings } from '../../scripts/cli/doctor-finding.ts';
import { examineRdsSource } from '../../scripts/cli/doctor-rds-source.ts';
import { loadConfiguration } from '../../workers/config.ts';
import { archiveUntilNow, MASTER, untilInstance, untilSnapshot, withMaster } from '../support/aws-lab-rds.ts';
import { reachLab } from '../support/reach-lab.ts';
import { startRdsEnvironment, type RdsEnvironment } from '../support/rds-environment.ts';

/** Manifests are taken by a user of their own, and copies read by the master user, as RDS has it: what was not compared is not claimed. */
let environment: RdsEnvironment;
beforeAll(async () => {
  environment = await startRdsEnvironment({
    configure: ({ root, region, subnetGroup, securityGroup, source }) => ({
      version: 1, evidence: { directory: join(root, 'evidence') }, drills: { directory: join(root, 'drills') },
      databases: {
        shop: {
          connection: { host: source.Endpoint!.Address, port: source.Endpoint!.Port, database: 'shop', user: 'app', passwordFile: join(root, 'password') },
          provider: { kind: 'rds', instance: 'shop-prod', access: { region }, repository: join(root, 'manifests'), lookEvery: '200ms', drill: { subnetGroup, securityGroups: [securityGroup], passwordKeyFile: join(root, 'key') } },
          manifest: { dutyCycle: 1 }, checks: [{ name: 'tenants', sql: 'SELECT count(*) FROM tenants', expect: '1000' }], heartbeat: { table: 'app_beats', column: 'at', every: '1m' },
        },
      },
    }),
  });
  await withMaster(environment.source, (client) => client.query(`
    CREATE ROLE app LOGIN REPLICATION CREATEDB PASSWORD '${MASTER.password}'; GRANT rds_replication, pg_read_all_data TO app; GRANT CREATE ON SCHEMA public TO app; GRANT ALL ON DATABASE shop TO app;
    CREATE TABLE orders (id int PRIMARY KEY, total numeric NOT NULL, note text) WITH (autovacuum_enabled = off); INSERT INTO orders SELECT g, g * 1.5, 'order ' || g FROM generate_series(1, 20000) g;
    CREATE TABLE beats (at timestamptz); INSERT INTO beats VALUES (now())`));
  await withMaster(environment.source, (client) => client.query(`
    CREATE TABLE tenants (id int PRIMARY KEY, name text); INSERT INTO tenants SELECT g, 'tenant ' || g FROM generate_series(1, 1000) g; ALTER TABLE tenants ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON tenants USING (name = current_user);
    CREATE TABLE app_beats (at timestamptz); INSERT INTO app_beats VALUES (now()); ALTER TABLE app_beats ENABLE ROW LEVEL SECURITY`), { user: 'app' });
  // The first of the manifest, of which only its owner knows anything.
  await withMaster(environment.source, async (client) => {
    for (const sql of ['CREATE DATABASE app_only', 'REVOKE CONNECT ON DATABASE app_only FROM PUBLIC']) await client.query(sql);
  }, { user: 'app' });
  const { failure } = await environment.run('manifest');
  if (failure !== undefined) throw new Error(failure);
  await archived();
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await environment.stop();
});

/** RDS restores to a second: what was committed by now is in the last one that there is, and no later one comes, which a run that has begun would not take. */
async function archived(): Promise<void> {
  await environment.lab.control.archive({ paused: false });
  await archiveUntilNow(environment, 'shop-prod');
  await environment.lab.control.archive({ paused: true });
}

async function doctor() {
  reachLab(environment.lab);
  const { configuration } = await loadConfiguration(environment.configurationFile);
  const findings = new Findings('shop');
  await examineRdsSource(configuration.databases['shop']!, findings);
  return findings.all.filter(({ name }) => name === 'master user');
}

it('is not proven, and not unsound, where the master user may not read what the manifest was taken of; doctor says so, and what to grant', async () => {
  expect(await doctor()).toEqual([expect.objectContaining({ outcome: 'warning', detail: 'master, as whom copies are read, may not connect to app_only, so that drills end as not proven', todo: 'GRANT CONNECT ON DATABASE "app_only" TO "master"' }), expect.objectContaining({ outcome: 'warning', detail: 'master, as whom copies are read, may not read all of shop that app may, so that drills end as not proven: public.app_beats, public.tenants', todo: expect.stringContaining('GRANT "app" TO "master"') as string })]);
  const { evidence } = await environment.run('dr-test');
  expect(evidence.checks.filter(({ outcome }) => outcome === 'failed')).toEqual([]);
  expect([evidence.verdict.restore, evidence.failure?.type]).toEqual(['notProven', 'RESTORE_NOT_PROVEN']);
  expect(evidence.notVerified).toEqual(expect.arrayContaining([expect.stringMatching(/^shop, 1000 of 1000 rows of public\.tenants: .*grant that user/)]));
  expect(evidence.notVerified).toEqual(expect.arrayContaining([expect.stringMatching(/^app_only, contents and definitions: .*grant that user.* GRANT CONNECT ON DATABASE "app_only" TO "master"/)]));
  expect(evidence.checks).toEqual(expect.arrayContaining([{ name: 'table public.tenants', outcome: 'skipped', detail: 'none of its 1000 rows was compared' }]));
  expect(evidence.checks.filter(({ name }) => ['tenants', 'heartbeat app_beats'].includes(name)).map(({ outcome, detail }) => `${outcome}: ${detail}`)).toEqual([expect.stringMatching(/^skipped: could not be run \(42501, .*grant it/), expect.stringMatching(/^skipped: .*grant it/)]);
  await withMaster(environment.source, (client) => client.query('GRANT app TO master'));
  expect(await doctor()).toEqual([expect.objectContaining({ outcome: 'ok' })]);
});

it('is sound once that was granted, though nothing has the rows of a table any more of which each was changed since; and says that', async () => {
  const stop = new AbortController();
  const beating = withMaster(environment.source, async (client) => { while (!stop.signal.aborted) { await client.query('UPDATE beats SET at = now()'); await sleep(50); } });
  const { evidence } = await archived().then(() => environment.run('dr-test')).finally(() => stop.abort());
  await beating;
  expect(evidence.verdict.restore).toBe('sound');
  expect(evidence.checks.find(({ name }) => name === 'tenants')).toMatchObject({ outcome: 'passed' });
  expect(evidence.notVerified).toEqual(expect.arrayContaining([expect.stringMatching(/^shop, all 1 rows of public\.beats: the source has changed or deleted each of them since/)]));
  expect(evidence.checks).toEqual(expect.arrayContaining([{ name: 'table public.beats', outcome: 'skipped', detail: 'none of its 1 rows was compared' }]));
});

it('is not proven by a damaged snapshot of which nothing can be compared: the source has rewritten or altered the table since, or does not answer', async () => {
  const { rds, lab, source } = environment;
  // Each page is written to since the manifest.
  await withMaster(source, (client) => client.query(`UPDATE orders SET note = 'changed' WHERE id % 20 = 0`));
  const snapshot = await lab.control.automatedSnapshot('shop-prod');
  await rds.send(new RestoreDBInstanceFromDBSnapshotCommand({ DBInstanceIdentifier: 'tampered', DBSnapshotIdentifier: snapshot, DBParameterGroupName: 'shop' }));
  await withMaster(await untilInstance(rds, 'tampered'), (client) => client.query('UPDATE orders SET total = -1 WHERE id % 5 = 1'));
  await rds.send(new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'tampered', DBSnapshotIdentifier: 'tampered-kept' }));
  await untilSnapshot(rds, 'tampered-kept');
  await lab.control.passOff('tampered-kept', 'shop-prod');
  const drill = async () => {
    const { evidence } = await environment.run('dr-test', { recoveryPoint: { id: 'tampered-kept' } });
    return { verdict: evidence.verdict.restore, orders: evidence.checks.find(({ name }) => name === 'table public.orders')?.outcome, why: evidence.notVerified.find((one) => one.includes('rows of public.orders')) };
  };
  expect(await drill()).toMatchObject({ verdict: 'unsound', orders: 'failed' });
  await withMaster(source, (client) => client.query('VACUUM FULL orders'));
  expect(await drill()).toEqual({ verdict: 'notProven', orders: 'skipped', why: expect.stringMatching(/^shop, 20000 of 20000 rows of public\.orders: the source has rewritten or altered the table since/) as string });
  const server = (await lab.control.servers()).find(({ instance }) => instance === 'shop-prod')!;
  process.kill(server.pid, 'SIGINT');
  await sleep(2_000);
  expect(await drill()).toEqual({ verdict: 'notProven', orders: 'skipped', why: expect.stringMatching(/^shop, 20000 of 20000 rows of public\.orders: .*there is no source of them/) as string });
});
