import type { AwsAccess } from '../../contracts/rds.ts';
import { iamClient } from './iam-client.ts';

/** A question for IAM: whether a principal may do these to a resource, with these keys for conditions. */
export interface Question { principal: string; actions: readonly string[]; resource: string; context: Readonly<Record<string, string>> }

/**
 * What policies say without anything being asked of the service: IAM's own simulation, which looks at the principal's policies,
 * its boundary and the organization's, and not at policies of keys, nor of sessions.
 * @returns whether each action is permitted
 * @throws the SDK's error, such as AccessDenied where the simulation itself is not permitted
 */
export async function simulatePolicies(access: AwsAccess, { principal, actions, resource, context }: Question): Promise<Map<string, boolean>> {
  const { sdk, client } = await iamClient(access);
  const { EvaluationResults = [] } = await client.send(new sdk.SimulatePrincipalPolicyCommand({
    PolicySourceArn: principal, ActionNames: [...actions], ResourceArns: [resource],
    ContextEntries: Object.entries(context).map(([ContextKeyName, value]) => ({ ContextKeyName, ContextKeyValues: [value], ContextKeyType: value === 'true' ? 'boolean' as const : 'string' as const })),
  }));
  return new Map(EvaluationResults.map(({ EvalActionName = '', EvalDecision, OrganizationsDecisionDetail }) => [EvalActionName, EvalDecision === 'allowed' && OrganizationsDecisionDetail?.AllowedByOrganizations !== false]));
}

/** The user or role whose policies count for who AWS says that we are. A role with a path cannot be told from its session, which does not name that. */
export function policyOwner(callerArn: string, { role }: AwsAccess): string {
  return role?.arn ?? callerArn.replace(/^(arn:[a-z-]+):sts::(\d+):assumed-role\/([^/]+)\/.*$/, '$1:iam::$2:role/$3');
}
