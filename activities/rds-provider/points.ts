import type * as Sdk from '@aws-sdk/client-rds';
import { ApplicationFailure } from '@temporalio/common';
import type { RdsProvider } from '../../contracts/rds.ts';
import { isNamed } from '../aws/failures.ts';
import type { Rds } from '../aws/rds-client.ts';
import type { Point } from '../dr-test/provider.ts';
import { sourceInstance } from './instance.ts';

/** What RDS can restore: a snapshot, or a second of the time for which it keeps WAL. */
export type RdsPoint = Point & { kind: 'snapshot' | 'time' };

/** From when to when RDS can restore every second; null where it keeps no WAL. */
export interface RestoreWindow { earliest: Date; latest: Date }

const TIME_ID = /^time\.(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;
const GIB = 2 ** 30;

/** The id of a second, sortable as text. */
function timeId(instant: Date): string {
  return `time.${instant.toISOString().replaceAll(/[-:]/g, '').slice(0, 15)}Z`;
}

/** The instant of an id that {@link listPoints} gave to a second; undefined for a snapshot's. */
export function instantOfId(id: string): Date | undefined {
  return TIME_ID.test(id) ? new Date(id.replace(TIME_ID, '$1-$2-$3T$4:$5:$6Z')) : undefined;
}

/** All that can be restored, oldest first: the first and the last second, and the snapshots that are whole. */
export async function listPoints(rds: Rds, provider: RdsProvider): Promise<RdsPoint[]> {
  const source = await sourceInstance(rds, provider.instance);
  const window = await restoreWindow(rds, source);
  const points: RdsPoint[] = [];
  for await (const page of rds.sdk.paginateDescribeDBSnapshots({ client: rds.client }, { DBInstanceIdentifier: provider.instance })) {
    points.push(...(page.DBSnapshots ?? []).filter(({ Status }) => Status === 'available').map(snapshotPoint));
  }
  const seconds = window ? [window.earliest, ...(provider.latest === 'pointInTime' ? [window.latest] : [])] : [];
  return [...points, ...seconds.map((instant) => timePoint(instant, source))].sort((a, b) => Date.parse(a.completeAt) - Date.parse(b.completeAt));
}

/** @throws ApplicationFailure `NOT_FOUND` */
export async function findPoint(rds: Rds, provider: RdsProvider, id: string): Promise<RdsPoint> {
  const instant = instantOfId(id);
  if (!instant) return snapshotPoint(await findSnapshot(rds, id));
  const source = await sourceInstance(rds, provider.instance);
  const window = await restoreWindow(rds, source);
  if (!window) throw ApplicationFailure.nonRetryable(`RDS keeps no backups of ${provider.instance} (its retention is 0), so no second can be restored; name a snapshot`, 'NOT_FOUND');
  if (instant < wholeSecond(window.earliest) || instant > window.latest) throw ApplicationFailure.nonRetryable(`${instant.toISOString()} cannot be restored: RDS keeps ${provider.instance} from ${window.earliest.toISOString()} to ${window.latest.toISOString()}`, 'NOT_FOUND');
  return timePoint(instant, source);
}

/** @throws ApplicationFailure `NOT_FOUND` */
export async function findSnapshot({ sdk, client }: Rds, id: string): Promise<Sdk.DBSnapshot> {
  const found = await client.send(new sdk.DescribeDBSnapshotsCommand({ DBSnapshotIdentifier: id })).catch((error: unknown) => {
    if (isNamed(error, 'DBSnapshotNotFound')) return undefined;
    throw error;
  });
  const snapshot = found?.DBSnapshots?.[0];
  if (snapshot?.Status === 'available') return snapshot;
  throw ApplicationFailure.nonRetryable(snapshot ? `the snapshot "${id}" cannot be restored: it is ${snapshot.Status}` : `there is no snapshot "${id}" in this account and region`, 'NOT_FOUND');
}

export async function restoreWindow({ sdk, client }: Rds, source: Sdk.DBInstance): Promise<RestoreWindow | null> {
  if ((source.BackupRetentionPeriod ?? 0) === 0) return null;
  const { DBInstanceAutomatedBackups = [] } = await client.send(new sdk.DescribeDBInstanceAutomatedBackupsCommand({ DBInstanceIdentifier: source.DBInstanceIdentifier }));
  const { EarliestTime: earliest, LatestTime: latest } = DBInstanceAutomatedBackups.find(({ DbiResourceId }) => DbiResourceId === source.DbiResourceId)?.RestoreWindow ?? {};
  const last = source.LatestRestorableTime ?? latest;
  return earliest && last ? { earliest, latest: last } : null;
}

function snapshotPoint({ DBSnapshotIdentifier: id = '', SnapshotCreateTime, OriginalSnapshotCreateTime, AllocatedStorage = 0, EngineVersion = '' }: Sdk.DBSnapshot): RdsPoint {
  const availableAt = (SnapshotCreateTime ?? new Date(0)).toISOString();
  // A copy was made later than what it holds.
  const at = (OriginalSnapshotCreateTime ?? SnapshotCreateTime ?? new Date(0)).toISOString();
  return { kind: 'snapshot', id, beganAt: at, completeAt: at, availableAt, sizeBytes: AllocatedStorage * GIB, timeline: 1, serverVersion: EngineVersion, systemIdentifier: null };
}

function timePoint(instant: Date, { AllocatedStorage = 0, EngineVersion = '' }: Sdk.DBInstance): RdsPoint {
  const at = wholeSecond(instant).toISOString();
  return { kind: 'time', id: timeId(instant), beganAt: at, completeAt: at, availableAt: at, sizeBytes: AllocatedStorage * GIB, timeline: 1, serverVersion: EngineVersion, systemIdentifier: null };
}

/** Another second that can be restored as this one can. */
export function atSecond(point: RdsPoint, instant: Date): RdsPoint {
  const at = wholeSecond(instant).toISOString();
  return { ...point, id: timeId(instant), beganAt: at, completeAt: at, availableAt: at };
}

/** RDS restores to a second. */
export function wholeSecond(instant: Date): Date {
  return new Date(Math.floor(instant.getTime() / 1_000) * 1_000);
}
