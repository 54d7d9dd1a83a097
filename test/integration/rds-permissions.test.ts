import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { AddTagsToResourceCommand, CopyDBParameterGroupCommand, CreateDBParameterGroupCommand, CreateDBSnapshotCommand, DeleteDBInstanceCommand, DeleteDBParameterGroupCommand, DescribeDBInstancesCommand, DescribeDBParameterGroupsCommand, ModifyDBInstanceCommand, ModifyDBParameterGroupCommand, type RDSClient, RestoreDBInstanceFromDBSnapshotCommand, RestoreDBInstanceToPointInTimeCommand } from '@aws-sdk/client-rds';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { databaseSchema } from '../../contracts/configuration.ts';
import type { RdsProvider } from '../../contracts/rds.ts';
import { Findings } from '../../scripts/cli/doctor-finding.ts';
import { examineRds } from '../../scripts/cli/doctor-rds.ts';
import { startAwsLab, type AwsLab } from '../support/aws-lab.ts';
import { archiveUntilNow, createSource, MASTER, rdsClient, untilInstance, untilSnapshot } from '../support/aws-lab-rds.ts';
import { createLabUser, publishedPolicy, without, type LabUser, type PolicyDocument } from '../support/aws-lab-user.ts';
import { prepareNetwork } from '../support/rds-environment.ts';
import { directoryWithKey } from '../support/directory-with-key.ts';
import { reachLab } from '../support/reach-lab.ts';

/** What `runbook doctor` says of permissions, asked by a user whose policies the lab enforces. */
let lab: AwsLab;
let rds: RDSClient;
let directory: string;
let provider: RdsProvider;
let user: LabUser;
const [drills, forDoctor] = await Promise.all([publishedPolicy('rds-drills'), publishedPolicy('rds-doctor')]);
const ACTIONS = drills.Statement.flatMap(({ Action }) => Action).toSorted();
/** May be done to what has a drill's tags, and there is none of these to try it on. */
const ON_DRILLS = drills.Statement.find(({ Sid }) => Sid === 'ChangeAndRemoveDrillsOnly')!.Action;

beforeAll(async () => {
  lab = await startAwsLab({ log: console.log });
  rds = rdsClient(lab);
  const { KeyMetadata: key } = await new KMSClient({ endpoint: lab.endpoint, region: lab.region, credentials: lab.credentials }).send(new CreateKeyCommand({}));
  user = await createLabUser(lab, 'runbooks');
  reachLab({ endpoint: lab.endpoint, credentials: user.credentials });
  directory = await directoryWithKey('rds-permissions-');
  const source = await createSource(rds, 'prod', { BackupRetentionPeriod: 7, StorageEncrypted: true, KmsKeyId: key?.Arn });
  await archiveUntilNow({ lab, rds }, 'prod');
  const { subnetGroup, securityGroup } = await prepareNetwork(lab, rds);
  ({ provider } = databaseSchema.parse({
    connection: { host: source.Endpoint!.Address, port: source.Endpoint!.Port, database: 'shop', user: MASTER.name },
    provider: { kind: 'rds', instance: 'prod', access: { region: lab.region }, repository: directory, drill: { subnetGroup, securityGroups: [securityGroup], passwordKeyFile: join(directory, 'key') } },
  }) as { provider: RdsProvider });
  await lab.control.enforcePolicies(true);
});
afterAll(async () => {
  await lab.stop();
  await rm(directory, { recursive: true });
});
beforeEach(() => lab.control.clearCalls());

/** What is said of permissions, by outcome: which, and why. */
async function said(...policies: PolicyDocument[]) {
  await user.permit(...policies);
  const findings = new Findings('shop');
  await examineRds({ database: 'shop', provider, network: 'required' }, findings);
  const of = (outcome: string) => findings.all.filter((one) => one.name === 'permissions' && one.outcome === outcome).map(({ detail }) => detail);
  return { ok: of('ok'), missing: of('problem'), doubtful: of('warning'), unknown: of('skipped'), all: findings.all };
}
const actionOf = (detail: string) => detail.split(' ')[0];

