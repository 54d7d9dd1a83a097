import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CopyDBSnapshotCommand, CreateDBParameterGroupCommand, CreateDBSnapshotCommand, DescribeDBInstancesCommand, DescribeDBParameterGroupsCommand, DescribeDBParametersCommand, ModifyDBParameterGroupCommand, ModifyDBSnapshotAttributeCommand, type RDSClient } from '@aws-sdk/client-rds';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drillName } from '../../activities/rds-provider/drill-names.ts';
import { rdsProvider } from '../../activities/rds-provider/rds-provider.ts';
import { withClient } from '../../activities/postgres/source.ts';
import { databaseSchema } from '../../contracts/configuration.ts';
import type { DrillPlan } from '../../contracts/dr-test.ts';
import type { AwsAccess, RdsProvider } from '../../contracts/rds.ts';
import { startAwsLab, type AwsLab } from '../support/aws-lab.ts';
import { callByJson } from '../support/aws-lab-call.ts';
import { labElsewhere, OTHER_ACCOUNT, OTHER_REGION, OTHER_ROLE } from '../support/aws-lab-elsewhere.ts';
import { createSource, MASTER, rdsClient, untilSnapshot, withMaster } from '../support/aws-lab-rds.ts';
import { createRdsQueue } from '../support/rds-queue.ts';
import { prepareNetwork } from '../support/rds-environment.ts';
import { directoryWithKey } from '../support/directory-with-key.ts';
import { reachLab } from '../support/reach-lab.ts';

/** Drills in another region, and in another account, than their source's: from what was copied there or shared with it. */
let lab: AwsLab;
let here: RDSClient;
let directory: string;
let settings: ReturnType<typeof databaseSchema.parse> & { provider: RdsProvider };
const region: Place = { access: { region: OTHER_REGION } } as Place;
const account: Place = { access: { region: 'eu-central-1', role: { arn: OTHER_ROLE } } } as Place;
interface Place { access: AwsAccess; rds: RDSClient; drill: Pick<RdsProvider['drill'], 'subnetGroup' | 'securityGroups'> }
const arn = (name: string) => `arn:aws:rds:${lab.region}:${lab.account}:snapshot:${name}`;

beforeAll(async () => {
  lab = await startAwsLab({ log: console.log });
  reachLab(lab);
  here = rdsClient(lab);
  directory = await directoryWithKey('rds-elsewhere-');
  await here.send(new CreateDBParameterGroupCommand({ DBParameterGroupName: 'custom', DBParameterGroupFamily: 'postgres18', Description: 'custom' }));
  // More than one call takes, and one that a drill must not have.
  const many = ['work_mem', 'maintenance_work_mem', 'temp_buffers', 'statement_timeout', 'lock_timeout', 'idle_session_timeout', 'deadlock_timeout', 'random_page_cost', 'seq_page_cost', 'cpu_tuple_cost', 'cpu_index_tuple_cost', 'cpu_operator_cost', 'from_collapse_limit', 'join_collapse_limit', 'geqo_threshold', 'geqo_effort', 'vacuum_cost_limit', 'vacuum_cost_page_hit', 'log_min_duration_statement', 'track_activity_query_size']
    .map((ParameterName, at) => ({ ParameterName, ParameterValue: String(['work_mem', 'maintenance_work_mem', 'temp_buffers', 'track_activity_query_size'].includes(ParameterName) ? 4096 : at < 7 ? 60_000 : 10) }));
  const set = (Parameters: { ParameterName: string; ParameterValue: string }[]) => here.send(new ModifyDBParameterGroupCommand({ DBParameterGroupName: 'custom', Parameters: Parameters.map((one) => ({ ...one, ApplyMethod: 'pending-reboot' as const })) }));
  await set(many);
  await set([{ ParameterName: 'track_commit_timestamp', ParameterValue: '1' }, { ParameterName: 'max_logical_replication_workers', ParameterValue: '4' }]);
  const source = await createSource(here, 'prod', { BackupRetentionPeriod: 1, DBParameterGroupName: 'custom' });
  await withMaster(source, (client) => client.query('CREATE TABLE t AS SELECT 42 AS answer'));
  await here.send(new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'prod', DBSnapshotIdentifier: 'taken' }));
  await untilSnapshot(here, 'taken');
  for (const place of [region, account]) {
    const there = await labElsewhere(lab, { region: place.access.region, ...(place.access.role ? { role: place.access.role.arn } : {}) });
    place.rds = rdsClient(there);
    const { subnetGroup, securityGroup } = await prepareNetwork(there, place.rds);
    place.drill = { subnetGroup, securityGroups: [securityGroup] };
  }
  settings = databaseSchema.parse({
    connection: { host: source.Endpoint!.Address, port: source.Endpoint!.Port, database: 'shop', user: MASTER.name },
    provider: { kind: 'rds', instance: 'prod', access: { region: lab.region }, repository: directory, lookEvery: '100ms', drill: { subnetGroup: 'drills', securityGroups: ['sg-0'], passwordKeyFile: join(directory, 'key') } },
  }) as typeof settings;
});
afterAll(async () => {
  await lab.stop();
  await rm(directory, { recursive: true });
});

