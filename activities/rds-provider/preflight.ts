import type * as Sdk from '@aws-sdk/client-rds';
import { ApplicationFailure } from '@temporalio/common';
import type { Configuration } from '../../contracts/configuration.ts';
import type { Check } from '../../contracts/evidence.ts';
import type { RdsProvider } from '../../contracts/rds.ts';
import { ec2Client } from '../aws/ec2-client.ts';
import { explainAws, ifThere } from '../aws/failures.ts';
import { kmsClient } from '../aws/kms-client.ts';
import type { Rds } from '../aws/rds-client.ts';
import { drillPassword } from './drill-password.ts';
import { checkKey } from './encryption-key.ts';
import { sourceInstance } from './instance.ts';
import { allowedValues } from './parameters.ts';
import { findPoint, findSnapshot, instantOfId } from './points.ts';
import { findGroups, groupsProblems, isolationOf, judgeGroups } from './security-groups.ts';
import { storageProblem } from './storage.ts';
import { describeAccess, drillAccess, isElsewhere, type RdsPlaces } from './where.ts';

/** What is looked at; `network`: whether a copy that can be reached, or can reach out, is refused. */
export interface Examined {
  provider: RdsProvider;
  /** What is to be restored; left out where there is nothing yet. */
  pointId?: string | undefined;
  network: Configuration['drills']['network'];
}

/** What speaks against a drill, and after the last semicolon what to do about it. */
export interface RdsProblem { name: string; problem: string }

/** @throws ApplicationFailure `PREFLIGHT`: one, that names everything that is wrong */
export async function checkRds(rds: RdsPlaces, examined: Examined): Promise<Check[]> {
  const { checks, problems } = await lookAtRds(rds, examined);
  if (problems.length > 0) throw ApplicationFailure.nonRetryable([...new Set(problems.map(({ problem }) => problem))].join('; '), 'PREFLIGHT');
  return checks;
}

/**
 * All that a drill needs and that can be looked at before it begins. Changes nothing.
 * @throws ApplicationFailure `UNAVAILABLE` where AWS does not answer, which says nothing of any of it
 */
export async function lookAtRds(rds: RdsPlaces, examined: Examined): Promise<{ checks: Check[]; problems: RdsProblem[] }> {
  const { provider, pointId, network } = examined;
  const { drill } = provider;
  const access = drillAccess(provider);
  // Asked once, so that what fails for several has one message, which is told once.
  const source = once(`looking at ${provider.instance}`, () => sourceInstance(rds.source, provider.instance));
  const subnets = once(`looking for the subnet group ${drill.subnetGroup}`, () => subnetGroup(rds.drills, drill.subnetGroup, provider));
  const groups = once('looking at the security groups', async () => findGroups(await ec2Client(access), drill.securityGroups));
  const point = once(`looking for "${pointId}"`, () => findPoint(rds, provider, pointId ?? ''));
  const { storage } = drill;
  const looks = await Promise.all([
    look('source instance', `looking at ${provider.instance}`, async () => {
      const { Engine, EngineVersion, DBInstanceStatus } = await source();
      if (Engine !== 'postgres') throw refusal(`the instance ${provider.instance} runs ${Engine}, and only RDS for PostgreSQL is drilled; correct provider.instance`);
      return `${provider.instance}, PostgreSQL ${EngineVersion}, ${DBInstanceStatus}`;
    }),
    look('key for passwords', 'reading the key for passwords of drills', async () => {
      await drillPassword(drill.passwordKeyFile, { owner: { workflowId: '-', firstExecutionRunId: '-' }, fence: 1 });
      return `${drill.passwordKeyFile} can be read`;
    }),
    look('subnet group', `looking for the subnet group ${drill.subnetGroup}`, async () => `${drill.subnetGroup} in ${(await subnets()).VpcId}`),
    look('security groups', 'looking at the security groups', async () => {
      // Where the subnet group cannot be looked at, that is told by its own.
      const vpc = await subnets().then(({ VpcId }) => VpcId, () => undefined);
      const wrong = groupsProblems(drill.securityGroups, await groups(), vpc);
      if (wrong.length > 0) throw refusal(`${wrong.join(', ')}; correct provider.drill.securityGroups`);
      return `${drill.securityGroups.join(', ')} in ${vpc ?? 'a VPC'}`;
    }),
    // Groups that are not there are told above.
    look('isolation', 'looking at the security groups', async () => judgeGroups(isolationOf((await groups()).map(({ GroupId = '' }) => GroupId), await groups()), network)),
    ...(drill.preloadLibraries.length === 0 ? [] : [look('libraries', `looking at what the parameter group of ${provider.instance} allows`, async () => preloadable(rds.source, await source(), drill.preloadLibraries))]),
    ...(pointId === undefined ? [] : [look('recovery point', `looking for "${pointId}"`, async () => {
      await point();
      return `${pointId} can be restored`;
    })]),
    ...(pointId === undefined || !storage ? [] : [look('storage', `looking for "${pointId}"`, async () => {
      const gib = (await point()).sizeBytes / 2 ** 30;
      const problem = storageProblem(storage, gib);
      if (problem !== undefined) throw refusal(`${problem}; correct provider.drill.storage`);
      return `${gib} GiB of ${storage.type}`;
    })]),
    look('encryption key', 'looking at the encryption key', async () => {
      const instant = pointId === undefined ? undefined : instantOfId(pointId);
      if (pointId === undefined && isElsewhere(provider)) return `that of what is restored in ${describeAccess(access)}, which is its own`;
      const restored = pointId === undefined || instant ? await source() : await findSnapshot(rds.drills, provider, await source(), pointId);
      return restored.KmsKeyId === undefined ? 'the data is not encrypted' : checkKey(await kmsClient(access), restored.KmsKeyId, pointId === undefined || instant ? provider.instance : `the snapshot ${pointId}`);
    }),
  ]);
  return { checks: looks.filter((one) => 'outcome' in one), problems: looks.filter((one) => 'problem' in one) };
}