describe('the documented policy', () => {
  const asWorker = () => rdsClient({ ...lab, credentials: user.credentials });
  const refused = (call: Promise<unknown>) => call.then(() => 'done', ({ name }: Error) => name);

  it('lets nothing be changed or removed but drills, nothing be made without their tags, and nothing be decrypted by a role that may make no grant', async () => {
    await user.permit(drills);
    const worker = asWorker();
    expect(await refused(worker.send(new DeleteDBInstanceCommand({ DBInstanceIdentifier: 'prod', SkipFinalSnapshot: true })))).toBe('AccessDenied');
    expect(await refused(worker.send(new ModifyDBInstanceCommand({ DBInstanceIdentifier: 'prod', DeletionProtection: true })))).toBe('AccessDenied');
    const group = { DBParameterGroupName: 'runbooks-d-0', DBParameterGroupFamily: 'postgres18', Description: 'of nobody' };
    expect(await refused(worker.send(new CreateDBParameterGroupCommand(group)))).toBe('AccessDenied');
    const Tags = [{ Key: 'durable-runbooks:run', Value: 'of a test' }];
    expect(await refused(worker.send(new CreateDBParameterGroupCommand({ ...group, Tags })))).toBe('done');
    const restore = () => worker.send(new RestoreDBInstanceToPointInTimeCommand({ SourceDBInstanceIdentifier: 'prod', TargetDBInstanceIdentifier: 'runbooks-d-0', UseLatestRestorableTime: true, DBParameterGroupName: 'runbooks-d-none', Tags }));
    expect(await refused(restore())).toBe('DBParameterGroupNotFoundFault');
    await user.permit(without(drills, 'kms:CreateGrant'));
    expect(await refused(restore())).toBe('KMSKeyNotAccessibleFault');
    expect(await refused(worker.send(new DeleteDBParameterGroupCommand({ DBParameterGroupName: 'runbooks-d-0' })))).toBe('done');
  });

  it('lets nobody take a tag for a name: neither the source nor what is a stranger to us can be tagged, and where it has the tags all the same it cannot be changed or removed', async () => {
    await user.permit(drills);
    const worker = asWorker();
    const Tags = [{ Key: 'durable-runbooks:run', Value: '0123abcd' }, { Key: 'durable-runbooks:fence', Value: '1' }];
    const [source, group, kept] = ['db:prod', 'pg:of-a-stranger', 'snapshot:of-a-stranger'].map((name) => `arn:aws:rds:${lab.region}:${lab.account}:${name}`);
    const ofStranger = { DBParameterGroupName: 'of-a-stranger', DBParameterGroupFamily: 'postgres18', Description: 'of a stranger' };
    await rds.send(new CreateDBParameterGroupCommand(ofStranger));
    await rds.send(new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'prod', DBSnapshotIdentifier: 'of-a-stranger' }));
    await untilSnapshot(rds, 'of-a-stranger');
    await untilInstance(rds, 'prod');
    const takeOver = () => Promise.all([
      ...[source, group, kept].map((ResourceName) => worker.send(new AddTagsToResourceCommand({ ResourceName, Tags }))),
      worker.send(new ModifyDBInstanceCommand({ DBInstanceIdentifier: 'prod', MasterUserPassword: 'of-the-worker' })),
      worker.send(new DeleteDBInstanceCommand({ DBInstanceIdentifier: 'prod', SkipFinalSnapshot: true })),
      worker.send(new ModifyDBParameterGroupCommand({ DBParameterGroupName: 'of-a-stranger', Parameters: [{ ParameterName: 'fsync', ParameterValue: '0', ApplyMethod: 'pending-reboot' }] })),
      worker.send(new DeleteDBParameterGroupCommand({ DBParameterGroupName: 'of-a-stranger' })),
      // Under a name that is not of drills, with their tags.
      worker.send(new CreateDBParameterGroupCommand({ ...ofStranger, DBParameterGroupName: 'not-of-drills', Tags })),
      worker.send(new CopyDBParameterGroupCommand({ SourceDBParameterGroupIdentifier: 'of-a-stranger', TargetDBParameterGroupIdentifier: 'not-of-drills', TargetDBParameterGroupDescription: 'none', Tags })),
      worker.send(new RestoreDBInstanceFromDBSnapshotCommand({ DBSnapshotIdentifier: 'of-a-stranger', DBInstanceIdentifier: 'not-of-drills', Tags })),
      worker.send(new RestoreDBInstanceToPointInTimeCommand({ SourceDBInstanceIdentifier: 'prod', TargetDBInstanceIdentifier: 'not-of-drills', UseLatestRestorableTime: true, Tags })),
    ].map(refused));
    const all = Array.from({ length: 11 }, () => 'AccessDenied');
    expect(await takeOver()).toEqual(all);
    for (const ResourceName of [source, group, kept]) await rds.send(new AddTagsToResourceCommand({ ResourceName, Tags }));
    expect(await takeOver()).toEqual(all);
    expect((await rds.send(new DescribeDBInstancesCommand({}))).DBInstances?.map(({ DBInstanceIdentifier, DBInstanceStatus }) => [DBInstanceIdentifier, DBInstanceStatus])).toEqual([['prod', 'available']]);
  });
});

