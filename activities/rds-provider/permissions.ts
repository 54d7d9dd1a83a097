import type { RdsProvider } from '../../contracts/rds.ts';
import { askPermission, askWithoutTags, bySimulation, mayLetRdsUse, simulate, type Permission } from '../aws/ask-permission.ts';
import { ec2Client } from '../aws/ec2-client.ts';
import { kmsClient } from '../aws/kms-client.ts';
import { rdsClient } from '../aws/rds-client.ts';
import { policyOwner } from '../aws/simulate-policies.ts';
import { drillTags } from './drill-names.ts';
import { changeProbes, lookProbes, makeProbes, nameOfNothing, NOBODY } from './permission-probes.ts';
import { drillAccess } from './where.ts';

/**
 * Whether each permission is there that a drill needs: those of docs/reference/iam/rds-drills.json. Changes nothing, and makes
 * nothing. What AWS can be asked is asked. What may be done to drills only cannot be, where there is none: IAM's simulation is asked,
 * and where that is not permitted either, it is said that nobody knows.
 * @param key of what is restored: its id, `none` where that is not encrypted, or `unknown`
 */
export async function lookAtPermissions(provider: RdsProvider, { caller, database, key }: { caller: string; database: string; key: string }): Promise<Permission[]> {
  const access = drillAccess(provider);
  const [, partition = 'aws', , , account = ''] = caller.split(':');
  const arn = (kind: 'db' | 'pg', name: string) => `arn:${partition}:rds:${access.region}:${account}:${kind}:${name}`;
  const rds = await rdsClient(access);
  const clients = { rds, ec2: await ec2Client(access), kms: await kmsClient(access) };
  const principal = policyOwner(caller, access);
  const context = Object.fromEntries(drillTags({ ...NOBODY, database }).map(({ Key, Value = '' }) => [`aws:ResourceTag/${Key}`, Value]));
  const changes = changeProbes(rds);
  const simulated = (['db', 'pg'] as const).map(async (kind) => {
    const probes = changes.filter((probe) => probe.kind === kind);
    const answers = await simulate(access, { principal, actions: probes.map(({ action }) => action), resource: arn(kind, nameOfNothing()), context });
    return answers instanceof Map ? probes.map(({ action }) => bySimulation(action, answers)) : Promise.all(probes.map((probe) => askWithoutTags(probe, 'a drill', answers)));
  });
  const keyId = key === 'none' || key === 'unknown' ? undefined : key;
  const grant = keyId === undefined ? [] : await mayLetRdsUse(access, { principal, keyId });
  const unknown = key === 'unknown' ? ['kms:CreateGrant', 'kms:DescribeKey'].map((action): Permission => ({ action, verdict: 'unknown', because: 'whether the source is encrypted is not known' })) : [];
  const asked = [...lookProbes(clients, provider, { arn, keyId }), ...makeProbes(rds, database, arn)].map(askPermission);
  const all = [...unknown, ...await Promise.all(asked), ...grant, ...(await Promise.all(simulated)).flat()];
  return all.toSorted((a, b) => a.action.localeCompare(b.action));
}
