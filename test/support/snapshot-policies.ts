import { CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import type { AwsLab } from './aws-lab.ts';
import { labElsewhere, OTHER_REGION, OTHER_ROLE } from './aws-lab-elsewhere.ts';
import { assuming, createLabUser, permitRole, publishedPolicy, type LabUser, type PolicyDocument } from './aws-lab-user.ts';

/** Whoever takes snapshots with what docs permits and nothing else: a worker where the source is, and its role in another account. */
export interface SnapshotTakers {
  worker: LabUser;
  /** As it stands in docs. */
  published: PolicyDocument;
  /** Of the source, which lets the other account in, and of each place of copies. */
  keys: Keys;
  /** The lab as somebody in the other account has it who may do everything there. */
  there: AwsLab;
  /** Gives the worker these policies, and leave to assume its role. */
  permitWorker: (...policies: PolicyDocument[]) => Promise<void>;
  /** Gives the role these policies. */
  permitRole: (...policies: PolicyDocument[]) => Promise<void>;
}

interface Keys { source: string; region: string; account: string }

/** Makes them, each with the policy that docs has; the lab enforces no policies yet. */
export async function createSnapshotTakers(lab: AwsLab, source: string): Promise<SnapshotTakers> {
  const session = await labElsewhere(lab, { role: OTHER_ROLE });
  // Policies do not count yet: by and by they will for the session, too.
  const administrator = await createLabUser(session, 'administrator');
  await administrator.permit({ Version: '2012-10-17', Statement: [{ Sid: 'All', Effect: 'Allow', Action: ['*'], Resource: '*' }] });
  const there = { ...session, credentials: administrator.credentials };
  const published = await publishedPolicy('database-snapshot');
  const worker = await createLabUser(lab, 'taker');
  const takers: SnapshotTakers = {
    worker, published, there,
    keys: { source, region: await createKey({ ...lab, region: OTHER_REGION }), account: await createKey(there) },
    permitWorker: (...policies) => worker.permit(...policies, assuming(OTHER_ROLE)),
    permitRole: (...policies) => permitRole(there, 'drills', ...policies),
  };
  await takers.permitWorker(published);
  await takers.permitRole(published);
  return takers;
}

/** Where the lab is reached; answers its ARN. It leaves to IAM who may use it, and lets in others than its own account where these are given. */
export async function createKey({ endpoint, region, credentials, account }: AwsLab, others: readonly string[] = []): Promise<string> {
  const Principal = { AWS: [account, ...others].map((one) => `arn:aws:iam::${one}:root`) };
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal, Action: 'kms:*', Resource: '*' }] });
  const { KeyMetadata } = await new KMSClient({ endpoint, region, credentials }).send(new CreateKeyCommand({ Policy }));
  return KeyMetadata?.Arn ?? '';
}

/** Both places of copies, as the configuration names them. */
export function copiesWith({ region, account }: Keys, here: string) {
  return [{ region: OTHER_REGION, kmsKey: region }, { region: here, role: { arn: OTHER_ROLE }, kmsKey: account }];
}

