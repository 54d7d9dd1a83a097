import type * as Sdk from '@aws-sdk/client-ec2';
import { ApplicationFailure } from '@temporalio/common';
import type { Configuration } from '../../contracts/configuration.ts';
import type { Check } from '../../contracts/evidence.ts';
import type { Ec2 } from '../aws/ec2-client.ts';
import type { CopyResult } from '../dr-test/drill-activities.ts';

type Network = Configuration['drills']['network'];

/** So many rules are named; the rest is counted. */
const NAMED = 3;

/** Security groups by their ids; those that are not there are left out, so that all of them can be named. */
export async function findGroups({ sdk, client }: Ec2, ids: readonly string[]): Promise<Sdk.SecurityGroup[]> {
  const { SecurityGroups = [] } = await client.send(new sdk.DescribeSecurityGroupsCommand({ Filters: [{ Name: 'group-id', Values: [...ids] }] }));
  return SecurityGroups;
}

/** What speaks against putting a copy of a subnet group into security groups: RDS takes those of the same VPC only. */
export function groupsProblems(ids: readonly string[], groups: readonly Sdk.SecurityGroup[], vpc: string | undefined): string[] {
  return ids.flatMap((id) => {
    const group = groups.find(({ GroupId }) => GroupId === id);
    if (!group) return [`there is no security group ${id} in this account and region`];
    return vpc !== undefined && group.VpcId !== vpc ? [`the security group ${id} is in ${group.VpcId}, and the subnet group in ${vpc}`] : [];
  });
}

/** Whether anything can be reached from a copy in these groups: each rule for what goes out is a way. Answers to who connects to it need none. */
export function isolationOf(ids: readonly string[], groups: readonly Sdk.SecurityGroup[]): CopyResult['isolation'] {
  const unknown = ids.filter((id) => !groups.some(({ GroupId }) => GroupId === id));
  const ways = groups.flatMap(({ GroupId = '', IpPermissionsEgress = [] }) => IpPermissionsEgress.map((rule) => `${GroupId} lets out ${describeRule(rule)}`));
  const reasons = [...ways.slice(0, NAMED), ...(ways.length > NAMED ? [`${ways.length - NAMED} more rules let something out`] : []), ...unknown.map((id) => `${id} could not be looked at`), ...(ids.length === 0 ? ['it has no security group'] : [])];
  return { network: reasons.length === 0 ? 'isolated' : 'notIsolated', mounts: 'isolated', reason: reasons.join(', ') };
}

function describeRule({ IpProtocol = '-1', FromPort, ToPort, IpRanges = [], Ipv6Ranges = [], PrefixListIds = [], UserIdGroupPairs = [] }: Sdk.IpPermission): string {
  const peers = [...IpRanges.map(({ CidrIp }) => CidrIp), ...Ipv6Ranges.map(({ CidrIpv6 }) => CidrIpv6), ...PrefixListIds.map(({ PrefixListId }) => PrefixListId), ...UserIdGroupPairs.map(({ GroupId }) => GroupId)];
  const ports = FromPort === undefined || FromPort < 0 ? '' : FromPort === ToPort ? ` ${FromPort}` : ` ${FromPort} to ${ToPort}`;
  return `${IpProtocol === '-1' ? 'everything' : `${IpProtocol}${ports}`} to ${peers.length > 0 ? peers.join(' and ') : 'nobody that is named'}`;
}

/** As for a copy on a host of ours: what is less than required is refused, and told where it is not. */
export function judgeGroups({ network, reason }: CopyResult['isolation'], wanted: Network): Check {
  const name = 'isolation';
  if (network === 'isolated') return { name, outcome: 'passed', detail: 'no rule of its security groups lets anything out' };
  const open = `the drill is not cut off from the network: ${reason}`;
  if (wanted === 'required') throw ApplicationFailure.nonRetryable(`${open}; remove the rules for what goes out, or set drills.network to bestEffort`, 'PREFLIGHT');
  return { name, outcome: 'skipped', detail: open };
}
