import type * as Sdk from '@aws-sdk/client-rds';
import type { RdsProvider } from '../../contracts/rds.ts';

/** Below this RDS for PostgreSQL takes neither IOPS nor throughput for gp3, though it says what those are. */
const GP3_CHOICE_GIB = 400;

/** What of a restore chooses its storage: RDS would take gp3 for whatever the source has. What is configured counts; else what the source has, as far as RDS takes it for so many GiB. */
export function chooseStorage(configured: RdsProvider['drill']['storage'], source: Pick<Sdk.DBInstance, 'StorageType' | 'Iops' | 'StorageThroughput'>, gib: number): Pick<Sdk.RestoreDBInstanceFromDBSnapshotMessage, 'StorageType' | 'Iops' | 'StorageThroughput'> {
  if (configured) return { StorageType: configured.type, ...(configured.iops === undefined ? {} : { Iops: configured.iops }), ...(configured.throughput === undefined ? {} : { StorageThroughput: configured.throughput }) };
  const { StorageType, Iops, StorageThroughput } = source;
  if (StorageType === undefined) return {};
  const isChosen = StorageType.startsWith('io') || (StorageType === 'gp3' && gib >= GP3_CHOICE_GIB);
  return { StorageType, ...(isChosen && Iops !== undefined ? { Iops } : {}), ...(isChosen && StorageType === 'gp3' && StorageThroughput !== undefined ? { StorageThroughput } : {}) };
}

/** What an instance runs on: `db.t4g.large, 20 GiB of gp3`. */
export function describeHardware({ DBInstanceClass, AllocatedStorage, StorageType, Iops, StorageThroughput }: Sdk.DBInstance): string {
  return [DBInstanceClass, `${AllocatedStorage} GiB of ${StorageType ?? 'storage'}`, ...(Iops ? [`${Iops} IOPS`] : []), ...(StorageThroughput ? [`${StorageThroughput} MiB/s`] : [])].join(', ');
}
