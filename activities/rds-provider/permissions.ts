import type { RdsProvider } from '../../contracts/rds.ts';
import { explainAws, isDenied } from '../aws/failures.ts';
import { ec2Client } from '../aws/ec2-client.ts';
import { kmsClient } from '../aws/kms-client.ts';
import { rdsClient } from '../aws/rds-client.ts';
import { stsClient } from '../aws/sts-client.ts';
import { drillTags } from './drill-names.ts';
import { changeProbes, lookProbes, makeProbes, nameOfNothing, NOBODY, type Probe } from './permission-probes.ts';
import { policyOwner, simulatePolicies, type Question } from './simulate-policies.ts';
import { drillAccess } from './where.ts';

/** `doubtful`: policies do not permit it, and what else may was not looked at. `unknown`: it was not looked at. `because` says why. */
export interface Permission { action: string; verdict: 'permitted' | 'missing' | 'doubtful' | 'unknown'; because: string }

/** Who AWS says that we are where drills are made. */
export async function whoAsks(provider: RdsProvider): Promise<string> {
  const { sdk, client } = await stsClient(drillAccess(provider));
  return (await client.send(new sdk.GetCallerIdentityCommand({}))).Arn ?? '';
}

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
    return answers instanceof Map ? probes.map(({ action }) => bySimulation(action, answers)) : Promise.all(probes.map((probe) => ofNothing(probe, answers)));
  });
  const keyId = key === 'none' || key === 'unknown' ? undefined : key;
  const grant = keyId === undefined ? [] : [mayGrant(access, principal, keyId)];
  const unknown = key === 'unknown' ? ['kms:CreateGrant', 'kms:DescribeKey'].map((action): Permission => ({ action, verdict: 'unknown', because: 'whether the source is encrypted is not known' })) : [];
  const asked = [...lookProbes(clients, provider, { arn, keyId }), ...makeProbes(rds, database, arn)].map(ask);
  const all = [...unknown, ...await Promise.all([...asked, ...grant]), ...(await Promise.all(simulated)).flat()];
  return all.toSorted((a, b) => a.action.localeCompare(b.action));
}

/** AWS says which permission is lacking, which may be another than that of the call: to tag is one of its own. */
const LACKING = /not authorized to perform: ([a-z0-9-]+:[A-Za-z]+)/;
/** Said by a service that has looked at permissions before: AWS itself relies on it (Application Auto Scaling, "Permissions validation for API calls on target resources"). */
const LOOKED_FOR = /NotFound(Fault|Exception)?$|^Invalid/;

async function ask({ action, ask: send }: Probe): Promise<Permission> {
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

/** A policy that permits more than drills need answers also of what is not there. */
async function ofNothing(probe: Probe, unsimulated: string): Promise<Permission> {
  const asked = await ask(probe);
  return asked.verdict === 'missing' ? { ...asked, verdict: 'unknown', because: `AWS refuses it for what has no tags of a drill, as it should; for what has some, ${unsimulated}` } : asked;
}

/** RDS asks for it in the name of who restores, and nobody else may. */
async function mayGrant(access: RdsProvider['access'], principal: string, keyId: string): Promise<Permission> {
  const action = 'kms:CreateGrant';
  const { sdk, client } = await kmsClient(access);
  const key = await client.send(new sdk.DescribeKeyCommand({ KeyId: keyId })).then(({ KeyMetadata }) => KeyMetadata, () => undefined);
  if (key?.KeyManager === 'AWS') return { action, verdict: 'permitted', because: "AWS's own key for RDS asks for no permission" };
  const answers = await simulate(access, { principal, actions: [action], resource: key?.Arn ?? keyId, context: { 'kms:ViaService': `rds.${access.region}.amazonaws.com`, 'kms:GrantIsForAWSResource': 'true' } });
  if (!(answers instanceof Map)) return { action, verdict: 'unknown', because: `only RDS can ask for it; ${answers}` };
  const answer = bySimulation(action, answers);
  return answer.verdict === 'missing' ? { ...answer, verdict: 'doubtful', because: `${answer.because}; whether the key's own policy permits it was not looked at` } : answer;
}

/** The answers, or why there are none. */
async function simulate(access: RdsProvider['access'], question: Question): Promise<Map<string, boolean> | string> {
  try {
    return await simulatePolicies(access, question);
  } catch (error) {
    const { name } = error as Error;
    return isDenied(error) ? 'IAM may not be asked (iam:SimulatePrincipalPolicy)' : `IAM does not say (${name} for ${question.principal})`;
  }
}

function bySimulation(action: string, answers: Map<string, boolean>): Permission {
  const answer = answers.get(action);
  return answer === undefined ? { action, verdict: 'unknown', because: "IAM's simulation says nothing of it" } : { action, verdict: answer ? 'permitted' : 'missing', because: `IAM's simulation says ${answer ? 'yes' : 'no'}` };
}
