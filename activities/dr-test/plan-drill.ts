import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { DrillPlan } from '../../contracts/dr-test.ts';
import type { DatabaseSettings } from '../../contracts/configuration.ts';
import type { RecoveryPoint } from '../../contracts/recovery-point.ts';
import { hostTaskQueue } from '../../contracts/search-attributes.ts';
import { archiveLayout, backupPaths, listRecoveryPoints, readRecoveryPoint, type ArchiveLayout } from '../archive/layout.ts';
import { RecoveryFailure } from '../archive/recovery-failure.ts';
import { checkWalContinuity, type WalContinuity } from '../archive/wal.ts';
import { parseLsn } from '../postgres/lsn.ts';
import { sourceConfig, withClient, type ResolvePassword } from '../postgres/source.ts';
import type { PlanDrillInput } from './drill-activities.ts';
import { findManifest } from './manifest-file.ts';
import { applicationName } from './names.ts';

/** Bytes a second that a drill restores on a plain disk, for the prediction only. */
const PREDICTED_BYTES_PER_SECOND = 150 * 2 ** 20;

export interface PlanningDependencies { settings: DatabaseSettings; resolvePassword: ResolvePassword; host: string; placeOf: (fence: string) => string }

/** Where the backups and the WAL of a database are. */
export function layoutOf({ provider }: DatabaseSettings): ArchiveLayout {
  return archiveLayout({ root: provider.repository, walDirectory: provider.walDirectory });
}

/** The archive as it stood at an instant: what came later does not count. */
export function archiveAsOf(layout: ArchiveLayout, point: RecoveryPoint, asOf: string): Promise<WalContinuity> {
  return checkWalContinuity({
    walDirectory: layout.wal, timeline: point.timeline, startLsn: parseLsn(point.startLsn), mustReachLsn: parseLsn(point.stopLsn),
    segmentSize: point.walSegmentSize, asOf: new Date(asOf),
  });
}

/** Resolves what will be restored, from where, to where, and what it will take. Changes nothing. */
export async function planDrill(input: PlanDrillInput, { settings, resolvePassword, host, placeOf }: PlanningDependencies): Promise<DrillPlan> {
  const layout = layoutOf(settings);
  const point = await choosePoint(layout, input);
  const wal = await archiveAsOf(layout, point, input.declaredAt);
  const manifest = await findManifest(backupPaths(join(layout.backups, point.id)).manifest);
  const walBytes = wal.segments.length * point.walSegmentSize;
  const bytes = point.sizeBytes + walBytes;
  const source = await describeSource(input, settings, resolvePassword);
  const notVerified = manifest
    ? manifest.notVerified.filter((entry) => !entry.byDesign).map((entry) => `${entry.what}: ${entry.why}`)
    : [`rows and definitions: recovery point ${point.id} has no manifest`];
  if (input.depth === 'quick') notVerified.push('rows: depth "quick" compares definitions and counts only');
  const recoverTo = typeof input.recoveryPoint === 'object' && 'time' in input.recoveryPoint ? { time: input.recoveryPoint.time } : null;
  if (recoverTo && manifest) notVerified.push('rows at the asked instant: the manifest was taken at another position');
  return {
    database: input.database, taskQueue: hostTaskQueue(host), depth: input.depth, provider: settings.provider.kind,
    recoveryPoint: { id: point.id, takenAt: new Date(point.stoppedAt).toISOString(), sizeBytes: point.sizeBytes, timeline: point.timeline, serverVersion: point.serverVersion },
    recoverTo, declaredAt: input.declaredAt,
    archive: { lastSegment: wal.segments.at(-1)?.name ?? null, segments: wal.segments.length, bytes: walBytes },
    manifest: manifest ? { databases: manifest.databases.map(({ database, lsn, tables }) => ({ name: database, lsn, tables: tables.length })) } : null,
    predicted: { bytes, seconds: Math.ceil(bytes / PREDICTED_BYTES_PER_SECOND) + 3 },
    creates: { directory: placeOf('<fence>'), expiresAt: new Date(Date.now() + input.leaseMs).toISOString() },
    objectives: settings.objectives, checks: settings.checks, hasProbe: settings.probe !== undefined, allowNotProven: settings.allowNotProven,
    notVerified, source,
  };
}

async function choosePoint(layout: ArchiveLayout, { recoveryPoint, declaredAt, owner }: PlanDrillInput): Promise<RecoveryPoint> {
  if (typeof recoveryPoint === 'object' && 'id' in recoveryPoint) return readRecoveryPoint({ layout, id: recoveryPoint.id });
  const before = typeof recoveryPoint === 'object' ? recoveryPoint.time : declaredAt;
  const all = await listRecoveryPoints(layout);
  const usable = all.filter((point) => Date.parse(point.stoppedAt) <= Date.parse(before));
  if (usable.length === 0) {
    const there = all.length === 0 ? `${layout.backups} holds none; take one with: runbook start backup` : `the oldest was taken at ${all[0]?.stoppedAt}`;
    throw new RecoveryFailure('RECOVERY_POINT_NOT_FOUND', `There is no recovery point from before ${before}: ${there}.`);
  }
  if (typeof recoveryPoint === 'object' && Date.parse(before) > Date.parse(declaredAt)) {
    throw new RecoveryFailure('TIME_OUT_OF_RANGE', `${before} is after ${declaredAt}, when the disaster was declared; choose an earlier instant.`);
  }
  // Drawn from the run, so that a repeated call draws the same.
  const draw = createHash('sha256').update(`${owner.workflowId}\n${owner.firstExecutionRunId}`).digest().readUInt32BE(0);
  return (recoveryPoint === 'random' ? usable[draw % usable.length] : usable.at(-1)) as RecoveryPoint;
}

/** A source that does not answer is no reason not to drill: the disaster may be real. */
async function describeSource(input: PlanDrillInput, settings: DatabaseSettings, resolvePassword: ResolvePassword): Promise<DrillPlan['source']> {
  const config = await sourceConfig(settings.connection, resolvePassword, applicationName(input.owner));
  return withClient(config(), async (client) => {
    const before = Date.now();
    const { rows: [row] } = await client.query<{ lsn: string; id: string; now: string }>(
      `SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END)::text AS lsn,
              (SELECT system_identifier::text FROM pg_control_system()) AS id, (extract(epoch FROM clock_timestamp()) * 1000)::text AS now`);
    const middle = (before + Date.now()) / 2;
    return row ? { lsn: row.lsn, systemIdentifier: row.id, clockSkewSeconds: Math.round(Number(row.now) - middle) / 1000 } : null;
  }).catch(() => null);
}