let runs = 0;
function drillIn(place: Place, snapshot = 'none', over: Partial<RdsProvider> = {}) {
  const provider = rdsProvider({ settings, provider: { ...settings.provider, ...over, drill: { ...settings.provider.drill, ...place.drill, access: place.access } }, database: 'shop', earlierRestores: () => Promise.resolve([]), network: 'bestEffort' });
  const ref = { database: 'shop', recoveryPointId: snapshot, fence: 3, owner: { workflowId: `dr-test/shop/${runs += 1}`, firstExecutionRunId: 'elsewhere' } };
  const plan = { creates: { leaseMs: 60_000 }, recoverTo: null, recoveryPoint: { id: snapshot, takenAt: '2026-11-30T00:00:00.000Z' } } as DrillPlan;
  const restore = () => provider.restore(ref, plan, { signal: new AbortController().signal, onProgress: () => undefined });
  return { provider, ref, plan, restore, name: drillName(ref) };
}
const instancesOf = async (rds: RDSClient) => (await rds.send(new DescribeDBInstancesCommand({}))).DBInstances!.map(({ DBInstanceIdentifier }) => DBInstanceIdentifier);
const groupsOf = async (rds: RDSClient) => (await rds.send(new DescribeDBParameterGroupsCommand({}))).DBParameterGroups!.map(({ DBParameterGroupName }) => DBParameterGroupName).filter((name) => name?.startsWith('default') === false);

/** A whole drill of a snapshot, from its finding to the proof that nothing is left; `while it is there` is what is asked of the copy. */
async function wholeDrill(place: Place, id: string): Promise<void> {
  const { provider, ref, plan, restore, name } = drillIn(place, id);
  expect((await provider.find(id)).id).toBe(id);
  expect(await provider.supply(id, new Date().toISOString())).toMatchObject({ reachesUntil: (await provider.find(id)).completeAt });
  await provider.preflight(plan, new AbortController().signal);
  await lab.control.clearCalls();
  await provider.openPlace(ref);
  await provider.openPlace(ref);
  await restore();
  await restore();
  expect([await instancesOf(place.rds), await instancesOf(here)]).toEqual([[name], ['prod']]);
  const address = await provider.address(ref);
  const settled = await withClient(address('shop'), async (client) => (await client.query<{ answer: number; stamps: string; work: string; workers: string }>(`SELECT answer, current_setting('track_commit_timestamp') AS stamps, current_setting('work_mem') AS work, current_setting('max_logical_replication_workers') AS workers FROM public.t`)).rows);
  expect(settled).toEqual([{ answer: 42, stamps: 'on', work: '4MB', workers: '0' }]);
  expect((await place.rds.send(new DescribeDBParametersCommand({ DBParameterGroupName: name }))).Parameters).toHaveLength(23);
  expect((await provider.provePlaceAbsent(ref)).found).toHaveLength(2);
  expect(await provider.closePlace(ref)).toEqual([`RDS instance ${name}`, `parameter group ${name}`]);
  expect((await provider.provePlaceAbsent(ref)).found).toEqual([]);
  expect([await instancesOf(place.rds), await groupsOf(place.rds)]).toEqual([[], []]);
  await expect(restore()).rejects.toMatchObject({ type: 'FENCED' });
  // Where the source is, it is looked at only.
  const asked = (await lab.control.calls()).filter((call) => call.service === 'rds' && call.region === lab.region && call.account === lab.account).map(({ action }) => action);
  expect(asked.filter((action) => !action.startsWith('Describe'))).toEqual([]);
}

