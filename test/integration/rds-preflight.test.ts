import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AuthorizeSecurityGroupEgressCommand, CreateSecurityGroupCommand, CreateVpcCommand, type EC2Client } from '@aws-sdk/client-ec2';
import { CreateKeyCommand, DisableKeyCommand, EnableKeyCommand, KMSClient, PutKeyPolicyCommand } from '@aws-sdk/client-kms';
import { CopyDBSnapshotCommand, DescribeDBInstancesCommand, type RDSClient } from '@aws-sdk/client-rds';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rdsProvider } from '../../activities/rds-provider/rds-provider.ts';
import { databaseSchema } from '../../contracts/configuration.ts';
import type { DrillPlan } from '../../contracts/dr-test.ts';
import type { RdsProvider } from '../../contracts/rds.ts';
import { startAwsLab, type AwsLab } from '../support/aws-lab.ts';
import { createSource, MASTER, rdsClient, untilSnapshot } from '../support/aws-lab-rds.ts';
import { prepareNetwork } from '../support/rds-environment.ts';
import { directoryWithKey } from '../support/directory-with-key.ts';
import { reachLab } from '../support/reach-lab.ts';

/** What is looked at before RDS is asked for a copy, and how far a copy is cut off. */
let lab: AwsLab;
let rds: RDSClient;
let ec2: EC2Client;
let kms: KMSClient;
let directory: string;
let snapshot: string;
let vpc: string;
let settings: ReturnType<typeof databaseSchema.parse> & { provider: RdsProvider };

beforeAll(async () => {
  lab = await startAwsLab({ log: console.log });
  reachLab(lab);
  rds = rdsClient(lab);
  kms = new KMSClient({ endpoint: lab.endpoint, region: lab.region, credentials: lab.credentials });
  directory = await directoryWithKey('rds-preflight-');
  await writeFile(join(directory, 'short'), 'short');
  const source = await createSource(rds, 'prod', { BackupRetentionPeriod: 1 });
  snapshot = await lab.control.automatedSnapshot('prod');
  const network = await prepareNetwork(lab, rds);
  ({ ec2, vpc } = network);
  settings = databaseSchema.parse({
    connection: { host: source.Endpoint!.Address, port: source.Endpoint!.Port, database: 'shop', user: MASTER.name },
    provider: { kind: 'rds', instance: 'prod', access: { region: lab.region }, repository: directory, lookEvery: '100ms', drill: { subnetGroup: network.subnetGroup, securityGroups: [network.securityGroup], passwordKeyFile: join(directory, 'key') } },
  }) as typeof settings;
});
afterAll(async () => {
  await lab.stop();
  await rm(directory, { recursive: true });
});

const tools = { signal: new AbortController().signal, onProgress: () => undefined };
const planOf = (id: string) => ({ creates: { leaseMs: 60_000 }, recoverTo: null, recoveryPoint: { id, takenAt: '2026-11-30T00:00:00.000Z', sizeBytes: 20 * 2 ** 30 } }) as DrillPlan;
function providerOf(drill: Partial<RdsProvider['drill']> = {}, over: Partial<RdsProvider> = {}, network: 'required' | 'bestEffort' = 'required') {
  return rdsProvider({ settings, provider: { ...settings.provider, ...over, drill: { ...settings.provider.drill, ...drill } }, database: 'shop', earlierRestores: () => Promise.resolve([]), network });
}
const preflight = (provider: ReturnType<typeof providerOf>, id = snapshot) => provider.preflight(planOf(id), tools.signal);

/** A group with one rule for what goes out. */
async function openGroup(name: string, inVpc = vpc): Promise<string> {
  const { GroupId = '' } = await ec2.send(new CreateSecurityGroupCommand({ GroupName: name, Description: name, VpcId: inVpc }));
  await ec2.send(new AuthorizeSecurityGroupEgressCommand({ GroupId, IpPermissions: [{ IpProtocol: 'tcp', FromPort: 443, ToPort: 443, IpRanges: [{ CidrIp: '10.0.0.0/8' }] }] }));
  return GroupId;
}

