import type * as Sdk from '@aws-sdk/client-kms';
import { ApplicationFailure } from '@temporalio/common';
import type { Check } from '../../contracts/evidence.ts';
import { isDenied } from '../aws/failures.ts';
import type { Kms } from '../aws/kms-client.ts';

/**
 * Looks whether the key of what is restored can be used: RDS finds out only while it restores, and the copy then is lost.
 * @param what such as "the snapshot x"
 * @throws ApplicationFailure `PREFLIGHT`
 */
export async function checkKey({ sdk, client }: Kms, keyId: string, what: string): Promise<Check> {
  const refuse = (problem: string) => ApplicationFailure.nonRetryable(`the key ${keyId}, with which ${what} is encrypted, ${problem}`, 'PREFLIGHT');
  let key: Sdk.KeyMetadata | undefined;
  try {
    key = (await client.send(new sdk.DescribeKeyCommand({ KeyId: keyId }))).KeyMetadata;
  } catch (error) {
    if (isDenied(error)) throw refuse(`does not let this role in (${(error as Error).name}); allow kms:DescribeKey and kms:CreateGrant in its key policy, and in the role's own as docs/reference/iam has it`);
    if (error instanceof sdk.NotFoundException) throw refuse('is not there; restore a recovery point whose key is, or copy it under another key');
    throw error;
  }
  if (key?.Enabled !== true) throw refuse(`cannot be used: it is ${key?.KeyState ?? 'unknown'}; enable it, or cancel its deletion`);
  return { name: 'encryption key', outcome: 'passed', detail: `${key.Arn ?? keyId} is enabled${key.KeyManager === 'AWS' ? ", AWS's own of this account" : ''}` };
}