describe('a drill in another region', () => {
  it('restores a copy that is there, with the settings of the source, and leaves nothing in either', async () => {
    await region.rds.send(new CopyDBSnapshotCommand({ SourceDBSnapshotIdentifier: arn('taken'), TargetDBSnapshotIdentifier: 'copied' }));
    await untilSnapshot(region.rds, 'copied');
    const { provider, ref } = drillIn(region);
    const { points, unusable } = await provider.list(new Date());
    expect([points.map(({ id }) => id), unusable]).toEqual([['copied'], []]);
    // What it holds is older than the copy, which nobody had before it was made.
    expect(Date.parse(points[0]!.completeAt)).toBeLessThan(Date.parse(points[0]!.availableAt));
    expect(provider.describePlace(ref.owner)).toMatch(/^RDS instance runbooks-d-[0-9a-f]{8}-<fence> in eu-west-1$/);
    await wholeDrill(region, 'copied');
  });

  it('hears of its copy from a queue where copies are made, with what makes them', async () => {
    const there = await labElsewhere(lab, { region: OTHER_REGION });
    const queue = await createRdsQueue(there, region.rds, 'rds-events');
    const { provider, ref, restore } = drillIn(region, 'copied', { events: { queueUrl: queue.queueUrl }, lookEvery: 10_000 });
    await provider.openPlace(ref);
    await lab.control.clearCalls();
    expect((await restore()).made).not.toContain('could not be heard');
    expect(new Set((await lab.control.calls()).filter(({ service }) => service === 'sqs').map((call) => call.region))).toEqual(new Set([OTHER_REGION]));
    await drillIn(region, 'copied').provider.closePlace({ ...ref });
  });

  it('takes no snapshot of an instance that only has the name of the source', async () => {
    const namesake = await createSource(region.rds, 'prod', { BackupRetentionPeriod: 0 });
    await region.rds.send(new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'prod', DBSnapshotIdentifier: 'of-a-namesake' }));
    await untilSnapshot(region.rds, 'of-a-namesake');
    const { provider } = drillIn(region);
    expect(namesake.DBInstanceIdentifier).toBe('prod');
    expect((await provider.list(new Date())).points.map(({ id }) => id)).not.toContain('of-a-namesake');
    await expect(provider.find('of-a-namesake')).rejects.toMatchObject({ type: 'NOT_FOUND', message: expect.stringMatching(/^the snapshot "of-a-namesake" was not taken of the source, prod \(db-\w+\), but of the instance prod \(db-\w+\)$/) as string });
  });

  it('restores no second: RDS does that only where the source is', async () => {
    const { provider } = drillIn(region);
    const refusal = { type: 'NOT_FOUND', message: expect.stringContaining('only where the source is') as string };
    await expect(provider.find('time.20261130T000000Z')).rejects.toMatchObject(refusal);
    expect(() => provider.reaches?.('2026-11-30T00:00:00Z')).toThrow(/only where the source is/);
    await expect(provider.find('nowhere')).rejects.toMatchObject({ type: 'NOT_FOUND', message: 'there is no snapshot "nowhere" in eu-west-1' });
  });
});

describe('a drill in another account', () => {
  it('restores a snapshot that is shared with it, by its ARN, and one that was copied there', async () => {
    const { provider } = drillIn(account);
    await expect(provider.find(arn('taken'))).rejects.toMatchObject({ type: 'NOT_FOUND', message: expect.stringContaining(`in eu-central-1, account ${OTHER_ACCOUNT}`) as string });
    expect((await provider.list(new Date())).points).toEqual([]);
    await here.send(new ModifyDBSnapshotAttributeCommand({ DBSnapshotIdentifier: 'taken', AttributeName: 'restore', ValuesToAdd: [OTHER_ACCOUNT] }));
    expect((await provider.list(new Date())).points.map(({ id }) => id)).toEqual([arn('taken')]);
    await wholeDrill(account, arn('taken'));
    await account.rds.send(new CopyDBSnapshotCommand({ SourceDBSnapshotIdentifier: arn('taken'), TargetDBSnapshotIdentifier: 'kept-here' }));
    await untilSnapshot(account.rds, 'kept-here');
    expect((await provider.list(new Date())).points.map(({ id }) => id).toSorted()).toEqual([arn('taken'), 'kept-here'].toSorted());
    await wholeDrill(account, 'kept-here');
  });

  it('says of one that is shared and encrypted that RDS restores none of those', async () => {
    const { KeyMetadata: key } = await callByJson<{ KeyMetadata: { KeyId: string } }>(lab, 'kms', 'TrentService.CreateKey');
    await here.send(new CopyDBSnapshotCommand({ SourceDBSnapshotIdentifier: 'taken', TargetDBSnapshotIdentifier: 'locked', KmsKeyId: key.KeyId }));
    await untilSnapshot(here, 'locked');
    await here.send(new ModifyDBSnapshotAttributeCommand({ DBSnapshotIdentifier: 'locked', AttributeName: 'restore', ValuesToAdd: [OTHER_ACCOUNT] }));
    const { provider } = drillIn(account);
    const { points, unusable } = await provider.list(new Date());
    expect([points.map(({ id }) => id).includes(arn('locked')), unusable.map(({ id, failure }) => [id, failure.message.includes('copy it there first')])]).toEqual([false, [[arn('locked'), true]]]);
    await expect(provider.find(arn('locked'))).rejects.toMatchObject({ type: 'PREFLIGHT' });
  });
});

it('a role of its own in the same account and region is no other place: seconds can be restored', async () => {
  const own = { ...account, access: { region: lab.region, role: { arn: `arn:aws:iam::${lab.account}:role/drills` } }, rds: here } as Place;
  const provider = rdsProvider({ settings, provider: { ...settings.provider, access: { region: lab.region, role: { arn: `arn:aws:iam::${lab.account}:role/reads` } }, drill: { ...settings.provider.drill, access: own.access } }, database: 'shop', earlierRestores: () => Promise.resolve([]), network: 'bestEffort' });
  await lab.control.archiveNow('prod');
  expect((await provider.list(new Date())).points.map(({ id }) => id).filter((id) => id.startsWith('time.')).length).toBeGreaterThan(0);
});
