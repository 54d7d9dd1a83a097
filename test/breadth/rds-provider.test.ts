import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { CopyDBSnapshotCommand, CreateDBInstanceCommand, CreateDBParameterGroupCommand, DescribeDBInstancesCommand, DescribeDBParameterGroupsCommand, ModifyDBInstanceCommand, type RDSClient } from '@aws-sdk/client-rds';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { rdsProvider } from '../../activities/rds-provider/rds-provider.ts';
import { drillName } from '../../activities/rds-provider/drill-names.ts';
import { withClient } from '../../activities/postgres/source.ts';
import type { DrillPlan } from '../../contracts/dr-test.ts';
import { databaseSchema } from '../../contracts/configuration.ts';
import type { RdsProvider } from '../../contracts/rds.ts';
import { startAwsLab, type AwsLab } from '../support/aws-lab.ts';
import { createSource, MASTER, rdsClient, untilInstance, untilModified, untilSnapshot, withMaster } from '../support/aws-lab-rds.ts';
import { PATIENT } from '../support/patience.ts';
import { prepareNetwork } from '../support/rds-environment.ts';
import { directoryWithKey } from '../support/directory-with-key.ts';
import { reachLab } from '../support/reach-lab.ts';

/** What RDS does to a drill, and what a drill never does to RDS. */
let lab: AwsLab;
let rds: RDSClient;
let directory: string;
let settings: ReturnType<typeof databaseSchema.parse> & { provider: RdsProvider };
let snapshot: string;

beforeAll(async () => {
  lab = await startAwsLab({ log: console.log });
  reachLab(lab);
  rds = rdsClient(lab);
  directory = await directoryWithKey('rds-provider-');
  const source = await createSource(rds, 'prod', { BackupRetentionPeriod: 1, DeletionProtection: true });
  await withMaster(source, (client) => client.query('CREATE TABLE t AS SELECT 42 AS answer'));
  snapshot = await lab.control.automatedSnapshot('prod');
  const { subnetGroup, securityGroup } = await prepareNetwork(lab, rds);
  settings = databaseSchema.parse({
    connection: { host: source.Endpoint!.Address, port: source.Endpoint!.Port, database: 'shop', user: MASTER.name },
    provider: { kind: 'rds', instance: 'prod', access: { region: lab.region }, repository: directory, lookEvery: '100ms', drill: { subnetGroup, securityGroups: [securityGroup], passwordKeyFile: join(directory, 'key') } },
  }) as typeof settings;
});
afterAll(async () => {
  await lab.stop();
  await rm(directory, { recursive: true });
});
beforeEach(async () => {
  await lab.control.clearFaults();
  await lab.control.clearCalls();
});

let runs = 0;
/** A drill of its own for each test. */
function drill(over: Partial<RdsProvider> = {}) {
  const provider = rdsProvider({ settings, provider: { ...settings.provider, ...over }, database: 'shop', earlierRestores: () => Promise.resolve([]), network: 'bestEffort' });
  const ref = { database: 'shop', recoveryPointId: snapshot, fence: 3, owner: { workflowId: `dr-test/shop/${runs += 1}`, firstExecutionRunId: 'a' } };
  const restore = (takenAt = '2026-11-30T00:00:00.000Z') => provider.restore(ref, { creates: { leaseMs: 60_000 }, recoverTo: null, recoveryPoint: { takenAt } } as DrillPlan, { signal: new AbortController().signal, onProgress: () => undefined });
  return { provider, ref, restore, name: drillName(ref) };
}
const instances = async () => (await rds.send(new DescribeDBInstancesCommand({}))).DBInstances!.map(({ DBInstanceIdentifier, DBInstanceStatus }) => `${DBInstanceIdentifier} ${DBInstanceStatus}`);
const answered = async (action: string) => (await lab.control.calls()).filter((call) => call.action === action).map(({ status, errorCode }) => errorCode ?? status);

