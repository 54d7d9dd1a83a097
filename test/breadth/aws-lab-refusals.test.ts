import {
  AddTagsToResourceCommand, CreateDBInstanceCommand, CreateDBParameterGroupCommand, CreateDBSnapshotCommand, CreateDBSubnetGroupCommand, CreateOptionGroupCommand, DeleteDBInstanceCommand, DeleteDBParameterGroupCommand,
  DeleteDBSnapshotCommand, DeleteDBSubnetGroupCommand, DeleteOptionGroupCommand, type DBInstance, DescribeDBSnapshotsCommand, DescribeEventsCommand, DescribeOptionGroupsCommand, ListTagsForResourceCommand, ModifyDBInstanceCommand,
  ModifyDBParameterGroupCommand, RestoreDBInstanceFromDBSnapshotCommand, type RestoreDBInstanceFromDBSnapshotCommandInput, type RDSClient,
} from '@aws-sdk/client-rds';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startAwsLab, type AwsLab } from '../support/aws-lab.ts';
import { callByQuery } from '../support/aws-lab-call.ts';
import { ask, createSource, MASTER, rdsClient, refusal, untilGone, untilInstance } from '../support/aws-lab-rds.ts';

let lab: AwsLab;
let rds: RDSClient;
let source: DBInstance;
let snapshot: string;

beforeAll(async () => {
  lab = await startAwsLab();
  rds = rdsClient(lab);
  await rds.send(new CreateDBParameterGroupCommand({ DBParameterGroupName: 'stamps', DBParameterGroupFamily: 'postgres18', Description: 'for tests' }));
  await rds.send(new ModifyDBParameterGroupCommand({ DBParameterGroupName: 'stamps', Parameters: [{ ParameterName: 'track_commit_timestamp', ParameterValue: '1', ApplyMethod: 'pending-reboot' }] }));
  source = await createSource(rds, 'source', {
    DBParameterGroupName: 'stamps', DeletionProtection: true, BackupRetentionPeriod: 7, Tags: [{ Key: 'owner', Value: 'shop' }], CopyTagsToSnapshot: false,
  });
  snapshot = (await rds.send(new DescribeDBSnapshotsCommand({ DBInstanceIdentifier: 'source' }))).DBSnapshots![0]!.DBSnapshotIdentifier!;
});

afterAll(() => lab?.stop());

function restore(over: Partial<RestoreDBInstanceFromDBSnapshotCommandInput>) {
  return rds.send(new RestoreDBInstanceFromDBSnapshotCommand({ DBInstanceIdentifier: 'copy', DBSnapshotIdentifier: snapshot, ...over }));
}

