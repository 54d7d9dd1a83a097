import { createHash } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/common';
import type { DrillPlan } from '../../contracts/dr-test.ts';
import type { DatabaseSettings } from '../../contracts/configuration.ts';
import { hostTaskQueue } from '../../contracts/search-attributes.ts';
import { sourceConfig, withClient, type ResolvePassword } from '../postgres/source.ts';
import type { DrillDependencies } from './dependencies.ts';
import type { PlanDrillInput } from './drill-activities.ts';
import { applicationName } from '../kernel/names.ts';
import { reasonsOf } from './findings.ts';
import { predict } from './predict.ts';
import type { Point, RecoveryProvider, Supply } from './provider.ts';

export interface PlanningDependencies { settings: DatabaseSettings; provider: RecoveryProvider; resolvePassword: ResolvePassword; pastDrills: DrillDependencies['pastDrills']; host: string }

/** Resolves what will be restored, from where, to where, and what it will take. Changes nothing. */
export async function planDrill(input: PlanDrillInput, { settings, provider, resolvePassword, pastDrills, host }: PlanningDependencies): Promise<DrillPlan> {
  const source = await describeSource(input, settings, resolvePassword);
  const point = await choosePoint(provider, input, source?.clockSkewSeconds ?? 0);
  const supply = await provider.supply(point.id, input.declaredAt);
  const recoverTo = typeof input.recoveryPoint === 'object' && 'time' in input.recoveryPoint ? { time: input.recoveryPoint.time } : null;
  if (recoverTo) refuseBeyondSupply(recoverTo.time, supply);
  const usable = await provider.manifest(point.id, input.declaredAt, recoverTo?.time ?? null);
  const bytes = point.sizeBytes + supply.bytes;
  const notVerified = usable
    ? reasonsOf(usable.manifest.notVerified)
    : { open: [`rows and definitions: recovery point ${point.id} has no manifest${recoverTo ? ` from before ${recoverTo.time}` : ''}`], byDesign: [] };
  if (input.depth === 'quick') notVerified.open.push('rows: depth "quick" compares definitions and counts only');
  return {
    database: input.database, taskQueue: hostTaskQueue(host), depth: input.depth, provider: provider.kind,
    recoveryPoint: { id: point.id, takenAt: point.completeAt, sizeBytes: point.sizeBytes, timeline: point.timeline, serverVersion: point.serverVersion },
    recoverTo, declaredAt: input.declaredAt,
    archive: { lastSegment: supply.lastPiece, segments: supply.pieces, bytes: supply.bytes },
    manifest: usable ? { id: usable.id, databases: usable.manifest.databases.map(({ database, lsn, tables }) => ({ name: database, lsn, tables: tables.length })) } : null,
    predicted: { bytes, ...predict(bytes, await pastDrills(input.database)) },
    creates: { directory: provider.describePlace(), expiresAt: new Date(Date.now() + input.leaseMs).toISOString() },
    objectives: settings.objectives, checks: settings.checks, hasProbe: settings.probe !== undefined, allowNotProven: settings.allowNotProven,
    notVerified, source,
  };
}

async function choosePoint(provider: RecoveryProvider, { recoveryPoint, declaredAt, owner }: PlanDrillInput, skewSeconds: number): Promise<Point> {
  if (typeof recoveryPoint === 'object' && 'id' in recoveryPoint) return provider.find(recoveryPoint.id);
  const before = typeof recoveryPoint === 'object' ? recoveryPoint.time : declaredAt;
  const all = await provider.list();
  // A backup's times are the source's clock, the instants that people give are ours.
  const usable = all.filter((point) => Date.parse(point.completeAt) <= Date.parse(before) + skewSeconds * 1000);
  if (usable.length === 0) {
    const there = all.length === 0 ? 'there is none at all; take one with: runbook start backup' : `the oldest was taken at ${all[0]?.completeAt}`;
    throw ApplicationFailure.nonRetryable(`There is no recovery point from before ${before}: ${there}.`, 'NOT_FOUND');
  }
  if (typeof recoveryPoint === 'object' && Date.parse(before) > Date.parse(declaredAt)) {
    throw ApplicationFailure.nonRetryable(`${before} is after ${declaredAt}, when the disaster was declared; choose an earlier instant.`, 'NOT_FOUND');
  }
  // Drawn from the run, so that a repeated call draws the same.
  const draw = createHash('sha256').update(`${owner.workflowId}\n${owner.firstExecutionRunId}`).digest().readUInt32BE(0);
  return (recoveryPoint === 'random' ? usable[draw % usable.length] : usable.at(-1)) as Point;
}

/** What was committed between the newest archived piece and the asked instant, if anything, is not in the backup. */
function refuseBeyondSupply(time: string, { lastPiece, reachesUntil }: Supply): void {
  if (Date.parse(time) <= Date.parse(reachesUntil)) return;
  throw ApplicationFailure.nonRetryable(`${time} cannot be recovered: the archive ends with ${lastPiece ?? 'the backup itself'} of ${reachesUntil}; ask for an instant before that, or for "latest".`, 'NOT_FOUND');
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
