import type * as Sdk from '@aws-sdk/client-rds';
import type { RdsProvider } from '../../contracts/rds.ts';

/** Below this RDS for PostgreSQL takes neither IOPS nor throughput for gp3, though it says what those are. */
const GP3_CHOICE_GIB = 400;

/** Of io1 and io2: the least that there is of them, and how many IOPS RDS for PostgreSQL takes for each GiB, and at most. */
const PROVISIONED_GIB = 100;
const IOPS_OF: ReadonlyMap<string, { perGib: number; most: number }> = new Map([['io1', { perGib: 50, most: 256_000 }], ['io2', { perGib: 1_000, most: 256_000 }]]);

function mostIops(type: string, gib: number): number | undefined {
  const limits = IOPS_OF.get(type);
  return limits && Math.min(limits.perGib * gib, limits.most);
}

/**
 * What of a restore chooses its storage: RDS would take gp3 for whatever the source has. What is configured counts; else what the
 * source has, as far as RDS takes it for so many GiB: a snapshot may be of when the source was smaller.
 */
export function chooseStorage(configured: RdsProvider['drill']['storage'], source: Pick<Sdk.DBInstance, 'StorageType' | 'Iops' | 'StorageThroughput'>, gib: number): Pick<Sdk.RestoreDBInstanceFromDBSnapshotMessage, 'StorageType' | 'Iops' | 'StorageThroughput'> {
  if (configured) return { StorageType: configured.type, ...(configured.iops === undefined ? {} : { Iops: configured.iops }), ...(configured.throughput === undefined ? {} : { StorageThroughput: configured.throughput }) };
  const { StorageType, Iops, StorageThroughput } = source;
  if (StorageType === undefined) return {};
  const most = mostIops(StorageType, gib);
  if (most !== undefined) return gib < PROVISIONED_GIB ? { StorageType: 'gp3' } : { StorageType, ...(Iops === undefined ? {} : { Iops: Math.min(Iops, most) }) };
  const isChosen = StorageType === 'gp3' && gib >= GP3_CHOICE_GIB;
  return { StorageType, ...(isChosen && Iops !== undefined ? { Iops } : {}), ...(isChosen && StorageThroughput !== undefined ? { StorageThroughput } : {}) };
}

/** Why RDS would refuse what is configured for so many GiB; undefined where it would not. */
export function storageProblem({ type, iops, throughput }: NonNullable<RdsProvider['drill']['storage']>, gib: number): string | undefined {
  const most = mostIops(type, gib);
  if (most !== undefined && gib < PROVISIONED_GIB) return `RDS has no ${type} of less than ${PROVISIONED_GIB} GiB, and what is restored has ${gib}`;
  if (most !== undefined && iops !== undefined && iops > most) return `RDS takes at most ${most} IOPS for ${gib} GiB of ${type}, and not ${iops}`;
  if (type === 'gp3' && gib < GP3_CHOICE_GIB && (iops !== undefined || throughput !== undefined)) return `RDS takes neither IOPS nor throughput for gp3 of less than ${GP3_CHOICE_GIB} GiB, and what is restored has ${gib}`;
  return undefined;
}

/** What an instance runs on: `db.t4g.large, 20 GiB of gp3`, and what RDS is doing to its storage: "Initializing" is loading its blocks. */
export function describeHardware({ DBInstanceClass, AllocatedStorage, StorageType, Iops, StorageThroughput, StorageOperationStatus: operation, StorageOperationPercentProgress: percent }: Sdk.DBInstance): string {
  const under = operation === undefined ? [] : [`its storage ${operation}${percent === undefined ? '' : ` (${percent} %)`} when it could be connected to`];
  return [DBInstanceClass, `${AllocatedStorage} GiB of ${StorageType ?? 'storage'}`, ...(Iops ? [`${Iops} IOPS`] : []), ...(StorageThroughput ? [`${StorageThroughput} MiB/s`] : []), ...under].join(', ');
}
