import type { AwsAccess } from '../../contracts/rds.ts';
import { explainAws, isDenied } from './failures.ts';
import { kmsClient } from './kms-client.ts';
import { simulatePolicies, type Question } from './simulate-policies.ts';
import { stsClient } from './sts-client.ts';

/** `doubtful`: policies do not permit it, and what else may was not looked at. `unknown`: it was not looked at. `because` says why. */
export interface Permission { action: string; verdict: 'permitted' | 'missing' | 'doubtful' | 'unknown'; because: string }

/** A call that shows by its answer whether it is permitted, and can change nothing. */
export interface Probe { action: string; ask: () => Promise<unknown> }

/** Who AWS says that we are. */
export async function whoAsks(access: AwsAccess): Promise<string> {
  const { sdk, client } = await stsClient(access);
  return (await client.send(new sdk.GetCallerIdentityCommand({}))).Arn ?? '';
}

/** AWS says which permission is lacking, which may be another than that of the call: to tag is one of its own. */
const LACKING = /not authorized to perform: ([a-z0-9-]+:[A-Za-z]+)/;
/** Said by a service that has looked at permissions before: AWS itself relies on it (Application Auto Scaling, "Permissions validation for API calls on target resources"). */
const LOOKED_FOR = /NotFound(Fault|Exception)?$|^Invalid/;

/** Whether AWS permits a call, by its answer. */
export async function askPermission({ action, ask: send }: Probe): Promise<Permission> {
  try {
    await send();
    return { action, verdict: 'permitted', because: 'AWS answered' };
  } catch (error) {
    const { name, message } = error as Error;
    if (LOOKED_FOR.test(name) && !isDenied(error)) return { action, verdict: 'permitted', because: `AWS looked for it (${name})` };
    const lacking = LACKING.exec(message)?.[1] ?? action;
    if (isDenied(error) && lacking === action) return { action, verdict: 'missing', because: `AWS answered ${name}` };
    if (isDenied(error)) return { action, verdict: 'unknown', because: `AWS looks at ${lacking} first, which is missing` };
    return { action, verdict: 'unknown', because: (explainAws(error, `asking for ${action}`) as Error).message };
  }
}

/**
 * The same of what may be done only to what has our tags, asked of what is not there and has none: a policy that permits more answers
 * all the same.
 * @param whose such as "a drill"
 * @param unsimulated why IAM's simulation did not answer
 */
export async function askWithoutTags(probe: Probe, whose: string, unsimulated: string): Promise<Permission> {
  const asked = await askPermission(probe);
  return asked.verdict === 'missing' ? { ...asked, verdict: 'unknown', because: `AWS refuses it for what has no tags of ${whose}, as it should; for what has some, ${unsimulated}` } : asked;
}

/**
 * Whether RDS may use a key: it does that in the name of who restores or copies, and nobody may ask for it without RDS. A key's own
 * policy may permit what IAM's do not.
 * @param besides what is needed beside a grant
 */
export async function mayLetRdsUse(access: AwsAccess, { principal, keyId, besides = [] }: { principal: string; keyId: string; besides?: readonly string[] }): Promise<Permission[]> {
  const actions = ['kms:CreateGrant', ...besides];
  const { sdk, client } = await kmsClient(access);
  const key = await client.send(new sdk.DescribeKeyCommand({ KeyId: keyId })).then(({ KeyMetadata }) => KeyMetadata, () => undefined);
  if (key?.KeyManager === 'AWS') return actions.map((action) => ({ action, verdict: 'permitted', because: "AWS's own key for RDS asks for no permission" }));
  const answers = await simulate(access, { principal, actions, resource: key?.Arn ?? keyId, context: { 'kms:ViaService': `rds.${access.region}.amazonaws.com`, 'kms:GrantIsForAWSResource': 'true' } });
  if (!(answers instanceof Map)) return actions.map((action) => ({ action, verdict: 'unknown', because: `only RDS can ask for it; ${answers}` }));
  return actions.map((action) => byTheKeyToo(bySimulation(action, answers)));
}

/** Of what a key is needed for: that IAM's policies do not permit it is not all. */
export function byTheKeyToo(permission: Permission): Permission {
  return permission.verdict === 'missing' ? { ...permission, verdict: 'doubtful', because: `${permission.because}; whether the key's own policy permits it was not looked at` } : permission;
}

/** IAM's answers, or why there are none. */
export async function simulate(access: AwsAccess, question: Question): Promise<Map<string, boolean> | string> {
  try {
    return await simulatePolicies(access, question);
  } catch (error) {
    const { name } = error as Error;
    return isDenied(error) ? 'IAM may not be asked (iam:SimulatePrincipalPolicy)' : `IAM does not say (${name} for ${question.principal})`;
  }
}

/** What the simulation said of an action. */
export function bySimulation(action: string, answers: Map<string, boolean>): Permission {
  const answer = answers.get(action);
  return answer === undefined ? { action, verdict: 'unknown', because: "IAM's simulation says nothing of it" } : { action, verdict: answer ? 'permitted' : 'missing', because: `IAM's simulation says ${answer ? 'yes' : 'no'}` };
}