describe('the pre-flight of a drill in RDS', () => {
  it('passes where the copy will be cut off and all that it needs is there', async () => {
    expect((await preflight(providerOf())).map(({ name, outcome }) => `${name} ${outcome}`)).toEqual(['source instance passed', 'key for passwords passed', 'subnet group passed', 'security groups passed', 'isolation passed', 'recovery point passed', 'encryption key passed']);
  });

  it('names all that is wrong in one failure', async () => {
    const { Vpc } = await ec2.send(new CreateVpcCommand({ CidrBlock: '10.9.0.0/16' }));
    const elsewhere = await openGroup('elsewhere', Vpc?.VpcId);
    const failure = preflight(providerOf({ securityGroups: [elsewhere, 'sg-0123456789abcdef0'], passwordKeyFile: join(directory, 'short') }), 'none');
    await expect(failure).rejects.toMatchObject({ type: 'PREFLIGHT', nonRetryable: true });
    const message = await failure.catch(({ message }: Error) => message);
    for (const said of ['fewer than 32 characters', `the security group ${elsewhere} is in ${Vpc?.VpcId}, and the subnet group in ${vpc}`, 'there is no security group sg-0123456789abcdef0', `the drill is not cut off from the network: ${elsewhere} lets out`, 'there is no snapshot "none"']) expect(message).toContain(said);
    const nothing = await preflight(providerOf({ subnetGroup: 'nowhere' }, { instance: 'nobody' })).catch(({ message }: Error) => message);
    expect(nothing).toMatch(/^there is no RDS instance "nobody".*; there is no subnet group "nowhere"/);
  });

  it('names libraries that RDS does not load, and asks for none where none is wanted', async () => {
    expect(await preflight(providerOf({ preloadLibraries: ['pg_cron', 'auto_explain'] }))).toContainEqual({ name: 'libraries', outcome: 'passed', detail: 'RDS loads pg_cron, auto_explain' });
    await expect(preflight(providerOf({ preloadLibraries: ['pg_cron', 'timescaledb'] }))).rejects.toMatchObject({ type: 'PREFLIGHT', nonRetryable: true, message: expect.stringMatching(/^RDS does not load timescaledb, but auto_explain,.*; correct provider\.drill\.preloadLibraries$/) as string });
    await lab.control.clearCalls();
    await preflight(providerOf());
    expect((await lab.control.calls()).map(({ action }) => action)).not.toContain('DescribeDBParameters');
  });

  it('refuses storage that RDS does not have for what is as small as that', async () => {
    await expect(preflight(providerOf({ storage: { type: 'io1', iops: 3_000 } }))).rejects.toMatchObject({ type: 'PREFLIGHT', nonRetryable: true, message: 'RDS has no io1 of less than 100 GiB, and what is restored has 20; correct provider.drill.storage' });
    expect(await preflight(providerOf({ storage: { type: 'gp2' } }))).toContainEqual({ name: 'storage', outcome: 'passed', detail: '20 GiB of gp2' });
  });

  it('waits out what passes', async () => {
    await lab.control.fault({ kind: 'throttle', service: 'ec2', action: 'DescribeSecurityGroups', calls: 2 });
    await expect(preflight(providerOf())).resolves.toBeDefined();
    await lab.control.clearFaults();
  });
});

describe('the key of what is restored', () => {
  let key: string;
  let id: string;
  beforeAll(async () => {
    ({ Arn: key = '', KeyId: id = '' } = (await kms.send(new CreateKeyCommand({}))).KeyMetadata ?? {});
    await rds.send(new CopyDBSnapshotCommand({ SourceDBSnapshotIdentifier: snapshot, TargetDBSnapshotIdentifier: 'encrypted', KmsKeyId: id }));
    await untilSnapshot(rds, 'encrypted');
  });
  const refusal = () => preflight(providerOf(), 'encrypted').catch((error: unknown) => error);

  it('is looked at before anything is made', async () => {
    expect(await preflight(providerOf(), 'encrypted')).toContainEqual({ name: 'encryption key', outcome: 'passed', detail: `${key} is enabled` });
    await kms.send(new DisableKeyCommand({ KeyId: id }));
    expect(await refusal()).toMatchObject({ type: 'PREFLIGHT', message: `the key ${key}, with which the snapshot encrypted is encrypted, cannot be used: it is Disabled; enable it, or cancel its deletion` });
    await kms.send(new EnableKeyCommand({ KeyId: id }));
    await kms.send(new PutKeyPolicyCommand({ KeyId: id, PolicyName: 'default', Policy: JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Deny', Principal: { AWS: '*' }, Action: 'kms:DescribeKey', Resource: '*' }] }) }));
    expect(await refusal()).toMatchObject({ type: 'PREFLIGHT', message: expect.stringContaining(`the key ${key}, with which the snapshot encrypted is encrypted, does not let this role in (AccessDeniedException)`) as string });
    // Of what is not encrypted with it, nothing is said.
    await expect(preflight(providerOf())).resolves.toBeDefined();
  });
});

describe('the isolation of a copy in RDS', () => {
  const ref = (n: number) => ({ database: 'shop', recoveryPointId: snapshot, fence: 1, owner: { workflowId: `dr-test/shop/isolation-${n}`, firstExecutionRunId: 'a' } });

  it('is none where a group lets something out, which the evidence names; there is one where no group does', async () => {
    const open = await openGroup('open');
    for (const [n, groups, isolation] of [[1, settings.provider.drill.securityGroups, { network: 'isolated', mounts: 'isolated', reason: '' }], [2, [open], { network: 'notIsolated', mounts: 'isolated', reason: `${open} lets out everything to 0.0.0.0/0, ${open} lets out tcp 443 to 10.0.0.0/8` }]] as const) {
      const provider = providerOf({ securityGroups: [...groups] }, {}, 'bestEffort');
      await provider.openPlace(ref(n));
      expect((await provider.restore(ref(n), planOf(snapshot), tools)).isolation).toEqual(isolation);
      await provider.closePlace(ref(n));
      expect(await preflight(provider)).toContainEqual(n === 1
        ? { name: 'isolation', outcome: 'passed', detail: 'no rule of its security groups lets anything out' }
        : { name: 'isolation', outcome: 'skipped', detail: `the drill is not cut off from the network: ${isolation.reason}` });
    }
  });

  it('is required where drills.network says so: nothing is made, also when the rule came after the pre-flight', async () => {
    const provider = providerOf({ securityGroups: [await openGroup('required')] });
    await expect(preflight(provider)).rejects.toMatchObject({ type: 'PREFLIGHT' });
    await provider.openPlace(ref(3));
    await expect(provider.restore(ref(3), planOf(snapshot), tools)).rejects.toMatchObject({ type: 'PREFLIGHT', message: expect.stringContaining('not cut off') as string });
    expect((await rds.send(new DescribeDBInstancesCommand({}))).DBInstances?.map(({ DBInstanceIdentifier }) => DBInstanceIdentifier)).toEqual(['prod']);
    await provider.closePlace(ref(3));
  });
});
