import { ApplicationFailure } from '@temporalio/common';
import type { DrillPlan } from '../../contracts/dr-test.ts';
import type { DatabaseSettings } from '../../contracts/configuration.ts';
import { hostTaskQueue, TASK_QUEUE } from '../../contracts/search-attributes.ts';
import { backupBeganMs } from '../kernel/names.ts';
import type { ResolvePassword } from '../postgres/source.ts';
import type { DrillDependencies } from './dependencies.ts';
import type { PlanDrillInput } from './drill-activities.ts';
import { drawOf } from './draw.ts';
import { reasonsOf } from './findings.ts';
import { planCosts } from './plan-costs.ts';
import { predict } from './predict.ts';
import { describeSource } from './describe-source.ts';
import { notInManifest } from './not-in-manifest.ts';
import { otherCluster, provesNothing } from './other-cluster.ts';
import type { Point, RecoveryProvider, Supply, UnusablePoint } from './provider.ts';

/** What is asked for a plan, and by whose clocks; instants of Temporal and of this host are not taken for the same. */
export interface PlanningDependencies { settings: DatabaseSettings; provider: RecoveryProvider; resolvePassword: ResolvePassword; pastDrills: DrillDependencies['pastDrills']; host: string; signal: AbortSignal;
  /** When Temporal scheduled this, by its clock. */
  scheduledAt: Date;
  /** How far the clock of this host is ahead of Temporal's, negative where it is behind, from {@link measureHostAhead}. */
  hostAheadMs: () => Promise<number> }

/** How far apart clocks may be where it only decides what is said: of who declares and Temporal, or of who named a backup and who asks. */
const CLOCK_DIFFERENCE_MS = 5_000;