describe('the AWS lab refuses as RDS does', () => {
  it('more than 20 parameters in one request', async () => {
    const set = (count: number) => rds.send(new ModifyDBParameterGroupCommand({ DBParameterGroupName: 'stamps', Parameters: Array.from({ length: count }, () => ({ ParameterName: 'track_commit_timestamp', ParameterValue: '1', ApplyMethod: 'pending-reboot' as const })) }));
    await set(20);
    expect(await refusal(set(21))).toBe('InvalidParameterValue');
    const load = (ParameterValue: string) => rds.send(new ModifyDBParameterGroupCommand({ DBParameterGroupName: 'stamps', Parameters: [{ ParameterName: 'shared_preload_libraries', ParameterValue, ApplyMethod: 'pending-reboot' }] }));
    expect(await refusal(load('pg_stat_statements,timescaledb'))).toBe('InvalidParameterValue');
  });

  it('a restore that names what does not exist, or whose name is taken', async () => {
    expect(await refusal(restore({ DBParameterGroupName: 'none' }))).toBe('DBParameterGroupNotFound');
    expect(await refusal(restore({ OptionGroupName: 'none' }))).toBe('OptionGroupNotFoundFault');
    expect(await refusal(restore({ DBSubnetGroupName: 'none' }))).toBe('DBSubnetGroupNotFoundFault');
    expect(await refusal(restore({ VpcSecurityGroupIds: ['sg-00000000000000000'] }))).toBe('InvalidParameterValue');
    expect(await refusal(restore({ DBSnapshotIdentifier: 'none' }))).toBe('DBSnapshotNotFound');
    expect(await refusal(restore({ DBInstanceIdentifier: 'source' }))).toBe('DBInstanceAlreadyExists');
    expect(await refusal(restore({ AllocatedStorage: 10 }))).toBe('InvalidParameterValue');
    expect(await refusal(restore({ StorageType: 'gp3', Iops: 3000 }))).toBe('InvalidParameterCombination');
    expect(await refusal(restore({ StorageType: 'io1' }))).toBe('InvalidParameterCombination');
    expect(await refusal(restore({ StorageType: 'io1', Iops: 1000 }))).toBe('InvalidParameterCombination');
  });

  it('a second instance of the same name, and a password that RDS would not take', async () => {
    const input = { DBInstanceIdentifier: 'source', Engine: 'postgres', DBInstanceClass: 'db.t4g.micro', AllocatedStorage: 20, MasterUsername: 'master', MasterUserPassword: MASTER.password };
    expect(await refusal(rds.send(new CreateDBInstanceCommand(input)))).toBe('DBInstanceAlreadyExists');
    expect(await refusal(rds.send(new CreateDBInstanceCommand({ ...input, DBInstanceIdentifier: 'other', MasterUserPassword: 'with space' })))).toBe('InvalidParameterValue');
  });

  it('to delete what is protected, without a word about a final snapshot, and groups in use', async () => {
    const remove = (over: object) => rds.send(new DeleteDBInstanceCommand({ DBInstanceIdentifier: 'source', ...over }));
    expect(await refusal(remove({ SkipFinalSnapshot: true }))).toBe('InvalidParameterCombination');
    expect(await refusal(rds.send(new DeleteDBParameterGroupCommand({ DBParameterGroupName: 'stamps' })))).toBe('InvalidDBParameterGroupState');
    expect(await refusal(rds.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: snapshot })))).toBe('InvalidDBSnapshotState');
    await rds.send(new ModifyDBInstanceCommand({ DBInstanceIdentifier: 'source', DeletionProtection: false }));
    expect(await refusal(remove({}))).toBe('InvalidParameterCombination');
    await rds.send(new ModifyDBInstanceCommand({ DBInstanceIdentifier: 'source', DeletionProtection: true }));
  });

  it('to restore from a snapshot that is not there yet, or to take two at once', async () => {
    await lab.control.durations({ snapshot: 2000, backUp: 2000 });
    await rds.send(new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'source', DBSnapshotIdentifier: 'new' }));
    expect(await refusal(restore({ DBSnapshotIdentifier: 'new' }))).toBe('InvalidDBSnapshotState');
    expect(await refusal(rds.send(new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'source', DBSnapshotIdentifier: 'two' })))).toBe('InvalidDBInstanceState');
    await lab.control.durations({ snapshot: 100, backUp: 100 });
    await untilInstance(rds, 'source');
  });
});