/** What fails for good is a problem, with all others; what may pass is thrown. */
async function look(name: string, doing: string, work: () => Promise<string | Check>): Promise<Check | RdsProblem> {
  try {
    const found = await work();
    return typeof found === 'string' ? { name, outcome: 'passed', detail: found } : found;
  } catch (error) {
    const explained = explainAws(error, doing);
    if (explained instanceof ApplicationFailure && explained.nonRetryable) return { name, problem: explained.message };
    throw explained;
  }
}

function refusal(message: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(message, 'PREFLIGHT');
}

function once<T>(doing: string, ask: () => Promise<T>): () => Promise<T> {
  let asked: Promise<T> | undefined;
  return () => (asked ??= ask().catch((error: unknown) => { throw explainAws(error, doing); }));
}

/** Of the source's group: the copy's is of the same family. */
async function preloadable(rds: Rds, { DBParameterGroups }: Sdk.DBInstance, wanted: readonly string[]): Promise<string | Check> {
  const allowed = await allowedValues(rds, DBParameterGroups?.[0]?.DBParameterGroupName ?? '', 'shared_preload_libraries');
  if (!allowed) return { name: 'libraries', outcome: 'skipped', detail: 'RDS does not say which libraries it loads' };
  const refused = wanted.filter((name) => !allowed.includes(name));
  if (refused.length > 0) throw refusal(`RDS does not load ${refused.join(', ')}, but ${allowed.join(', ')}; correct provider.drill.preloadLibraries`);
  return `RDS loads ${wanted.join(', ')}`;
}

async function subnetGroup({ sdk, client }: Rds, name: string, provider: RdsProvider): Promise<Sdk.DBSubnetGroup> {
  const found = await ifThere(client.send(new sdk.DescribeDBSubnetGroupsCommand({ DBSubnetGroupName: name })), 'DBSubnetGroupNotFound');
  const group = found?.DBSubnetGroups?.[0];
  if (!group) throw refusal(`there is no subnet group "${name}" in ${isElsewhere(provider) ? describeAccess(drillAccess(provider)) : 'this account and region'}; correct provider.drill.subnetGroup`);
  return group;
}
