import { CopyDBSnapshotCommand, CreateDBSnapshotCommand, DescribeDBInstancesCommand, DescribeDBParameterGroupsCommand, type RDSClient } from '@aws-sdk/client-rds';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { OTHER_REGION } from '../support/aws-lab-elsewhere.ts';
import { rdsClient, untilSnapshot, withMaster } from '../support/aws-lab-rds.ts';
import { startRdsEnvironment, type RdsEnvironment } from '../support/rds-environment.ts';

/** A whole dr-test of a snapshot that was copied to another region, compared with the source that lives in its own. */
let environment: RdsEnvironment;
let there: RDSClient;
beforeAll(async () => {
  environment = await startRdsEnvironment({ drillRegion: OTHER_REGION });
  there = rdsClient(environment.lab, OTHER_REGION);
  await withMaster(environment.source, (client) => client.query(`CREATE TABLE orders (id int PRIMARY KEY, total numeric NOT NULL, note text); INSERT INTO orders SELECT g, g * 1.5, 'order ' || g FROM generate_series(1, 20000) g`));
  const { failure } = await environment.run('manifest');
  if (failure !== undefined) throw new Error(failure);
  await withMaster(environment.source, (client) => client.query(`UPDATE orders SET note = 'changed' WHERE id % 100 = 0`));
  await environment.rds.send(new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'shop-prod', DBSnapshotIdentifier: 'weekly' }));
  const taken = await untilSnapshot(environment.rds, 'weekly');
  await there.send(new CopyDBSnapshotCommand({ SourceDBSnapshotIdentifier: taken.DBSnapshotArn, TargetDBSnapshotIdentifier: 'weekly-copy' }));
  await untilSnapshot(there, 'weekly-copy');
  await withMaster(environment.source, (client) => client.query(`UPDATE orders SET note = 'later' WHERE id <= 50`));
});
afterAll(() => environment.stop());

it('is restored, compared and removed there; nothing is made where the source is', async () => {
  const { evidence, failure } = await environment.run('dr-test');
  expect(failure).toBeUndefined();
  expect(evidence).toMatchObject({ outcome: 'succeeded', verdict: { restore: 'sound' }, teardown: { outcome: 'done', provenAbsent: true }, recovery: { recoveryPoint: { id: 'weekly-copy' } } });
  // What the source's own maintenance commits counts with it.
  expect(evidence.recovery?.lostTransactions).toBeGreaterThanOrEqual(1);
  expect(evidence.checks.find(({ name }) => name === 'contents of shop')?.detail).toMatch(/^\d+ of \d+ rows are exactly as they were/);
  expect((evidence.plan as { creates: { directory: string } }).creates.directory).toMatch(/ in eu-west-1$/);
  const calls = (await environment.lab.control.calls()).filter(({ action }) => /^(Restore|CopyDBParameterGroup|Delete)/.test(action));
  expect(new Set(calls.map(({ action, region }) => `${action} in ${region}`))).toEqual(new Set(['RestoreDBInstanceFromDBSnapshot', 'DeleteDBInstance', 'DeleteDBParameterGroup'].map((action) => `${action} in ${OTHER_REGION}`)));
  expect((await there.send(new DescribeDBInstancesCommand({}))).DBInstances).toEqual([]);
  expect((await there.send(new DescribeDBParameterGroupsCommand({}))).DBParameterGroups?.filter(({ DBParameterGroupName }) => DBParameterGroupName?.startsWith('runbooks-'))).toEqual([]);
});

it('says that an instant cannot be restored there, and makes nothing', async () => {
  const { failure } = await environment.run('dr-test', { recoveryPoint: { time: new Date().toISOString() } });
  expect(failure).toContain('RDS restores a point in time only where the source is');
});