describe('runbook doctor, of permissions in AWS', () => {
  it('finds none missing where the role has the policies that are documented, and changes nothing', async () => {
    const { ok, all } = await said(drills, forDoctor);
    expect(ok).toEqual([`${ACTIONS.length} of ${ACTIONS.length} that a drill needs are there`]);
    expect(all.filter(({ outcome }) => outcome !== 'ok').map(({ name }) => name)).toEqual(['manifest']);
    const calls = await lab.control.calls();
    const changing = calls.filter(({ action }) => !/^(Describe|List|Get|Simulate)/.test(action) && !/^PutUserPolicy$/.test(action));
    expect(changing.map(({ action, status }) => `${action} ${status !== null && status >= 400 ? 'refused' : 'done'}`).toSorted()).toEqual(['AddTagsToResource', 'CopyDBParameterGroup', 'CreateDBParameterGroup', 'RestoreDBInstanceFromDBSnapshot', 'RestoreDBInstanceToPointInTime'].map((action) => `${action} refused`));
    expect((await rds.send(new DescribeDBInstancesCommand({}))).DBInstances).toHaveLength(1);
    expect((await rds.send(new DescribeDBParameterGroupsCommand({}))).DBParameterGroups?.filter(({ DBParameterGroupName }) => DBParameterGroupName?.startsWith('runbooks'))).toEqual([]);
    // All that it asks, and beside what drills may no more than its own policy has.
    const asked = new Set(calls.map(({ service, action }) => `${service}:${action}`));
    expect([...asked].filter((one) => !ACTIONS.includes(one) && !/^iam:PutUserPolicy|^sts:GetCallerIdentity$/.test(one))).toEqual(forDoctor.Statement.flatMap(({ Action }) => Action));
  });

  it.each(ACTIONS)('names %s where it alone is missing', async (action) => {
    const { missing, doubtful, unknown } = await said(without(drills, action), forDoctor);
    expect([...missing, ...doubtful].map(actionOf)).toEqual([action]);
    // What makes a drill tags it: AWS does not say whether it might without.
    const keys = ['kms:CreateGrant', 'kms:DescribeKey'];
    expect(unknown.map(actionOf)).toEqual(action === 'rds:DescribeDBInstances' ? keys : action === 'rds:AddTagsToResource' ? ['rds:CopyDBParameterGroup', 'rds:CreateDBParameterGroup', 'rds:RestoreDBInstanceFromDBSnapshot', 'rds:RestoreDBInstanceToPointInTime'] : []);
    // A key's own policy may permit it, which nobody looks at.
    expect(doubtful.map(actionOf)).toEqual(action === 'kms:CreateGrant' ? [action] : []);
  });

  it('says that it does not know what may be done to drills where IAM may not be asked, and what is missing beside that', async () => {
    const { missing, doubtful, unknown } = await said(without(without(drills, 'rds:DeleteDBInstance'), 'rds:CopyDBParameterGroup'));
    expect([missing.map(actionOf), doubtful]).toEqual([['rds:CopyDBParameterGroup'], []]);
    expect(unknown.map(actionOf)).toEqual(['kms:CreateGrant', ...ON_DRILLS]);
    expect(unknown.at(-1)).toMatch(/^rds:ModifyDBParameterGroup was not looked at: AWS refuses it for what has no tags of a drill, as it should; for what has some, IAM may not be asked/);
  });

  it('knows without IAM where a policy permits more than drills need', async () => {
    const { missing, unknown } = await said({ ...drills, Statement: drills.Statement.map(({ Sid, Effect, Action, Resource }) => ({ Sid, Effect, Action, Resource })) });
    expect([missing, unknown.map(actionOf)]).toEqual([[], ['kms:CreateGrant']]);
  });

  it('says what else is missing where nothing is permitted, and names each look', async () => {
    const { missing, unknown, all } = await said(forDoctor);
    expect(unknown.map(actionOf)).toEqual(['kms:CreateGrant', 'kms:DescribeKey']);
    expect(missing.map(actionOf)).toEqual(ACTIONS.filter((action) => !action.startsWith('kms:')));
    expect(all.find(({ name }) => name === 'source instance')).toMatchObject({ outcome: 'problem', detail: expect.stringContaining('not authorized to perform: rds:DescribeDBInstances') as string });
  });
});
