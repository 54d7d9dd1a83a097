import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import type { AwsLab } from './aws-lab.ts';

/** Another account than the lab's own, with a role in it. */
export const OTHER_ACCOUNT = '210987654321';
/** With it, everything is asked of that account in place of the lab's own. */
export const OTHER_ROLE = `arn:aws:iam::${OTHER_ACCOUNT}:role/drills`;
/** None of the lab's own is here until something is copied to it. */
export const OTHER_REGION = 'eu-west-1';

/** The same lab, as it is for whoever speaks to another region, and to another account where a role of one is given. */
export async function labElsewhere(lab: AwsLab, { region = lab.region, role }: { region?: string; role?: string }): Promise<AwsLab> {
  if (role === undefined) return { ...lab, region };
  const sts = new STSClient({ endpoint: lab.endpoint, region, credentials: lab.credentials });
  const { Credentials: assumed } = await sts.send(new AssumeRoleCommand({ RoleArn: role, RoleSessionName: 'test' }));
  return { ...lab, region, account: role.split(':')[4] ?? '', credentials: { accessKeyId: assumed?.AccessKeyId ?? '', secretAccessKey: assumed?.SecretAccessKey ?? '' } };
}
