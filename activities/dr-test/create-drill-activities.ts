import { join } from 'node:path';
import { hostname } from 'node:os';
import { ApplicationFailure } from '@temporalio/common';
import { backupPaths, readRecoveryPoint } from '../archive/layout.ts';
import { drillClientConfig } from '../drill/client.ts';
import { prepareDrill } from '../drill/prepare.ts';
import { recoverToEnd, recoverToLsnAndPause } from '../drill/recover.ts';
import { compareWithManifest } from '../manifest/compare-manifest.ts';
import { findPostgres } from '../postgres/binaries.ts';
import { classified } from '../temporal/classify.ts';
import { longActivity } from '../temporal/long-activity.ts';
import type { DatabaseDependencies } from './dependencies.ts';
import type { DrillActivities, DrillRef } from './drill-activities.ts';
import { closePlace, drillPlace, openPlace, provePlaceAbsent, recallDrill, rememberDrill } from './drill-place.ts';
import { comparisonChecks } from './findings.ts';
import { readManifest } from './manifest-file.ts';
import { measureLoss } from './measure-loss.ts';
import { probe, runOwnChecks } from './own-checks.ts';
import { archiveAsOf, layoutOf, planDrill } from './plan-drill.ts';
import { checkHost } from './preflight.ts';

/** What a restore test does, for databases whose backups are base backups with a WAL archive. */
export function createDrillActivities({ configuration, resolvePassword, host = hostname() }: DatabaseDependencies): DrillActivities {
  const drills = configuration.drills;
  const settingsOf = (database: string) => {
    const settings = configuration.databases[database];
    if (!settings) throw ApplicationFailure.nonRetryable(`there is no database "${database}" in the configuration`, 'NOT_FOUND');
    return settings;
  };
  const pointOf = ({ database, recoveryPointId }: Pick<DrillRef, 'database' | 'recoveryPointId'>) => readRecoveryPoint({ layout: layoutOf(settingsOf(database)), id: recoveryPointId });
  const recall = (drill: DrillRef) => recallDrill(drillPlace(drills.directory, drill));
  const defaultDatabase = (drill: DrillRef) => settingsOf(drill.database).connection.database;

  return classified<DrillActivities>({
    planDrill: (input) => longActivity(() => planDrill(input, { settings: settingsOf(input.database), resolvePassword, host, placeOf: (fence) => join(drills.directory, fence) })),

    checkDrillIsPossible: ({ plan }) => longActivity(async () => checkHost(plan, await pointOf({ database: plan.database, recoveryPointId: plan.recoveryPoint.id }), configuration)),

    openDrillPlace: (call) => openPlace(drills.directory, call),

    copyBackup: ({ drill, plan }) => longActivity(async ({ signal, onProgress }) => {
      const started = performance.now();
      const layout = layoutOf(settingsOf(drill.database));
      const point = await pointOf(drill);
      const place = drillPlace(drills.directory, drill);
      const { binDirectory } = configuration.postgres;
      const binaries = await findPostgres({ major: point.serverMajor, ...(binDirectory === undefined ? {} : { binDirectory }) });
      const prepared = await prepareDrill({
        ...place, drillsDirectory: place.directory, layout, point, wal: await archiveAsOf(layout, point, plan.declaredAt),
        binDirectory: binaries.binDirectory, owner: binaries.runAs ?? null, until: plan.recoverTo ? new Date(plan.recoverTo.time) : null,
        reserveBytes: drills.reserve, bytesPerSecond: drills.copyBytesPerSecond, settings: drills.settings, preloadLibraries: drills.preloadLibraries, signal, onProgress,
      });
      await rememberDrill(place, prepared);
      const { network, reason } = prepared.drill.isolation;
      return { bytes: prepared.bytes, files: prepared.files, walSegments: prepared.wal.segments, seconds: (performance.now() - started) / 1000, isolation: { network, reason: reason ?? '' } };
    }),

    recoverToManifest: ({ drill, plan, database }) => longActivity(async ({ signal, onProgress }) => {
      const started = performance.now();
      const { drill: copy, wal } = await recall(drill);
      const target = plan.manifest?.databases.find((entry) => entry.name === database);
      if (!target) throw ApplicationFailure.nonRetryable(`the plan has no manifest of ${database}`, 'NOT_FOUND');
      const { replayedLsn } = await recoverToLsnAndPause({ drill: copy, timeline: wal.timeline, startLsn: wal.startLsn, lsn: target.lsn, signal, onProgress });
      return { replayedLsn, seconds: (performance.now() - started) / 1000 };
    }),

    compareWithManifest: ({ drill, database, depth }) => longActivity(async ({ signal, onProgress }) => {
      const started = performance.now();
      const { drill: copy } = await recall(drill);
      const layout = layoutOf(settingsOf(drill.database));
      const result = await compareWithManifest({
        connect: (name) => drillClientConfig(copy, { database: name }), manifest: await readManifest(backupPaths(join(layout.backups, drill.recoveryPointId)).manifest),
        database, connections: drills.connections, depth, signal, onProgress: (progress) => onProgress({ phase: `${progress.phase} of ${database}`, bytesDone: progress.bytesDone, bytesTotal: progress.bytesTotal }),
      });
      return {
        tables: result.compared.tables, rows: result.compared.rows, objects: result.compared.catalogObjects, checks: comparisonChecks(result),
        notVerified: result.notVerified.filter((entry) => !entry.byDesign).map((entry) => `${entry.what}: ${entry.why}`), seconds: (performance.now() - started) / 1000,
      };
    }),

    recoverToEnd: ({ drill }) => longActivity(async ({ signal, onProgress }) => {
      const startedAt = Date.now();
      const { drill: copy, wal } = await recall(drill);
      const end = await recoverToEnd({ drill: copy, timeline: wal.timeline, startLsn: wal.startLsn, target: wal.stopLsn === null ? null : { lsn: wal.stopLsn }, expectedEndLsn: wal.endLsn, signal, onProgress });
      const replayedAt = end.replayDoneAt === null ? startedAt : Math.max(startedAt, Date.parse(end.replayDoneAt));
      return { endLsn: end.endLsn, lastCommitAt: wal.lastCommit?.committedAt ?? null, replaySeconds: (replayedAt - startedAt) / 1000, promotionSeconds: (Date.parse(end.readyAt) - replayedAt) / 1000 };
    }),

    runChecks: ({ drill, plan }) => longActivity(async () => runOwnChecks((await recall(drill)).drill, plan.checks, defaultDatabase(drill))),

    probeApplication: ({ drill }) => longActivity(async ({ signal }) => {
      const setting = settingsOf(drill.database).probe;
      if (!setting) return [{ name: 'application probe', outcome: 'skipped', detail: 'none is configured; the server itself answers' }];
      return [await probe((await recall(drill)).drill, setting, defaultDatabase(drill), signal)];
    }),

    measureLoss: (input) => longActivity(async () => measureLoss(input, { settings: settingsOf(input.drill.database), resolvePassword, point: await pointOf(input.drill), prepared: await recall(input.drill) })),

    closeDrillPlace: (call) => longActivity(async () => {
      const { provider } = settingsOf(call.database);
      return { destroyed: await closePlace(drills.directory, call, [provider.repository, provider.walDirectory]) };
    }),

    proveDrillAbsent: (call) => longActivity(() => provePlaceAbsent(drills.directory, call)),
  });
}