/** Resolves what will be restored, from where, to where, and what it will take. Changes nothing. */
export async function planDrill(input: PlanDrillInput, { settings, provider, resolvePassword, pastDrills, host, scheduledAt, hostAheadMs, signal }: PlanningDependencies): Promise<DrillPlan> {
  const beganAt = new Date().toISOString();
  refuseDeclaredLater(input);
  const { source, sourceSilence } = await describeSource(input, { settings, resolvePassword, signal });
  const publishedUntil = await publishedUntilMs(input, hostAheadMs);
  const { point, unusable, drawn } = await choosePoint(provider, input, { publishedUntil, skewSeconds: source?.clockSkewSeconds ?? 0 });
  const passedOver = unusable.map((one) => ({ ...one, isAsked: isAskedAbout(one, { chosen: point, input, publishedUntil }) }));
  // In a moment it may be the one to restore.
  const asked = passedOver.find(({ isAsked, isOfHost }) => isAsked && isOfHost === true);
  if (asked) throw asked.failure;
  // What arrived in the archive did so by this host's clock, as what was published.
  const plannedLast = input.planned?.recoveryPointId === point.id ? input.planned.lastPiece : null;
  const supply = await provider.supply(point.id, new Date(publishedUntil).toISOString(), plannedLast);
  const recoverTo = typeof input.recoveryPoint === 'object' && 'time' in input.recoveryPoint ? { time: provider.reaches?.(input.recoveryPoint.time) ?? input.recoveryPoint.time } : null;
  if (recoverTo) refuseBeyondSupply(recoverTo.time, supply);
  const { usable, passedOver: unreadable } = await supply.manifest(recoverTo?.time ?? null);
  signal.throwIfAborted();
  const bytes = point.sizeBytes + supply.bytes;
  const notVerified = usable
    ? reasonsOf(usable.manifest.notVerified)
    : { open: [`rows and definitions: recovery point ${point.id} has no manifest${recoverTo ? ` from before ${recoverTo.time}` : ''}`], byDesign: [] };
  if (usable) notVerified.open.push(...notInManifest(settings, usable));
  const other = source && otherCluster(point, source.systemIdentifier);
  if (other !== null) notVerified.open.push(provesNothing(other));
  if (usable) notVerified.byDesign.push('entries of indexes: only definitions are compared, and not that each entry is one of its table');
  const archiveEnd = `the end of the archive (${supply.reachesUntil})`;
  const end = recoverTo ? `${recoverTo.time}, or ${archiveEnd} where what it holds ends before that` : archiveEnd;
  if (provider.comparesWith === 'manifest') notVerified.byDesign.push(...(usable?.manifest.databases ?? []).map(({ database, lsn, takenAt }) => `${database}, what was committed after ${lsn} (${takenAt}): replayed up to ${end}, not compared`));
  else notVerified.byDesign.push(...(usable?.manifest.databases ?? []).map(({ database, takenAt }) => `${database}, what was committed after the manifest (${takenAt}) and before ${recoverTo?.time ?? 'the recovery point'}, in ranges that are as the manifest says: not held against the source, so a copy that lacks it as a whole looks the same`));
  for (const { id, failure, isAsked } of passedOver) (isAsked ? notVerified.open : notVerified.byDesign).push(`recovery point ${id} was passed over: ${failure.message}`);
  notVerified.byDesign.push(...await provider.limits?.(point, new Date(publishedUntil)) ?? []);
  notVerified.byDesign.push(...unreadable.map(({ id, failure }) => `manifest ${id} was passed over: ${failure.message}`));
  if (input.depth === 'quick') notVerified.open.push('rows: depth "quick" compares definitions and counts only');
  const predicted = predict(bytes, await pastDrills(input.database));
  return {
    database: input.database, taskQueue: provider.worksOn === 'its host' ? hostTaskQueue(host) : TASK_QUEUE, depth: input.depth, provider: provider.kind,
    recoveryPoint: { id: point.id, takenAt: point.completeAt, sizeBytes: point.sizeBytes, timeline: point.timeline, serverVersion: point.serverVersion },
    ...(drawn === undefined ? {} : { drawn }),
    recoverTo, declaredAt: input.declaredAt,
    archive: { lastSegment: supply.lastPiece, segments: supply.pieces, bytes: supply.bytes },
    ...(provider.comparesWith === 'manifest' ? {} : { comparesWith: provider.comparesWith }),
    manifest: usable ? { id: usable.id, databases: usable.manifest.databases.map(({ database, lsn, tables }) => ({ name: database, lsn, tables: tables.length })) } : null,
    predicted: { bytes, ...predicted },
    ...(provider.bills ? { costs: planCosts(provider.bills.prices, { bytes: point.sizeBytes, predicted }) } : {}),
    creates: { directory: provider.describePlace(input.owner), leaseMs: input.leaseMs, ...(provider.placeAccess && { access: provider.placeAccess }) },
    objectives: settings.objectives, checks: settings.checks, probe: settings.probe ?? null, heartbeat: settings.heartbeat ?? null, allowNotProven: input.allowNotProven ?? settings.allowNotProven,
    notVerified, source, sourceSilence, clocks: { scheduledAt: scheduledAt.toISOString(), beganAt, endedAt: new Date().toISOString() },
    publishedUntil: new Date(publishedUntil).toISOString(),
  };
}

/** Nothing that is measured from an instant in the future means anything. */
function refuseDeclaredLater({ declaredAt, startedAt }: PlanDrillInput): void {
  if (Date.parse(declaredAt) <= Date.parse(startedAt) + CLOCK_DIFFERENCE_MS) return;
  throw ApplicationFailure.nonRetryable(`declaredAt ${declaredAt} is later than the start of the run, ${startedAt}; give the instant at which the disaster was declared, or leave it out.`, 'INVALID_INPUT');
}

/**
 * The instant of the declaration by this host's clock: what was published later, or archived, was not there yet. An instant
 * that somebody gave is one of this host's. One that nobody gave is Temporal's, which this host may be ahead of, or behind;
 * by no more than that, since this may have waited for hours, in which others published.
 */
async function publishedUntilMs({ declaredAt, isDeclaredAtStart = false, publishedUntil }: PlanDrillInput, hostAheadMs: PlanningDependencies['hostAheadMs']): Promise<number> {
  if (publishedUntil !== undefined) return Date.parse(publishedUntil);
  return Date.parse(declaredAt) + (isDeclaredAtStart ? Math.round(await hostAheadMs()) : 0);
}

