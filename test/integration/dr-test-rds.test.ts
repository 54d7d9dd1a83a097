import { DescribeDBInstancesCommand, DescribeDBParameterGroupsCommand, DescribeDBSnapshotsCommand } from '@aws-sdk/client-rds';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DrillPlan } from '../../contracts/dr-test.ts';
import { archiveUntilNow, withMaster } from '../support/aws-lab-rds.ts';
import { startRdsEnvironment, type RdsEnvironment } from '../support/rds-environment.ts';

/** The same dr-test, on RDS: real PostgreSQL behind the wire format of AWS. */
let environment: RdsEnvironment;
beforeAll(async () => {
  environment = await startRdsEnvironment();
  await withMaster(environment.source, (client) => client.query(`
    CREATE TABLE orders (id int PRIMARY KEY, total numeric NOT NULL, note text); INSERT INTO orders SELECT g, g * 1.5, 'order ' || g FROM generate_series(1, 20000) g;
    CREATE TABLE lines (id int PRIMARY KEY, item text); INSERT INTO lines SELECT g, 'item ' || g FROM generate_series(1, 20000) g; CREATE INDEX ON lines (item)`));
  const { failure } = await environment.run('manifest');
  if (failure !== undefined) throw new Error(failure);
  // Written since: neither the manifest nor a snapshot knows all of it.
  await withMaster(environment.source, (client) => client.query(`UPDATE orders SET note = 'changed' WHERE id % 100 = 0; INSERT INTO orders SELECT g, g, 'new' FROM generate_series(20001, 20500) g`));
  await archived();
});
afterAll(() => environment.stop());

/** RDS restores to a second: what was committed by now is in the last one that there is. */
const archived = () => archiveUntilNow(environment, 'shop-prod');

const onSource = (sql: string) => withMaster(environment.source, (client) => client.query(sql));

/** What of drills is left in the account. */
async function leftovers(): Promise<string[]> {
  const { rds } = environment;
  const [{ DBInstances = [] }, { DBParameterGroups = [] }, { DBSnapshots = [] }] = await Promise.all([rds.send(new DescribeDBInstancesCommand({})), rds.send(new DescribeDBParameterGroupsCommand({})), rds.send(new DescribeDBSnapshotsCommand({}))]);
  return [...DBInstances.map(({ DBInstanceIdentifier }) => DBInstanceIdentifier), ...DBParameterGroups.map(({ DBParameterGroupName }) => DBParameterGroupName), ...DBSnapshots.map(({ DBInstanceIdentifier }) => DBInstanceIdentifier)].filter((name): name is string => name?.startsWith('runbooks-') === true);
}

describe('dr-test on RDS', () => {
  it('draws what it restores, says from what, and what it costs: beforehand and afterwards', async () => {
    const { evidence } = await environment.run('dr-test', { recoveryPoint: 'random' });
    const { plan, costs, recovery } = evidence as typeof evidence & { plan: DrillPlan };
    expect(plan.drawn).toMatch(/^the (second|snapshot) .*, drawn from \d+ seconds from \S+ to \S+ and \d+ snapshots? from /);
    expect(plan.costs).toMatchObject({ prices: { currency: 'EUR' }, gib: 20, estimate: { amount: expect.any(Number) as number, method: expect.stringContaining('0.36 EUR an hour and 20 GiB at 0.1 EUR') as string } });
    expect(recovery?.recoveryPoint.id).toBe(plan.recoveryPoint.id);
    const copying = evidence.steps.find(({ name }) => name === 'copy')!;
    expect(costs).toMatchObject({ currency: 'EUR', gib: 20, seconds: (Date.parse(evidence.teardown.proofs.find(({ found }) => found.length === 0)!.at) - Date.parse(copying.startedAt)) / 1_000, amount: 0.0605, method: expect.stringContaining('until it was proven to be gone') as string });
    expect(await leftovers()).toEqual([]);
  });

  it('restores the last second that there is, compares each row with the manifest or with the source, and leaves nothing', async () => {
    await onSource(`UPDATE lines SET item = 'later' WHERE id <= 10`);
    const { evidence, failure } = await environment.run('dr-test');
    expect(failure).toBeUndefined();
    expect(evidence).toMatchObject({ outcome: 'succeeded', verdict: { restore: 'sound' }, teardown: { outcome: 'done', provenAbsent: true } });
    const contents = evidence.checks.find(({ name }) => name === 'contents of shop');
    expect(contents?.detail).toMatch(/^\d+ of \d+ rows are exactly as they were: \d+ in ranges that nobody touched since the manifest of .*, \d+ as the source still has them; \d+ the source has changed since;/);
    expect(evidence.steps.map(({ name }) => name)).toEqual(expect.arrayContaining(['copy', 'replay to the end', 'compare shop', 'own checks']));
    expect(evidence.teardown.destroyed.join()).toMatch(/RDS instance runbooks-d-[0-9a-f]{8}-\d+,parameter group runbooks-d-/);
    expect(evidence.recovery).toMatchObject({ rpaSeconds: expect.any(Number) as number, lostTransactions: expect.any(Number) as number, rpaMethod: expect.stringContaining('times of commits') as string });
    expect(await leftovers()).toEqual([]);
  });

  it('restores a snapshot by its id, and an instant', async () => {
    const snapshot = await environment.lab.control.automatedSnapshot('shop-prod');
    const bySnapshot = await environment.run('dr-test', { recoveryPoint: { id: snapshot } });
    expect([bySnapshot.failure, bySnapshot.evidence.verdict.restore, bySnapshot.evidence.recovery?.recoveryPoint.id]).toEqual([undefined, 'sound', snapshot]);
    await archived();
    const time = new Date(Date.now() - 1_500).toISOString();
    const byTime = await environment.run('dr-test', { recoveryPoint: { time } });
    expect([byTime.failure, byTime.evidence.verdict.restore]).toEqual([undefined, 'sound']);
    expect(await leftovers()).toEqual([]);
  });

  it('fails a restore that RDS cannot finish, with what its events say, and leaves nothing', async () => {
    await environment.lab.control.failNextRestore({ status: 'incompatible-network', reason: 'there are no free addresses in the subnets' });
    const { evidence, failure } = await environment.run('dr-test');
    expect(failure).toMatch(/RDS could not restore: the copy is incompatible-network \(.*no free addresses/);
    // The network of the copy says nothing of the backup.
    expect(evidence).toMatchObject({ outcome: 'failed', failure: { type: 'PREFLIGHT' }, verdict: { restore: null }, teardown: { provenAbsent: true } });
    expect(await leftovers()).toEqual([]);
  });

  it('says what is not there: a snapshot, an instant', async () => {
    expect((await environment.run('dr-test', { recoveryPoint: { id: 'no-such-snapshot' } })).failure).toContain('there is no snapshot "no-such-snapshot"');
    expect((await environment.run('dr-test', { recoveryPoint: { time: '2020-01-01T00:00:00Z' } })).failure).toContain('There is no recovery point from before 2020');
  });
});
