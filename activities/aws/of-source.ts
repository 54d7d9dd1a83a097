import type * as Sdk from '@aws-sdk/client-rds';

/** What RDS says of where a snapshot comes from. */
export type SnapshotOrigin = Pick<Sdk.DBSnapshot, 'DbiResourceId' | 'DBInstanceIdentifier' | 'DBSnapshotArn' | 'SourceDBSnapshotIdentifier'>;

/**
 * Whether a snapshot, or what it was copied from, was taken of the source. By its resource id, which no other instance has; by the
 * instance's name, which one of another region or account may have too, only where the snapshot or its original is of the source's
 * account and region: so those of a former instance of that name count, which RDS lists with it.
 */
export function isOfSource({ DbiResourceId, DBInstanceIdentifier, DBSnapshotArn, SourceDBSnapshotIdentifier }: SnapshotOrigin, source: Pick<Sdk.DBInstance, 'DbiResourceId' | 'DBInstanceIdentifier' | 'DBInstanceArn'>): boolean {
  if (DbiResourceId !== undefined && DbiResourceId === source.DbiResourceId) return true;
  return DBInstanceIdentifier === source.DBInstanceIdentifier && regionAndAccount(SourceDBSnapshotIdentifier ?? DBSnapshotArn) === regionAndAccount(source.DBInstanceArn);
}

function regionAndAccount(arn = ''): string {
  return arn.split(':').slice(3, 5).join(':');
}
