import type * as Sdk from '@aws-sdk/client-rds';
import { ApplicationFailure } from '@temporalio/common';
import type { RdsProvider } from '../../contracts/rds.ts';
import { ifThere } from '../aws/failures.ts';
import { isOfSource } from '../aws/of-source.ts';
import type { Rds } from '../aws/rds-client.ts';
import type { Point, UnusablePoint } from '../dr-test/provider.ts';
import { sourceInstance } from './instance.ts';
import { describeAccess, drillAccess, isElsewhere, type RdsPlaces } from './where.ts';

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

/**
 * All that can be restored where drills are made, oldest first: the first second and the last one until `asOf`, and the snapshots that are
 * whole; and snapshots that are there and cannot be. `ifNone` as {@link nothingToRestore} says it.
 */
export async function listPoints(rds: RdsPlaces, provider: RdsProvider, asOf: Date): Promise<{ points: RdsPoint[]; unusable: UnusablePoint[]; ifNone: string }> {
  const source = await sourceInstance(rds.source, provider.instance);
  const window = isElsewhere(provider) ? null : await restoreWindow(rds.source, source);
  const [points, unusable] = [window ? secondsUntil(window, asOf, { source, latest: provider.latest }) : [], [] as UnusablePoint[]];
  for await (const page of rds.drills.sdk.paginateDescribeDBSnapshots({ client: rds.drills.client }, isElsewhere(provider) ? { IncludeShared: true } : { DBInstanceIdentifier: provider.instance })) {
    for (const snapshot of (page.DBSnapshots ?? []).filter(({ Status }) => Status === 'available')) {
      if (!isOfSource(snapshot, source)) continue;
      const point = snapshotPoint(snapshot);
      if (isSharedAndEncrypted(snapshot)) unusable.push({ id: point.id, failure: sharedAndEncrypted(point.id) });
      else points.push(point);
    }
  }
  return { points: points.sort((a, b) => Date.parse(a.completeAt) - Date.parse(b.completeAt)), unusable, ifNone: nothingToRestore(provider, window) };
}

/** Where no snapshot was found, and no second will do: where that was looked for, and what to do, as the second half of a sentence. */
export function nothingToRestore(provider: Pick<RdsProvider, 'access' | 'drill' | 'instance' | 'latest' | 'snapshots'>, window: RestoreWindow | null): string {
  const { instance, latest, snapshots } = provider;
  const nowhere = `there is no snapshot of ${instance} in ${describeAccess(drillAccess(provider))}`;
  if (isElsewhere(provider)) return `${nowhere}, where drills are made; look whether provider.drill.access names the right region and account, and whether snapshots are copied there (provider.snapshots.copyTo) or shared with it`;
  const seconds = !window ? 'RDS keeps no second of it (its backup retention is 0, or its first backup is not over)'
    : latest === 'snapshot' ? 'provider.latest asks for one' : `RDS keeps its seconds from ${window.earliest.toISOString()} on`;
  const take = snapshots ? 'take one with: runbook start database-snapshot' : 'take one in RDS';
  return `${nowhere}, and ${seconds}; look whether provider.instance and provider.access name the right one; where they do, ${take}${window ? '' : ', or give the instance a backup retention'}`;
}

/**
 * RDS goes on archiving after a declaration, and may have moved its last second past it before it was asked: every second up to then is
 * there all the same. The first one says from when on an instant can be reached; the latest that there is it never is.
 */
function secondsUntil(window: RestoreWindow, asOf: Date, { source, latest }: { source: Sdk.DBInstance; latest: RdsProvider['latest'] }): RdsPoint[] {
  const last = window.latest > asOf ? asOf : window.latest;
  const first: RdsPoint = { ...timePoint(window.earliest, source), isForInstants: true };
  return latest === 'pointInTime' && last >= window.earliest ? [first, timePoint(last, source)] : [first];
}

/** @throws ApplicationFailure `NOT_FOUND`, `PREFLIGHT` for a snapshot that has to be copied first */
export async function findPoint(rds: RdsPlaces, provider: RdsProvider, id: string): Promise<RdsPoint> {
  const instant = instantOfId(id);
  const source = await sourceInstance(rds.source, provider.instance);
  if (!instant) return snapshotPoint(await findSnapshot(rds.drills, provider, source, id));
  refuseSecondElsewhere(provider, instant.toISOString());
  const window = await restoreWindow(rds.source, source);
  if (!window) throw ApplicationFailure.nonRetryable(`RDS keeps no backups of ${provider.instance} (its retention is 0), so no second can be restored; name a snapshot`, 'NOT_FOUND');
  if (instant < wholeSecond(window.earliest) || instant > window.latest) throw ApplicationFailure.nonRetryable(`${instant.toISOString()} cannot be restored: RDS keeps ${provider.instance} from ${window.earliest.toISOString()} to ${window.latest.toISOString()}`, 'NOT_FOUND');
  return timePoint(instant, source);
}

/** @throws ApplicationFailure `NOT_FOUND` where drills are made elsewhere than the source is */
export function refuseSecondElsewhere(provider: RdsProvider, asked: string): void {
  if (!isElsewhere(provider)) return;
  throw ApplicationFailure.nonRetryable(`${asked} cannot be restored in ${describeAccess(drillAccess(provider))}: RDS restores a point in time only where the source is; name a snapshot, or "latest"`, 'NOT_FOUND');
}

/** @throws ApplicationFailure `NOT_FOUND`, `PREFLIGHT` */
export async function findSnapshot({ sdk, client }: Rds, provider: RdsProvider, source: Sdk.DBInstance, id: string): Promise<Sdk.DBSnapshot> {
  const found = await ifThere(client.send(new sdk.DescribeDBSnapshotsCommand({ DBSnapshotIdentifier: id, ...(id.startsWith('arn:') ? { IncludeShared: true } : {}) })), 'DBSnapshotNotFound');
  const snapshot = found?.DBSnapshots?.[0];
  const refuse = (why: string) => ApplicationFailure.nonRetryable(why, 'NOT_FOUND');
  if (!snapshot) throw refuse(`there is no snapshot "${id}" in ${isElsewhere(provider) ? describeAccess(drillAccess(provider)) : 'this account and region'}`);
  if (!isOfSource(snapshot, source)) throw refuse(`the snapshot "${id}" was not taken of the source, ${provider.instance} (${source.DbiResourceId}), but of the instance ${snapshot.DBInstanceIdentifier} (${snapshot.DbiResourceId})`);
  if (snapshot.Status !== 'available') throw refuse(`the snapshot "${id}" cannot be restored: it is ${snapshot.Status}`);
  if (isSharedAndEncrypted(snapshot)) throw sharedAndEncrypted(id);
  return snapshot;
}

/** Where it is another account's it has its ARN for an identifier, and RDS restores from no such one that is encrypted. */
function isSharedAndEncrypted({ DBSnapshotIdentifier = '', Encrypted }: Sdk.DBSnapshot): boolean {
  return Encrypted === true && DBSnapshotIdentifier.startsWith('arn:');
}

function sharedAndEncrypted(id: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(`the snapshot "${id}" is encrypted and only shared with this account, and RDS restores none of those; copy it there first (CopyDBSnapshot with a key of that account)`, 'PREFLIGHT');
}

/** Asks RDS anew with each call: both ends move. The later end is the instance's own word, where it has one. */
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
