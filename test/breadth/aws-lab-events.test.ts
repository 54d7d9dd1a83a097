import { CopyDBSnapshotCommand, CreateDBInstanceCommand, CreateDBSnapshotCommand, CreateEventSubscriptionCommand, type DBInstance, DeleteDBInstanceCommand, DescribeDBSnapshotsCommand, ModifyDBInstanceCommand, ModifyDBSnapshotAttributeCommand, RebootDBInstanceCommand, RestoreDBInstanceFromDBSnapshotCommand, RDSClient } from '@aws-sdk/client-rds';
import { CreateTopicCommand, SNSClient, SubscribeCommand } from '@aws-sdk/client-sns';
import { CreateQueueCommand, DeleteMessageCommand, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { AssumeRoleCommand, GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AwsLab } from '../support/aws-lab.ts';
import { callByJson } from '../support/aws-lab-call.ts';
import { ask, MASTER, rdsClient, refusal, startLabWithSource, untilGone, untilInstance, untilModified, untilSnapshot } from '../support/aws-lab-rds.ts';

const OTHER_ACCOUNT = '210987654321';
const OTHER_REGION = 'eu-west-1';

let lab: AwsLab;
let rds: RDSClient;
let source: DBInstance;

beforeAll(async () => {
  ({ lab, rds, source } = await startLabWithSource());
  await rds.send(new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'source', DBSnapshotIdentifier: 'shared', Tags: [{ Key: 'kept', Value: 'yes' }] }));
  await untilSnapshot(rds, 'shared');
});

afterAll(() => lab?.stop());

const connection = () => ({ endpoint: lab.endpoint, region: lab.region, credentials: lab.credentials, maxAttempts: 1 });

async function clientOfOtherAccount(): Promise<RDSClient> {
  const { Credentials: assumed } = await new STSClient(connection()).send(new AssumeRoleCommand({ RoleArn: `arn:aws:iam::${OTHER_ACCOUNT}:role/drills`, RoleSessionName: 'test' }));
  const credentials = { accessKeyId: assumed!.AccessKeyId!, secretAccessKey: assumed!.SecretAccessKey!, sessionToken: assumed!.SessionToken! };
  expect((await new STSClient({ ...connection(), credentials }).send(new GetCallerIdentityCommand({}))).Account).toBe(OTHER_ACCOUNT);
  return new RDSClient({ ...connection(), credentials });
}

describe('event subscriptions of the AWS lab', () => {
  it('bring what RDS says to a queue that is polled long, in the form that RDS sends', async () => {
    const sns = new SNSClient(connection());
    const sqs = new SQSClient(connection());
    const { TopicArn } = await sns.send(new CreateTopicCommand({ Name: 'events' }));
    const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: 'events' }));
    await sns.send(new SubscribeCommand({ TopicArn, Protocol: 'sqs', Endpoint: `arn:aws:sqs:${lab.region}:${lab.account}:events` }));
    const subscribe = (over: object) => rds.send(new CreateEventSubscriptionCommand({ SubscriptionName: 'restores', SnsTopicArn: TopicArn!, SourceType: 'db-instance', EventCategories: ['availability'], ...over }));
    expect(await refusal(subscribe({ SnsTopicArn: `${TopicArn}-none` }))).toBe('SNSTopicArnNotFound');
    await subscribe({});

    const waiting = sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 20 })).then(({ Messages }) => ({ Messages, at: Date.now() }));
    await sleep(300);
    await rds.send(new RebootDBInstanceCommand({ DBInstanceIdentifier: 'source' }));
    const { Messages: [message] = [], at } = await waiting;
    const envelope = JSON.parse(message!.Body!) as { Type: string; Subject: string; Message: string; MessageAttributes: Record<string, { Value: string }> };
    const told = JSON.parse(envelope.Message) as Record<string, string>;
    expect(envelope).toMatchObject({ Type: 'Notification', Subject: 'RDS Notification Message', MessageAttributes: { EventID: { Value: 'RDS-EVENT-0004' }, Resource: { Value: source.DBInstanceArn! } } });
    expect(told).toMatchObject({ 'Event Source': 'db-instance', 'Source ID': 'source', 'Source ARN': source.DBInstanceArn, 'Event Message': 'DB instance shutdown' });
    expect(told['Event ID']).toMatch(/#RDS-EVENT-0004$/);
    expect(Math.abs(at - Date.parse(`${told['Event Time']!.replace(' ', 'T')}Z`))).toBeLessThan(5000);
    await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: message!.ReceiptHandle }));
    await untilInstance(rds, 'source');
    // Of snapshots, and of what is changed, nothing was asked for.
    await rds.send(new ModifyDBInstanceCommand({ DBInstanceIdentifier: 'source', MasterUserPassword: MASTER.password }));
    await untilModified(rds, 'source');
    expect((await lab.control.events()).map(({ message }) => message)).toContain('Reset master credentials');
    await rds.send(new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'source', DBSnapshotIdentifier: 'untold' }));
    await untilSnapshot(rds, 'untold');
    const bodies = (await sqs.send(new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10 }))).Messages?.map(({ Body }) => Body).join();
    expect(bodies).toContain('DB instance restarted');
    expect(bodies).not.toMatch(/snapshot|credentials/);
  });
});

