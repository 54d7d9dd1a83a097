import type * as Sdk from '@aws-sdk/client-rds';
import { ApplicationFailure } from '@temporalio/common';
import type { Rds } from '../aws/rds-client.ts';

/** What one call of RDS changes at most. */
const MOST_AT_ONCE = 20;

/** The family of a group that RDS made; undefined for one that people made. */
export function familyOfDefault(group: string): string | undefined {
  return group.startsWith('default.') ? group.slice('default.'.length) : undefined;
}

/**
 * The family that a copy needs whose major version is not the source's: RDS takes no group of another family, and what people set
 * for one version may be wrong for another. Undefined where the versions agree, or one is not known.
 */
export function familyOfOther({ EngineVersion }: Pick<Sdk.DBInstance, 'EngineVersion'>, restored: string | undefined): string | undefined {
  const [ours, theirs] = [majorOf(restored), majorOf(EngineVersion)];
  return ours === undefined || theirs === undefined || ours === theirs ? undefined : `postgres${ours}`;
}

function majorOf(version: string | undefined): string | undefined {
  return /^(\d+)(\.|$)/.exec(version ?? '')?.[1];
}

/** Family of a parameter group, and what people set in it. */
export async function readGroup({ sdk, client }: Rds, name: string): Promise<{ family: string; parameters: Sdk.Parameter[] }> {
  const family = familyOfDefault(name) ?? (await client.send(new sdk.DescribeDBParameterGroupsCommand({ DBParameterGroupName: name }))).DBParameterGroups?.[0]?.DBParameterGroupFamily;
  if (family === undefined) throw ApplicationFailure.nonRetryable(`the parameter group "${name}" of the source has no family`, 'PREFLIGHT');
  const parameters: Sdk.Parameter[] = [];
  if (familyOfDefault(name) !== undefined) return { family, parameters };
  for await (const page of sdk.paginateDescribeDBParameters({ client }, { DBParameterGroupName: name, Source: 'user' })) {
    // Nothing runs in the new group yet: each comes with the start.
    for (const { ParameterName, ParameterValue } of page.Parameters ?? []) if (ParameterValue !== undefined) parameters.push({ ParameterName, ParameterValue, ApplyMethod: 'pending-reboot' });
  }
  return { family, parameters };
}

/** What RDS takes for a parameter of a group, of those that are lists; undefined where it does not say. */
export async function allowedValues({ sdk, client }: Rds, group: string, parameter: string): Promise<string[] | undefined> {
  for await (const page of sdk.paginateDescribeDBParameters({ client }, { DBParameterGroupName: group })) {
    const found = page.Parameters?.find(({ ParameterName }) => ParameterName === parameter);
    if (found) return found.AllowedValues?.split(',').map((value) => value.trim());
  }
  return undefined;
}

/** Sets parameters of a group; a later one of the same name counts. */
export async function setParameters({ sdk, client }: Rds, group: string, parameters: readonly Sdk.Parameter[]): Promise<void> {
  const all = [...new Map(parameters.map((parameter) => [parameter.ParameterName, parameter])).values()];
  for (let at = 0; at < all.length; at += MOST_AT_ONCE) await client.send(new sdk.ModifyDBParameterGroupCommand({ DBParameterGroupName: group, Parameters: all.slice(at, at + MOST_AT_ONCE) }));
}
