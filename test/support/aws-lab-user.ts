import { CreateAccessKeyCommand, CreateRoleCommand, CreateUserCommand, DeleteUserPolicyCommand, IAMClient, PutRolePolicyCommand, PutUserPolicyCommand } from '@aws-sdk/client-iam';
import { readFile } from 'node:fs/promises';
import type { AwsLab } from './aws-lab.ts';

/** IAM's JSON, as far as our policies use it. */
export interface PolicyDocument { Version: string; Statement: { Sid: string; Effect: string; Action: string[]; Resource: string | string[]; Condition?: Record<string, Record<string, string>> }[] }

/** A user of the lab's IAM, whose policies count once the lab enforces them. */
export interface LabUser {
  readonly arn: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** Gives it these policies, and no others. */
  permit(...policies: readonly PolicyDocument[]): Promise<void>;
}

/** Makes a user with an access key and no policy: it may do nothing until it is permitted something. */
export async function createLabUser(lab: AwsLab, name: string): Promise<LabUser> {
  const iam = new IAMClient({ endpoint: lab.endpoint, region: 'us-east-1', credentials: lab.credentials });
  const { User } = await iam.send(new CreateUserCommand({ UserName: name }));
  const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName: name }));
  let given = 0;
  return {
    arn: User?.Arn ?? '', credentials: { accessKeyId: AccessKey?.AccessKeyId ?? '', secretAccessKey: AccessKey?.SecretAccessKey ?? '' },
    async permit(...policies) {
      for (const [index, policy] of policies.entries()) await iam.send(new PutUserPolicyCommand({ UserName: name, PolicyName: String(index), PolicyDocument: JSON.stringify(policy) }));
      for (let index = policies.length; index < given; index += 1) await iam.send(new DeleteUserPolicyCommand({ UserName: name, PolicyName: String(index) }));
      given = policies.length;
    },
  };
}

/** Makes a role in whatever account the lab is reached in, or gives one that is there these policies, and no others. */
export async function permitRole(lab: AwsLab, name: string, ...policies: readonly PolicyDocument[]): Promise<void> {
  const iam = new IAMClient({ endpoint: lab.endpoint, region: 'us-east-1', credentials: lab.credentials });
  await iam.send(new CreateRoleCommand({ RoleName: name, AssumeRolePolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement: [] }) })).catch((error: Error) => {
    if (error.name !== 'EntityAlreadyExistsException') throw error;
  });
  await iam.send(new PutRolePolicyCommand({ RoleName: name, PolicyName: 'all', PolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement: policies.flatMap(({ Statement }) => Statement) }) }));
}

/** What lets a role be assumed. */
export function assuming(...roles: string[]): PolicyDocument {
  return { Version: '2012-10-17', Statement: [{ Sid: 'Assume', Effect: 'Allow', Action: ['sts:AssumeRole'], Resource: roles }] };
}

/** A policy of docs/reference/iam, as people are told to give it. */
export async function publishedPolicy(name: 'rds-drills' | 'rds-doctor' | 'database-snapshot'): Promise<PolicyDocument> {
  return JSON.parse(await readFile(new URL(`../../docs/reference/iam/${name}.json`, import.meta.url), 'utf8')) as PolicyDocument;
}

/** The same without an action. */
export function without(policy: PolicyDocument, action: string): PolicyDocument {
  return { ...policy, Statement: policy.Statement.map((statement) => ({ ...statement, Action: statement.Action.filter((one) => one !== action) })).filter(({ Action }) => Action.length > 0) };
}