describe('a drill in RDS', () => {
  it('is an instance with a password and a parameter group of its own, in the configured place, kept from everybody, and is gone when its place is closed', async () => {
    const { provider, ref, restore, name } = drill();
    await provider.openPlace(ref);
    await provider.openPlace(ref);
    await restore();
    const { DBInstances: [copy] = [] } = await rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: name }));
    expect(copy).toMatchObject({ PubliclyAccessible: false, MultiAZ: false, DeletionProtection: false, BackupRetentionPeriod: 0, DBSubnetGroup: { DBSubnetGroupName: settings.provider.drill.subnetGroup }, DBParameterGroups: [{ DBParameterGroupName: name }] });
    expect(copy?.TagList?.map(({ Key }) => Key).toSorted()).toEqual(['begun', 'expires', 'fence', 'restored', 'run', 'target'].map((key) => `durable-runbooks:${key}`));
    const address = await provider.address(ref);
    expect(await withClient(address('shop'), async (client) => (await client.query('SELECT answer FROM public.t')).rows)).toEqual([{ answer: 42 }]);
    await expect(withMaster(copy!, (client) => client.query('SELECT')), "production's password").rejects.toThrow(/password/);
    expect(await provider.closePlace(ref)).toEqual([`RDS instance ${name}`, `parameter group ${name}`]);
    expect((await provider.provePlaceAbsent(ref)).found).toEqual([]);
    expect(await provider.closePlace(ref)).toEqual([]);
    expect(await instances()).toEqual(['prod available']);
  });

  it('is not begun by who was stopped until after their time, nor does what they made too late stay', async () => {
    const { provider, ref } = drill();
    const over = new Error('over');
    await expect(provider.openPlace(ref, AbortSignal.abort(over))).rejects.toBe(over);
    expect(await answered('CreateDBParameterGroup')).toEqual([]);
    const late = new AbortController();
    await lab.control.fault({ kind: 'slow', action: 'CreateDBParameterGroup', seconds: 0.5 });
    const opening = provider.openPlace(ref, late.signal);
    await vi.waitUntil(async () => (await answered('CreateDBParameterGroup')).length > 0, PATIENT);
    late.abort(over);
    await expect(opening).rejects.toBe(over);
    expect(await answered('CreateDBParameterGroup')).toEqual([200]);
    expect((await provider.provePlaceAbsent(ref)).found).toEqual([]);
  });

  it('cannot be made once its place is closed', async () => {
    const { provider, ref, restore } = drill();
    await provider.openPlace(ref);
    await provider.closePlace(ref);
    await expect(restore()).rejects.toMatchObject({ type: 'FENCED', nonRetryable: true });
    expect(await instances()).toEqual(['prod available']);
  });

  it.each(['RestoreDBInstanceFromDBSnapshot', 'ModifyDBInstance', 'CreateDBParameterGroup', 'DeleteDBInstance', 'DeleteDBParameterGroup'])('is made and removed once though the reply to %s was lost', async (action) => {
    const { provider, ref, restore } = drill();
    await lab.control.fault({ kind: 'lostReply', action, calls: 1 });
    await provider.openPlace(ref);
    await restore();
    expect(await instances()).toHaveLength(2);
    await provider.closePlace(ref);
    expect((await provider.provePlaceAbsent(ref)).found).toEqual([]);
    expect(await lab.control.faults()).toMatchObject([{ struck: 1 }]);
  });

  it('is made anew where another instant is asked for, as by a run that was reset, and gone on with where it is the same', async () => {
    const { provider, ref, restore, name } = drill();
    const restored = async () => (await rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: name }))).DBInstances?.[0]?.TagList?.find(({ Key }) => Key === 'durable-runbooks:restored')?.Value;
    await provider.openPlace(ref);
    await restore();
    await restore();
    expect(await answered('DeleteDBInstance')).toEqual([]);
    await restore('2026-11-30T01:00:00.000Z');
    expect(await restored()).toBe('2026-11-30T01:00:00.000Z');
    expect(await answered('DeleteDBInstance')).toEqual([200]);
    // Whatever became of the one of the other instant.
    await lab.control.failNextRestore({ status: 'incompatible-restore', reason: 'it cannot be read' });
    await expect(restore('2026-11-30T02:00:00.000Z')).rejects.toMatchObject({ type: 'RECOVERY_FAILED' });
    await restore('2026-11-30T03:00:00.000Z');
    expect(await restored()).toBe('2026-11-30T03:00:00.000Z');
    await provider.closePlace(ref);
  });

  it('is made anew of the instant that is asked for also where RDS did not show the one that is there when it was looked for', async () => {
    const { provider, ref, restore, name } = drill();
    const restored = async () => (await rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: name }))).DBInstances?.[0]?.TagList?.find(({ Key }) => Key === 'durable-runbooks:restored')?.Value;
    await provider.openPlace(ref);
    const openedAtMs = Date.now();
    await restore();
    // After the look at the source.
    await lab.control.fault({ kind: 'staleReads', action: 'DescribeDBInstances', after: 1, calls: 1, seconds: (Date.now() - openedAtMs) / 1_000 + 0.2 });
    await lab.control.clearCalls();
    await restore('2026-11-30T01:00:00.000Z');
    expect(await answered('RestoreDBInstanceFromDBSnapshot')).toEqual(['DBInstanceAlreadyExists', 200]);
    expect(await restored()).toBe('2026-11-30T01:00:00.000Z');
    await provider.closePlace(ref);
  });

  it('is removed, and its absence proven, where it was planned, wherever the configuration points by now', async () => {
    const { provider, ref, name } = drill();
    await provider.openPlace(ref);
    const access = provider.placeAccess!;
    const moved = drill({ access: { region: 'eu-south-1' } }).provider;
    const groups = async () => (await rds.send(new DescribeDBParameterGroupsCommand({}))).DBParameterGroups!.map(({ DBParameterGroupName }) => DBParameterGroupName);
    expect(await moved.provePlaceAbsent({ ...ref, access })).toMatchObject({ looked: expect.arrayContaining([`parameter group ${name} in ${lab.region}`]) as unknown, found: [`parameter group ${name} exists`] });
    expect(await groups()).toContain(name);
    expect(await moved.closePlace({ ...ref, access })).toEqual([`parameter group ${name}`]);
    expect(await groups()).not.toContain(name);
  });

  it('is asked to be removed again where AWS refuses that for a moment; a restore is not', async () => {
    const { provider, ref, restore } = drill();
    await provider.openPlace(ref);
    await lab.control.fault({ kind: 'denied', action: 'RestoreDBInstanceFromDBSnapshot', calls: 1 });
    await lab.control.fault({ kind: 'denied', action: 'DeleteDBParameterGroup', calls: 1 });
    await expect(restore()).rejects.toMatchObject({ type: 'CONFIGURATION', nonRetryable: true });
    await expect(provider.closePlace(ref)).rejects.toMatchObject({ type: 'CONFIGURATION', nonRetryable: false });
    expect(await provider.closePlace(ref)).toHaveLength(1);
  });

  it('waits out throttling and errors of the service, and reads that are old', async () => {
    const { provider, ref, restore } = drill();
    await provider.openPlace(ref);
    await lab.control.fault({ kind: 'throttle', action: 'DescribeDBInstances', calls: 4 });
    await lab.control.fault({ kind: 'serverError', action: 'RestoreDBInstanceFromDBSnapshot', calls: 2 });
    await lab.control.fault({ kind: 'staleReads', seconds: 1, forSeconds: 3 });
    await restore();
    expect((await answered('RestoreDBInstanceFromDBSnapshot')).filter((one) => one === 200)).toHaveLength(1);
    await provider.closePlace(ref);
    expect((await lab.control.faults()).map(({ struck }) => struck > 0)).toEqual([true, true, true]);
    expect(await instances()).toEqual(['prod available']);
  });
});

