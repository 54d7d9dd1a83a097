import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CreateDBSnapshotCommand, RestoreDBInstanceFromDBSnapshotCommand } from '@aws-sdk/client-rds';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ask, untilInstance, untilSnapshot, withMaster } from '../support/aws-lab-rds.ts';
import { startRdsEnvironment, type RdsEnvironment } from '../support/rds-environment.ts';

/** Snapshots that lack the very database that is configured: a finding about the backup, and no mistake in the configuration nor trouble of the network. */
let environment: RdsEnvironment;
beforeAll(async () => {
  environment = await startRdsEnvironment({ shop: { heartbeat: { table: 'beats', column: 'at', every: '1m' }, probe: { command: ['false'] } } });
  await withMaster(environment.source, (client) => client.query(`
    CREATE TABLE orders (id int PRIMARY KEY, total numeric NOT NULL); INSERT INTO orders SELECT g, g * 1.5 FROM generate_series(1, 1000) g; CREATE TABLE beats (at timestamptz); INSERT INTO beats VALUES (now())`));
  const { failure } = await environment.run('manifest');
  if (failure !== undefined) throw new Error(failure);
});
afterAll(() => environment.stop());

async function withoutFiles(): Promise<string> {
  // So that nothing of it is to be replayed, which would make its directory anew.
  await withMaster(environment.source, (client) => client.query('CHECKPOINT'));
  const snapshot = await environment.lab.control.automatedSnapshot('shop-prod');
  const { dataDirectory } = await environment.lab.control.snapshotFiles(snapshot);
  await rm(join(dataDirectory, 'base', String(await ask(environment.source, `SELECT oid FROM pg_database WHERE datname = 'shop'`))), { recursive: true });
  return snapshot;
}

async function withoutRow(): Promise<string> {
  const snapshot = await environment.lab.control.automatedSnapshot('shop-prod');
  const { rds } = environment;
  await rds.send(new RestoreDBInstanceFromDBSnapshotCommand({ DBInstanceIdentifier: 'tampered', DBSnapshotIdentifier: snapshot, DBParameterGroupName: 'shop' }));
  await withMaster(await untilInstance(rds, 'tampered'), (client) => client.query('DROP DATABASE shop'), { database: 'postgres' });
  await rds.send(new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'tampered', DBSnapshotIdentifier: 'tampered-kept' }));
  await untilSnapshot(rds, 'tampered-kept');
  await environment.lab.control.passOff('tampered-kept', 'shop-prod');
  return 'tampered-kept';
}

it.each([['its files', withoutFiles], ['all of it', withoutRow]])('a copy that lacks %s is unsound, and named for that; all else is measured, and what cannot be without it says so', async (_what, take) => {
  const { evidence } = await environment.run('dr-test', { recoveryPoint: { id: await take() } });
  expect(evidence).toMatchObject({ outcome: 'failed', failure: { type: 'RESTORE_UNSOUND' }, verdict: { restore: 'unsound' }, teardown: { outcome: 'done', provenAbsent: true } });
  // Where the row is gone, the comparison of what all databases share finds that, too.
  expect([...new Set(evidence.checks.filter(({ outcome }) => outcome === 'failed').map(({ name, detail }) => `${name}: ${detail}`))]).toEqual([
    'database shop: missing in the restored database', 'there are orders: could not be run (3D000, no such database)', 'application probe: false ended with 1',
    'heartbeat beats: could not be read in the restored copy: PostgreSQL refused to read its column "at" (3D000, no such database)',
  ]);
  expect(evidence.checks).toEqual(expect.arrayContaining([
    { name: 'collation versions', outcome: 'passed', detail: expect.stringMatching(/; not looked at, since nobody can connect to them by now: shop$/) as string }, expect.objectContaining({ name: 'prepared transactions', outcome: 'passed' }),
  ]));
  expect(evidence.recovery).toMatchObject({ rpaSeconds: expect.any(Number) as number, lostTransactions: expect.any(Number) as number, rpaMethod: expect.stringContaining('the times of commits that the source and the copy keep') as string });
});