describe('a restored instance of the AWS lab', () => {
  it('inherits class, size of storage, master user and retention, and no type of storage, tags, groups and protection', async () => {
    expect(await ask(source, `SELECT current_setting('track_commit_timestamp')`)).toBe('on');
    await restore({ DBInstanceIdentifier: 'plain' });
    const copy = await untilInstance(rds, 'plain');
    expect(copy).toMatchObject({
      DBInstanceClass: 'db.t4g.micro', AllocatedStorage: 20, MasterUsername: MASTER.name, BackupRetentionPeriod: 7, TagList: [], DeletionProtection: false, StorageType: 'gp3',
      DBParameterGroups: [{ DBParameterGroupName: 'default.postgres18' }],
    });
    expect(copy.DbiResourceId).not.toBe(source.DbiResourceId);
    expect(await ask(copy, `SELECT current_setting('track_commit_timestamp')`)).toBe('off');
    await rds.send(new DeleteDBInstanceCommand({ DBInstanceIdentifier: 'plain', SkipFinalSnapshot: true }));
    await untilGone(rds, 'plain');
  });

  it('has the tags and groups that were given, which can then not be deleted, and tells its tags by ARN', async () => {
    const subnets = [...(await callByQuery(lab, 'ec2', '2016-11-15', 'DescribeSubnets')).matchAll(/<subnetId>([^<]+)/g)].map(([, id]) => id!);
    await rds.send(new CreateDBSubnetGroupCommand({ DBSubnetGroupName: 'quiet', DBSubnetGroupDescription: 'for tests', SubnetIds: subnets }));
    await rds.send(new CreateOptionGroupCommand({ OptionGroupName: 'options', EngineName: 'postgres', MajorEngineVersion: source.EngineVersion!.split('.')[0]!, OptionGroupDescription: 'for tests' }));
    const { DBInstance } = await restore({ DBInstanceIdentifier: 'tagged', DBSubnetGroupName: 'quiet', OptionGroupName: 'options', Tags: [{ Key: 'run', Value: '1' }], BackupRetentionPeriod: 0 });
    expect(await refusal(rds.send(new DeleteDBSubnetGroupCommand({ DBSubnetGroupName: 'quiet' })))).toBe('InvalidDBSubnetGroupStateFault');
    expect(await refusal(rds.send(new DeleteOptionGroupCommand({ OptionGroupName: 'options' })))).toBe('InvalidOptionGroupStateFault');
    await rds.send(new AddTagsToResourceCommand({ ResourceName: DBInstance!.DBInstanceArn!, Tags: [{ Key: 'expiry', Value: 'soon' }] }));
    const tags = [{ Key: 'run', Value: '1' }, { Key: 'expiry', Value: 'soon' }];
    expect((await rds.send(new ListTagsForResourceCommand({ ResourceName: DBInstance!.DBInstanceArn! }))).TagList).toEqual(tags);
    expect((await untilInstance(rds, 'tagged')).TagList).toEqual(tags);
    await rds.send(new DeleteDBInstanceCommand({ DBInstanceIdentifier: 'tagged', SkipFinalSnapshot: true }));
    await untilGone(rds, 'tagged');
    await rds.send(new DeleteDBSubnetGroupCommand({ DBSubnetGroupName: 'quiet' }));
    expect((await rds.send(new DescribeOptionGroupsCommand({}))).OptionGroupsList).toMatchObject([{ OptionGroupName: 'options' }]);
    await rds.send(new DeleteOptionGroupCommand({ OptionGroupName: 'options' }));
    expect(await refusal(rds.send(new ListTagsForResourceCommand({ ResourceName: DBInstance!.DBInstanceArn! })))).toBe('DBInstanceNotFound');
  });

  it.each(['incompatible-network', 'incompatible-parameters', 'incompatible-restore', 'storage-full', 'failed'] as const)('ends in %s when that was asked for, with the reason in its events and no address', async (status) => {
    await lab.control.failNextRestore({ status, reason: `because of a test of ${status}` });
    const name = `ends-${status}`;
    await restore({ DBInstanceIdentifier: name });
    const ended = await untilInstance(rds, name, status);
    expect(ended.Endpoint).toBeUndefined();
    const { Events = [] } = await rds.send(new DescribeEventsCommand({ SourceType: 'db-instance', SourceIdentifier: name }));
    expect(Events.map(({ Message }) => Message).join()).toContain(`because of a test of ${status}`);
    await rds.send(new DeleteDBInstanceCommand({ DBInstanceIdentifier: name, SkipFinalSnapshot: true }));
    await untilGone(rds, name);
  });
});