describe('what is not ours', () => {
  it('is never touched, whatever its name is', async () => {
    const { provider, ref, restore, name } = drill();
    await provider.openPlace(ref);
    await rds.send(new CreateDBInstanceCommand({ DBInstanceIdentifier: name, Engine: 'postgres', DBInstanceClass: 'db.t4g.micro', AllocatedStorage: 20, DBName: 'x', MasterUsername: 'somebody', MasterUserPassword: 'of-somebody-else' }));
    await untilInstance(rds, name);
    for (const attempt of [restore, () => provider.address(ref), () => provider.closePlace(ref)]) await expect(attempt()).rejects.toMatchObject({ type: 'FENCED', message: expect.stringContaining("is not this run's") as string });
    expect(await instances()).toContain(`${name} available`);
    expect(await answered('DeleteDBInstance')).toEqual([]);
    // What is the drill's is gone all the same.
    const { found } = await provider.provePlaceAbsent(ref);
    expect(found).toContain(`RDS instance ${name} is available`);
    expect(found).not.toContain(`parameter group ${name} exists`);
  });

  it.each(['its name', 'its name in capitals', 'its parameter group'])('the source is neither changed nor deleted by a drill whose configuration gives the source %s', async (what) => {
    const { provider, ref, name, restore } = drill();
    await provider.openPlace(ref);
    await restore();
    const instance = what === 'its parameter group' ? 'prod' : what === 'its name' ? name : name.toUpperCase();
    if (what === 'its parameter group') {
      // As a drill that somebody took into production.
      await rds.send(new ModifyDBInstanceCommand({ DBInstanceIdentifier: 'prod', DBParameterGroupName: name, ApplyImmediately: true }));
      await vi.waitUntil(async () => (await rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: 'prod' }))).DBInstances?.[0]?.DBParameterGroups?.[0]?.DBParameterGroupName === name, PATIENT);
      await untilModified(rds, 'prod');
    }
    await lab.control.clearCalls();
    const confused = rdsProvider({ settings, provider: { ...settings.provider, instance }, database: 'shop', earlierRestores: () => Promise.resolve([]), network: 'bestEffort' });
    const plan = { creates: { leaseMs: 60_000 }, recoverTo: null, recoveryPoint: { takenAt: '2026-11-30T00:00:00.000Z' } } as DrillPlan;
    const others = [() => confused.closePlace(ref), () => confused.address(ref), () => confused.restore(ref, plan, { signal: new AbortController().signal, onProgress: () => undefined })];
    for (const attempt of [() => confused.openPlace(ref), ...(instance === 'prod' ? [] : others)]) await expect(attempt()).rejects.toMatchObject({ type: 'FENCED' });
    const changing = (await lab.control.calls()).filter(({ action }) => !/^(Describe|List)/.test(action));
    expect(changing.map(({ action }) => action)).toEqual([]);
    expect(await instances()).toEqual(expect.arrayContaining([`${name} available`, 'prod available']));
    if (instance === 'prod') {
      await rds.send(new ModifyDBInstanceCommand({ DBInstanceIdentifier: 'prod', DBParameterGroupName: 'default.postgres18', ApplyImmediately: true }));
      await vi.waitUntil(async () => (await rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: 'prod' }))).DBInstances?.[0]?.DBParameterGroups?.[0]?.DBParameterGroupName !== name, PATIENT);
      await untilModified(rds, 'prod');
    }
    await provider.closePlace(ref);
  });

  it('the source is neither changed nor deleted, also where it has the name and the tags of a drill', async () => {
    const { provider, ref, name, restore } = drill();
    await provider.openPlace(ref);
    await restore();
    // As a configuration says that names the copy.
    const confused = rdsProvider({ settings, provider: { ...settings.provider, instance: name }, database: 'shop', earlierRestores: () => Promise.resolve([]), network: 'bestEffort' });
    await expect(confused.closePlace(ref)).rejects.toMatchObject({ type: 'FENCED' });
    expect(await instances()).toContain(`${name} available`);
    await provider.closePlace(ref);
    const touched = (await lab.control.calls()).filter(({ action, identifiers }) => !/^(Describe|List)/.test(action) && JSON.stringify(identifiers).includes('"prod"'));
    expect(touched.map(({ action }) => action)).toEqual([]);
    expect((await rds.send(new DescribeDBParameterGroupsCommand({}))).DBParameterGroups?.map(({ DBParameterGroupName }) => DBParameterGroupName)).not.toContain(name);
  });
});

