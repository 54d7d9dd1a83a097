import { type DBInstance, DeleteDBInstanceCommand, DescribeDBInstanceAutomatedBackupsCommand, DescribeDBInstancesCommand, DescribeDBSnapshotsCommand, ModifyDBInstanceCommand, RestoreDBInstanceToPointInTimeCommand, type RDSClient } from '@aws-sdk/client-rds';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startAwsLab, type AwsLab } from '../support/aws-lab.ts';
import { ask, createSource, rdsClient, refusal, untilGone, untilInstance, untilModified, withMaster } from '../support/aws-lab-rds.ts';

let lab: AwsLab;
let rds: RDSClient;
let source: DBInstance;
/** Whole seconds, between which a row each was committed. */
const moments: Date[] = [];

beforeAll(async () => {
  lab = await startAwsLab();
  rds = rdsClient(lab);
  source = await createSource(rds, 'source');
  await withMaster(source, async (client) => {
    await client.query('CREATE TABLE row_a_second (n int)');
    for (const n of [1, 2]) {
      await nextSecond();
      moments.push(new Date());
      await sleep(300);
      await client.query('INSERT INTO row_a_second VALUES ($1)', [n]);
    }
  });
  await nextSecond();
  await untilRestorable(new Date());
});

afterAll(() => lab?.stop());

async function nextSecond(): Promise<void> {
  await sleep(1000 - (Date.now() % 1000) + 5);
}

async function latest(): Promise<Date | undefined> {
  return (await rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: 'source' }))).DBInstances?.[0]?.LatestRestorableTime;
}

async function untilRestorable(moment: Date): Promise<void> {
  const wanted = Math.floor(moment.getTime() / 1000) * 1000;
  while (((await latest())?.getTime() ?? 0) < wanted) await lab.control.archiveNow('source');
}

function restore(to: string, over: { RestoreTime?: Date; UseLatestRestorableTime?: boolean }) {
  return rds.send(new RestoreDBInstanceToPointInTimeCommand({ SourceDBInstanceIdentifier: 'source', TargetDBInstanceIdentifier: to, BackupRetentionPeriod: 0, ...over }));
}

describe('recovery to a point in time in the AWS lab', () => {
  it('has what was committed before that second, and nothing that came later', async () => {
    await Promise.all([restore('second', { RestoreTime: moments[1]! }), restore('newest', { UseLatestRestorableTime: true })]);
    const passed: string[] = [];
    // Long enough to be seen on a busy machine.
    await lab.control.durations({ modify: 1000 });
    const [second, newest] = await Promise.all([untilInstance(rds, 'second', 'available', passed), untilInstance(rds, 'newest')]);
    expect(passed).toEqual(['creating', 'modifying', 'available']);
    await lab.control.durations({ modify: 100 });
    expect(await ask(second, 'SELECT array_agg(n) FROM row_a_second')).toEqual([1]);
    expect(await ask(newest, 'SELECT array_agg(n) FROM row_a_second')).toEqual([1, 2]);
    await withMaster(second, (client) => client.query('INSERT INTO row_a_second VALUES (9)'));
  });

  it('starts from an automated snapshot that was taken later', async () => {
    const taken = await lab.control.automatedSnapshot('source');
    const { DBSnapshots } = await rds.send(new DescribeDBSnapshotsCommand({ SnapshotType: 'automated', DBInstanceIdentifier: 'source' }));
    expect(DBSnapshots).toHaveLength(2);
    expect(DBSnapshots?.[1]).toMatchObject({ DBSnapshotIdentifier: taken, Status: 'available', SnapshotType: 'automated' });
    await withMaster(source, (client) => client.query('INSERT INTO row_a_second VALUES (3)'));
    await nextSecond();
    await nextSecond();
    await untilRestorable(new Date());
    await restore('later', { UseLatestRestorableTime: true });
    expect(await ask(await untilInstance(rds, 'later'), 'SELECT count(*)::int FROM row_a_second')).toBe(3);
  });

  it('can reach what is archived and no more: the latest restorable time is not now', async () => {
    await lab.control.archive({ paused: true });
    // One that was under way has ended, too, when this has.
    await lab.control.archiveNow('source');
    const stopped = await latest();
    await sleep(1100);
    expect(await latest()).toEqual(stopped);
    await lab.control.archive({ paused: false, lagMs: 600_000 });
    expect(await latest()).toBeUndefined();
    expect(await refusal(restore('none', { UseLatestRestorableTime: true }))).toBe('InvalidRestoreFault');
    await lab.control.archive({ lagMs: 0 });
    expect((await latest())!.getTime()).toBeGreaterThanOrEqual(stopped!.getTime());
  });

  it('is refused for times outside the window, for both or no time, and where nothing is backed up', async () => {
    const { DBInstanceAutomatedBackups: [backups] = [] } = await rds.send(new DescribeDBInstanceAutomatedBackupsCommand({ DBInstanceIdentifier: 'source' }));
    const earliest = backups!.RestoreWindow!.EarliestTime!;
    expect(await refusal(restore('none', { RestoreTime: new Date(earliest.getTime() - 1000) }))).toBe('InvalidParameterValue');
    expect(await refusal(restore('none', { RestoreTime: new Date(Date.now() + 60_000) }))).toBe('InvalidParameterValue');
    expect(await refusal(restore('none', {}))).toBe('InvalidParameterCombination');
    expect(await refusal(restore('none', { RestoreTime: earliest, UseLatestRestorableTime: true }))).toBe('InvalidParameterCombination');
    const unprotected = rds.send(new RestoreDBInstanceToPointInTimeCommand({ SourceDBInstanceIdentifier: 'newest', TargetDBInstanceIdentifier: 'none', UseLatestRestorableTime: true }));
    expect(await refusal(unprotected)).toBe('PointInTimeRestoreNotEnabled');
  });

  it('works from the automated backups that a deleted instance left, which go when the retention is set to 0', async () => {
    await rds.send(new DeleteDBInstanceCommand({ DBInstanceIdentifier: 'source', SkipFinalSnapshot: true, DeleteAutomatedBackups: false }));
    await untilGone(rds, 'source');
    const { DBInstanceAutomatedBackups: [kept] = [] } = await rds.send(new DescribeDBInstanceAutomatedBackupsCommand({ DBInstanceIdentifier: 'source' }));
    expect(kept?.Status).toBe('retained');
    await rds.send(new RestoreDBInstanceToPointInTimeCommand({ SourceDbiResourceId: kept!.DbiResourceId!, TargetDBInstanceIdentifier: 'again', UseLatestRestorableTime: true }));
    expect(await ask(await untilInstance(rds, 'again'), 'SELECT count(*)::int FROM row_a_second')).toBe(3);
    await rds.send(new ModifyDBInstanceCommand({ DBInstanceIdentifier: 'again', BackupRetentionPeriod: 0 }));
    await untilModified(rds, 'again');
    expect((await rds.send(new DescribeDBSnapshotsCommand({ DBInstanceIdentifier: 'again' }))).DBSnapshots).toEqual([]);
    await rds.send(new DeleteDBInstanceCommand({ DBInstanceIdentifier: 'again', FinalDBSnapshotIdentifier: 'last' }));
    await untilGone(rds, 'again');
    const { DBSnapshots } = await rds.send(new DescribeDBSnapshotsCommand({ DBInstanceIdentifier: 'again' }));
    expect(DBSnapshots).toMatchObject([{ DBSnapshotIdentifier: 'last', Status: 'available', SnapshotType: 'manual' }]);
  });
});
