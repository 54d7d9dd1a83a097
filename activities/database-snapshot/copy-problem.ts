import type { AwsAccess, RdsProvider, SnapshotSettings } from '../../contracts/rds.ts';
import { accountOf, describeAccess } from '../rds-provider/where.ts';
import type { SnapshotSource } from './snapshot-store.ts';

/** Why copies cannot go where the configuration sends them, in a sentence that ends with what to do, after a semicolon; undefined where they can. */
export function copyProblem({ identifier: instance, arn, isEncrypted }: SnapshotSource, provider: RdsProvider, { copyTo }: SnapshotSettings): string | undefined {
  const onItself = copyTo.findIndex((access) => isWhere(access, arn, provider));
  if (onItself >= 0) return `provider.snapshots.copyTo[${onItself}] is where ${instance} itself is; name another region or account`;
  const without = copyTo.findIndex(({ kmsKey }) => isEncrypted && kmsKey === undefined);
  const access = copyTo[without];
  return access && `${instance} is encrypted, and its key is of no use elsewhere; name a key of ${describeAccess(access)} in provider.snapshots.copyTo[${without}].kmsKey`;
}

/** Whether an access leads to the region and account of an instance; that of credentials without a role is known where the source is reached without one, too. */
function isWhere(access: AwsAccess, arn: string, provider: RdsProvider): boolean {
  const [region, account] = arn.split(':').slice(3, 5);
  return access.region === region && (accountOf(access) ?? (provider.access.role ? undefined : account)) === account;
}