/** The point to restore, and those that could not be considered. Only one that is asked for by its id must be readable. */
async function choosePoint(provider: RecoveryProvider, input: PlanDrillInput, { publishedUntil, skewSeconds }: { publishedUntil: number; skewSeconds: number }): Promise<{ point: Point; unusable: UnusablePoint[]; drawn?: string }> {
  const { recoveryPoint, declaredAt, owner } = input;
  const byThisHost = publishedUntil === Date.parse(declaredAt) ? '' : ` (${new Date(publishedUntil).toISOString()} by the clock of this host)`;
  const wasThere = ({ availableAt }: Point) => Date.parse(availableAt) <= publishedUntil;
  const notYet = ({ id, availableAt }: Point) => ApplicationFailure.nonRetryable(`There was no recovery point yet when the disaster was declared, ${declaredAt}${byThisHost}: the first that could have been used, ${id}, was published at ${availableAt}.`, 'NOT_FOUND');
  if (typeof recoveryPoint === 'object' && 'id' in recoveryPoint) {
    const point = await provider.find(recoveryPoint.id);
    if (!wasThere(point)) throw notYet(point);
    return { point, unusable: [] };
  }
  const draw = drawOf(owner);
  if (recoveryPoint === 'random' && provider.draw) {
    const { point, from } = await provider.draw({ untilMs: publishedUntil, draw });
    return { point, unusable: [], drawn: from };
  }
  const before = typeof recoveryPoint === 'object' ? recoveryPoint.time : declaredAt;
  const { points, unusable, ifNone } = await provider.list(new Date(publishedUntil));
  const all = points.filter(({ isForInstants }) => typeof recoveryPoint === 'object' || isForInstants === undefined);
  const ofHost = unusable.find((one) => one.isOfHost);
  // Where there is no other, what is wrong with it is the answer.
  const instead = ofHost ?? unusable[0];
  if (all.length === 0 && instead) throw instead.failure;
  // A backup's times are the source's clock, the instants that people give are ours, where the provider does not take them for its own. One that is complete after the instant to recover to cannot reach it.
  const completeUntilMs = typeof recoveryPoint === 'object' ? Date.parse(before) + (provider.takesInstantsAsGiven ? 0 : skewSeconds * 1000) : Infinity;
  const complete = all.filter((point) => Date.parse(point.completeAt) <= completeUntilMs);
  const usable = complete.filter(wasThere);
  if (usable.length === 0) {
    if (ofHost) throw ofHost.failure;
    const [unpublished] = complete;
    if (unpublished) throw notYet(unpublished);
    const there = all.length === 0 ? ifNone : `the oldest was taken at ${all[0]?.completeAt}`;
    throw ApplicationFailure.nonRetryable(`There is no recovery point from before ${before}: ${there}.`, 'NOT_FOUND');
  }
  if (typeof recoveryPoint === 'object' && Date.parse(before) > Date.parse(declaredAt)) {
    throw ApplicationFailure.nonRetryable(`${before} is after ${declaredAt}, when the disaster was declared; choose an earlier instant.`, 'NOT_FOUND');
  }
  if (recoveryPoint !== 'random') return { point: usable.at(-1) as Point, unusable };
  const point = usable[draw(usable.length)] as Point;
  return { point, unusable, drawn: `${point.id}, drawn from ${usable.length} recovery ${usable.length === 1 ? 'point' : 'points'} from ${usable[0]?.completeAt} to ${usable.at(-1)?.completeAt}` };
}

/**
 * Whether one that cannot be read is what was asked about, so that the older one's soundness says nothing of it: it is newer, as names
 * begin with the time, or might have been drawn. Not so one that began after the instant; of a name that is not ours that is not known.
 */
function isAskedAbout({ id }: UnusablePoint, { chosen, input: { recoveryPoint }, publishedUntil }: { chosen: Point; input: PlanDrillInput; publishedUntil: number }): boolean {
  const untilMs = Math.min(publishedUntil, typeof recoveryPoint === 'object' && 'time' in recoveryPoint ? Date.parse(recoveryPoint.time) : Infinity);
  return !(backupBeganMs(id) > untilMs + CLOCK_DIFFERENCE_MS) && (recoveryPoint === 'random' || id > chosen.id);
}

/** What was committed between the newest archived piece and the asked instant, if anything, is not in the backup. */
function refuseBeyondSupply(time: string, { lastPiece, reachesUntil }: Supply): void {
  if (Date.parse(time) <= Date.parse(reachesUntil)) return;
  throw ApplicationFailure.nonRetryable(`${time} cannot be recovered: the archive ends with ${lastPiece ?? 'the backup itself'} of ${reachesUntil}; ask for an instant before that, or for "latest".`, 'NOT_FOUND');
}
