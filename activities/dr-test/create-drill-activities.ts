import { hostname } from 'node:os';
import { classified } from '../temporal/classify.ts';
import { longActivity } from '../temporal/long-activity.ts';
import { compareWithManifest } from '../manifest/compare-manifest.ts';
import { checkCollations } from './collation-check.ts';
import { settingsIn, type DrillDependencies } from './dependencies.ts';
import type { DrillActivities } from './drill-activities.ts';
import { comparisonChecks } from './findings.ts';
import { measureLoss } from './measure-loss.ts';
import { probe, runOwnChecks } from './own-checks.ts';
import { planDrill } from './plan-drill.ts';

/** What a restore test does, whatever tool made the backups: they lie behind {@link RecoveryProvider}. */
export function createDrillActivities(dependencies: DrillDependencies): DrillActivities {
  const { configuration, providerOf, resolvePassword, pastDrills, probeEnvironment, host = hostname() } = dependencies;
  const { drills } = configuration;
  const settingsOf = (database: string) => settingsIn(configuration, database);
  const defaultDatabase = (database: string) => settingsOf(database).connection.database;

  return classified<DrillActivities>({
    planDrill: (input) => longActivity(() => planDrill(input, { settings: settingsOf(input.database), provider: providerOf(input.database), resolvePassword, pastDrills, host })),

    checkDrillIsPossible: ({ plan }) => longActivity(() => providerOf(plan.database).preflight(plan)),

    openDrillPlace: (call) => providerOf(call.database).openPlace(call),

    copyBackup: ({ drill, plan }) => longActivity(async (tools) => {
      const started = performance.now();
      const restored = await providerOf(drill.database).restore(drill, plan, tools);
      return { ...restored, seconds: secondsSince(started) };
    }),

    recoverToManifest: ({ drill, lsn }) => longActivity(async (tools) => {
      const started = performance.now();
      const { replayedLsn } = await providerOf(drill.database).recoverTo(drill, lsn, tools);
      return { replayedLsn, seconds: secondsSince(started) };
    }),

    compareWithManifest: ({ drill, manifestId, database, depth }) => longActivity(async ({ signal, onProgress }) => {
      const started = performance.now();
      const provider = providerOf(drill.database);
      const result = await compareWithManifest({
        connect: await provider.address(drill), manifest: await provider.readManifest(drill.recoveryPointId, manifestId),
        database, connections: drills.connections, depth, signal, onProgress: (progress) => onProgress({ phase: `${progress.phase} of ${database}`, bytesDone: progress.bytesDone, bytesTotal: progress.bytesTotal }),
      });
      return {
        tables: result.compared.tables, rows: result.compared.rows, objects: result.compared.catalogObjects, checks: comparisonChecks(result),
        notVerified: result.notVerified.filter((entry) => !entry.byDesign).map((entry) => `${entry.what}: ${entry.why}`), seconds: secondsSince(started),
      };
    }),

    recoverToEnd: ({ drill }) => longActivity(async (tools) => {
      const startedAt = Date.now();
      const end = await providerOf(drill.database).recoverToEnd(drill, tools);
      const replayedAt = end.replayDoneAt === null ? startedAt : Math.max(startedAt, Date.parse(end.replayDoneAt));
      return { endLsn: end.endLsn, lastCommitAt: end.lastCommitAt, replaySeconds: (replayedAt - startedAt) / 1000, promotionSeconds: (Date.parse(end.readyAt) - replayedAt) / 1000 };
    }),

    runChecks: ({ drill, plan }) => longActivity(async () => {
      const address = await providerOf(drill.database).address(drill);
      const fallback = defaultDatabase(drill.database);
      return [...await checkCollations(address, plan.manifest?.databases.map(({ name }) => name) ?? [fallback]), ...await runOwnChecks(address, plan.checks, fallback)];
    }),

    probeApplication: ({ drill }) => longActivity(async ({ signal }) => {
      const setting = settingsOf(drill.database).probe;
      if (!setting) return [{ name: 'application probe', outcome: 'skipped', detail: 'none is configured; the server itself answers' }];
      const address = await providerOf(drill.database).address(drill);
      return [await probe(setting, { address, database: defaultDatabase(drill.database), environment: probeEnvironment, signal })];
    }),

    measureLoss: (input) => longActivity(() => measureLoss(input, { settings: settingsOf(input.drill.database), provider: providerOf(input.drill.database), resolvePassword })),

    closeDrillPlace: (call) => longActivity(async () => ({ destroyed: await providerOf(call.database).closePlace(call) })),

    proveDrillAbsent: (call) => longActivity(() => providerOf(call.database).provePlaceAbsent(call)),
  });
}

function secondsSince(started: number): number {
  return (performance.now() - started) / 1000;
}