it('what is asked of AWS is what docs/reference/iam/rds-drills.json allows, all of it; what changes or removes may be done to drills only', async () => {
  await rds.send(new CreateDBParameterGroupCommand({ DBParameterGroupName: 'custom', DBParameterGroupFamily: 'postgres18', Description: 'custom' }));
  const { KeyMetadata: key } = await new KMSClient({ endpoint: lab.endpoint, region: lab.region, credentials: lab.credentials }).send(new CreateKeyCommand({}));
  await rds.send(new CopyDBSnapshotCommand({ SourceDBSnapshotIdentifier: snapshot, TargetDBSnapshotIdentifier: 'encrypted', KmsKeyId: key?.Arn }));
  await untilSnapshot(rds, 'encrypted');
  const { provider, ref, restore } = drill();
  const custom = async (name: string) => {
    await rds.send(new ModifyDBInstanceCommand({ DBInstanceIdentifier: 'prod', DBParameterGroupName: name, ApplyImmediately: true }));
    await untilModified(rds, 'prod');
    await lab.control.clearCalls();
  };
  const asked = new Set<string>();
  const note = async () => { for (const { service, action } of await lab.control.calls()) asked.add(`${service}:${action}`); };
  const plan = { recoveryPoint: { id: 'encrypted', takenAt: '2026-11-30T00:00:00.000Z' }, creates: { leaseMs: 60_000 }, recoverTo: null } as DrillPlan;
  for (const group of ['default.postgres18', 'custom']) {
    await custom(group);
    const { points } = await provider.list(new Date());
    await provider.supply(snapshot, new Date().toISOString());
    await provider.preflight(plan, new AbortController().signal);
    await provider.openPlace(ref);
    await provider.openPlace(ref);
    await restore();
    await provider.recoverToEnd(ref, { signal: new AbortController().signal, onProgress: () => undefined });
    await provider.closePlace(ref);
    await provider.provePlaceAbsent(ref);
    await note();
    const second = points.find(({ id }) => id.startsWith('time.'));
    const other = drill();
    const byTime = { ...other.ref, recoveryPointId: second?.id ?? '' };
    await lab.control.failNextRestore({ status: 'failed', reason: 'of its own' });
    await other.provider.openPlace(byTime);
    await expect(other.provider.restore(byTime, plan, { signal: new AbortController().signal, onProgress: () => undefined })).rejects.toMatchObject({ type: 'RECOVERY_FAILED' });
    await other.provider.closePlace(byTime);
    // In another region a group cannot be copied: what is set in the source's is read.
    const elsewhere = drill({ drill: { ...settings.provider.drill, access: { region: 'eu-west-1' } } });
    await elsewhere.provider.openPlace(elsewhere.ref);
    await elsewhere.provider.closePlace(elsewhere.ref);
    await note();
  }
  const { Statement } = JSON.parse(await readFile(new URL('../../docs/reference/iam/rds-drills.json', import.meta.url), 'utf8')) as { Statement: { Action: string[]; Condition?: Record<string, Record<string, string>> }[] };
  // To tag what is made is a permission of its own, and no call; the grant is made by RDS, in the name of who restores.
  expect([...asked, 'rds:AddTagsToResource', 'kms:CreateGrant'].toSorted()).toEqual(Statement.flatMap(({ Action }) => Action).toSorted());
  const changing = Statement.filter(({ Action }) => Action.some((action) => /:(Delete|Modify)/.test(action)));
  expect(changing.map(({ Condition }) => Condition)).toEqual([{ StringLike: { 'aws:ResourceTag/durable-runbooks:run': '?*' } }]);
});