describe('snapshots of the AWS lab', () => {
  it('can be copied to another region and restored there, with their own tags', async () => {
    const elsewhere = rdsClient(lab, OTHER_REGION);
    const { DBSnapshots: [original] = [] } = await rds.send(new DescribeDBSnapshotsCommand({ DBSnapshotIdentifier: 'shared' }));
    await elsewhere.send(new CopyDBSnapshotCommand({ SourceDBSnapshotIdentifier: original!.DBSnapshotArn!, TargetDBSnapshotIdentifier: 'copied', CopyTags: true }));
    const copied = await untilSnapshot(elsewhere, 'copied');
    expect(copied).toMatchObject({ SourceRegion: lab.region, SourceDBSnapshotIdentifier: original!.DBSnapshotArn, TagList: [{ Key: 'kept', Value: 'yes' }], OriginalSnapshotCreateTime: original!.SnapshotCreateTime });
    expect((await lab.control.calls()).find(({ action }) => action === 'CopyDBSnapshot')?.parameters).toContain('PreSignedUrl');
    expect(copied.SnapshotCreateTime!.getTime()).toBeGreaterThan(original!.SnapshotCreateTime!.getTime());
    await elsewhere.send(new RestoreDBInstanceFromDBSnapshotCommand({ DBInstanceIdentifier: 'source', DBSnapshotIdentifier: 'copied' }));
    expect(await ask(await untilInstance(elsewhere, 'source'), 'SELECT 1')).toBe(1);
    expect(await lab.control.servers()).toHaveLength(2);
  });

  it('are seen by another account once they are shared with it, and restored there by ARN', async () => {
    const stranger = await clientOfOtherAccount();
    const arn = `arn:aws:rds:${lab.region}:${lab.account}:snapshot:shared`;
    const restore = () => stranger.send(new RestoreDBInstanceFromDBSnapshotCommand({ DBInstanceIdentifier: 'theirs', DBSnapshotIdentifier: arn }));
    expect(await refusal(restore())).toBe('DBSnapshotNotFound');
    await rds.send(new ModifyDBSnapshotAttributeCommand({ DBSnapshotIdentifier: 'shared', AttributeName: 'restore', ValuesToAdd: [OTHER_ACCOUNT] }));
    const { DBSnapshots } = await stranger.send(new DescribeDBSnapshotsCommand({ SnapshotType: 'shared' }));
    expect(DBSnapshots).toMatchObject([{ DBSnapshotIdentifier: arn, TagList: [] }]);
    await restore();
    expect((await untilInstance(stranger, 'theirs')).DBInstanceArn).toContain(`:${OTHER_ACCOUNT}:`);
    expect((await lab.control.calls()).filter(({ account }) => account === OTHER_ACCOUNT).map(({ action }) => action)).toContain('RestoreDBInstanceFromDBSnapshot');
  });

  it('are restored only where their key lets the account in and is enabled', async () => {
    const { KeyMetadata: key } = await callByJson<{ KeyMetadata: { KeyId: string; Arn: string } }>(lab, 'kms', 'TrentService.CreateKey');
    expect(await refusal(rds.send(new CopyDBSnapshotCommand({ SourceDBSnapshotIdentifier: 'shared', TargetDBSnapshotIdentifier: 'locked', KmsKeyId: 'none' })))).toBe('KMSKeyNotAccessibleFault');
    await rds.send(new CopyDBSnapshotCommand({ SourceDBSnapshotIdentifier: 'shared', TargetDBSnapshotIdentifier: 'locked', KmsKeyId: key.KeyId }));
    expect(await untilSnapshot(rds, 'locked')).toMatchObject({ Encrypted: true, KmsKeyId: key.Arn });
    await rds.send(new ModifyDBSnapshotAttributeCommand({ DBSnapshotIdentifier: 'locked', AttributeName: 'restore', ValuesToAdd: [OTHER_ACCOUNT] }));
    const restore = (client: RDSClient, to: string) => client.send(new RestoreDBInstanceFromDBSnapshotCommand({ DBInstanceIdentifier: to, DBSnapshotIdentifier: `arn:aws:rds:${lab.region}:${lab.account}:snapshot:locked` }));
    const stranger = await clientOfOtherAccount();
    expect(await refusal(restore(stranger, 'opened'))).toBe('KMSKeyNotAccessibleFault');
    await callByJson(lab, 'kms', 'TrentService.CreateGrant', { KeyId: key.KeyId, GranteePrincipal: `arn:aws:iam::${OTHER_ACCOUNT}:root`, Operations: ['Decrypt', 'CreateGrant'] });
    expect((await restore(stranger, 'opened')).DBInstance).toMatchObject({ StorageEncrypted: true, KmsKeyId: key.Arn });
    await callByJson(lab, 'kms', 'TrentService.DisableKey', { KeyId: key.KeyId });
    expect(await refusal(restore(rds, 'closed'))).toBe('KMSKeyNotAccessibleFault');
    const made = await rds.send(new CreateDBInstanceCommand({ DBInstanceIdentifier: 'by-default', Engine: 'postgres', DBInstanceClass: 'db.t4g.micro', MasterUsername: 'm', MasterUserPassword: 'fit-for-tests', StorageEncrypted: true }));
    expect(made.DBInstance?.KmsKeyId).toMatch(/^arn:aws:kms:/);
    // Deleted while it is being made.
    await rds.send(new DeleteDBInstanceCommand({ DBInstanceIdentifier: 'by-default', SkipFinalSnapshot: true }));
    await untilGone(rds, 'by-default');
  });

  it('are listed in pages', async () => {
    const names = Array.from({ length: 22 }, (_, n) => `many-${n}`);
    await Promise.all(names.map((name) => rds.send(new CopyDBSnapshotCommand({ SourceDBSnapshotIdentifier: 'shared', TargetDBSnapshotIdentifier: name }))));
    const first = await rds.send(new DescribeDBSnapshotsCommand({ MaxRecords: 20 }));
    const second = await rds.send(new DescribeDBSnapshotsCommand({ MaxRecords: 20, Marker: first.Marker }));
    expect(first.DBSnapshots).toHaveLength(20);
    expect([...first.DBSnapshots!, ...second.DBSnapshots!].map(({ DBSnapshotIdentifier }) => DBSnapshotIdentifier)).toEqual(expect.arrayContaining(names));
    expect(second.Marker).toBeUndefined();
  });

  it('can be back-dated by a test', async () => {
    const longAgo = new Date('2026-01-02T03:04:05.678Z');
    await lab.control.backDate('shared', longAgo);
    expect((await untilSnapshot(rds, 'shared')).SnapshotCreateTime).toEqual(longAgo);
  });
});
