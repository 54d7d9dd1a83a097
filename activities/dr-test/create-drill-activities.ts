import { hostname } from 'node:os';
import { Context } from '@temporalio/activity';
import { PROBE_CHECK } from '../../contracts/asked-checks.ts';
import { applicationName } from '../kernel/names.ts';
import { classified } from '../temporal/classify.ts';
import { type ActivityProgress, longActivity } from '../temporal/long-activity.ts';
import type { DrillPlan } from '../../contracts/dr-test.ts';
import type { ComparisonResult } from '../../contracts/manifest.ts';
import type { NotVerifiedReasons } from '../../contracts/record.ts';
import { compareWithManifest } from '../manifest/compare-manifest.ts';
import { compareSince } from '../manifest/since/compare-since.ts';
import { checkCollations } from './collation-check.ts';
import { settingsIn, type DrillDependencies } from './dependencies.ts';
import type { CompareResult, DrillActivities, DrillRef } from './drill-activities.ts';
import { drillSource } from './drill-source.ts';
import { comparisonChecks, reasonsOf } from './findings.ts';
import { measureHostAhead } from './host-clock.ts';
import { checkInstant } from './instant-check.ts';
import { madeSinceManifest } from './made-since-manifest.ts';
import { measureLoss } from './measure-loss.ts';
import { runOwnChecks } from './own-checks.ts';
import { otherCluster } from './other-cluster.ts';
import { overAnyDatabase } from './over-any-database.ts';
import { planDrill } from './plan-drill.ts';
import { checkPreparedTransactions } from './prepared-check.ts';
import { probe } from './probe.ts';
import { sourceAnswers } from './source-answers.ts';
import { unlessGone } from './unreadable.ts';
import { endSourceSessions, lookForSourceSessions } from '../postgres/run-sessions.ts';

/** What a restore test does, whatever tool made the backups: they lie behind {@link RecoveryProvider}. */
export function createDrillActivities(dependencies: DrillDependencies): DrillActivities {
  const { client, configuration, providerOf, resolvePassword, pastDrills, probeEnvironment, host = hostname() } = dependencies;
  const { drills } = configuration;
  const settingsOf = (database: string) => settingsIn(configuration, database);
  const defaultDatabase = (database: string) => settingsOf(database).connection.database;

  /** For a copy that is up already, a look; one whose server was killed since is brought up again. */
  const bringUp = async (drill: DrillRef, signal: AbortSignal) => {
    const provider = providerOf(drill.database);
    await provider.recoverToEnd(drill, { signal, onProgress: () => undefined });
    return provider.address(drill);
  };

  /** Work with the copy, which ends before the copy takes what its host has to keep. */
  const withReserve = <T>(drill: DrillRef, work: (signal: AbortSignal, onProgress: (progress: ActivityProgress) => void) => Promise<T>) =>
    longActivity(({ signal, onProgress }) => providerOf(drill.database).keepReserve(drill, signal, (guarded) => work(guarded, onProgress)));

  /** Of a copy that is up. What is compared with the living source is told of by the comparison, where another database has a name of the manifest's. */
  const unknownToManifest = async (drill: DrillRef, { manifest: named, comparesWith }: DrillPlan, signal: AbortSignal): Promise<NotVerifiedReasons> => {
    if (named === null) return { open: [], byDesign: [] };
    const manifest = await unlessGone(providerOf(drill.database).readManifest(drill.recoveryPointId, named.id), signal);
    if ('unreadable' in manifest) return { open: [`databases made after manifest ${named.id}: not named, since it can no longer be read (${manifest.unreadable})`], byDesign: [] };
    return { open: [], byDesign: await overAnyDatabase(await bringUp(drill, signal), defaultDatabase(drill.database), (copy) => madeSinceManifest(copy, { id: named.id, manifest }, { namesakes: comparesWith === undefined }), signal) };
  };

  /** Null where not even the password can be read: that must not keep anything from being removed. */
  const sourceOf = async ({ database, owner }: Pick<DrillRef, 'database' | 'owner'>) =>
    drillSource({ settings: settingsOf(database), resolvePassword }, owner).catch(() => null);

  return classified<DrillActivities>({
    planDrill: (input) => {
      const beganMs = Date.now();
      return longActivity(({ signal }) => planDrill(input, {
        settings: settingsOf(input.database), provider: providerOf(input.database), resolvePassword, pastDrills, host, scheduledAt: new Date(Context.current().info.currentAttemptScheduledTimestampMs),
        hostAheadMs: () => measureHostAhead(client, Context.current().info, beganMs), signal,
      }));
    },

    checkDrillIsPossible: ({ plan }) => longActivity(({ signal }) => providerOf(plan.database).preflight(plan, signal)),

    openDrillPlace: (call) => longActivity(({ signal }) => providerOf(call.database).openPlace(call, signal)),

    copyBackup: ({ drill, plan }) => longActivity(async (tools) => {
      const started = performance.now();
      const restored = await providerOf(drill.database).restore(drill, plan, tools);
      return { ...restored, seconds: secondsSince(started) };
    }),

    recoverToManifest: ({ drill, lsn }) => longActivity(async (tools) => {
      const started = performance.now();
      const recovered = await providerOf(drill.database).recoverTo(drill, lsn, tools);
      return { ...recovered, seconds: secondsSince(started) };
    }),

    compareWithManifest: ({ drill, manifestId, database, depth }) => withReserve(drill, async (signal, onProgress) => {
      const started = performance.now();
      const provider = providerOf(drill.database);
      const manifest = await provider.readManifest(drill.recoveryPointId, manifestId);
      if (provider.comparesWith === 'living source') {
        const source = await sourceOf(drill);
        const limits = settingsOf(drill.database).manifest;
        // A database that is gone there, too, says so.
        const answers = source && await sourceAnswers(source(database), signal);
        const result = await compareSince({
          connect: await provider.address(drill), source: source && answers ? { connect: (name) => source(name), limits: { statementTimeoutMs: limits.statementTimeout, lockTimeoutMs: limits.lockTimeout } } : null,
          manifest, database, connections: limits.connections, depth, applicationName: applicationName(drill.owner), signal,
          onProgress: (progress) => onProgress({ phase: `${progress.phase} of ${database}`, bytesDone: progress.bytesDone, bytesTotal: progress.bytesTotal }),
        });
        return comparedAs(result, started);
      }
      const position = manifest.databases.find((entry) => entry.database === database);
      // A server that was killed since it was replayed is brought back to where it waited.
      if (position) await provider.recoverTo(drill, position.lsn, { signal, onProgress: () => undefined });
      const result = await compareWithManifest({
        connect: await provider.address(drill), manifest,
        database, connections: drills.connections, depth, signal, onProgress: (progress) => onProgress({ phase: `${progress.phase} of ${database}`, bytesDone: progress.bytesDone, bytesTotal: progress.bytesTotal }),
      });
      return comparedAs(result, started);
    }),

    recoverToEnd: ({ drill }) => longActivity(async (tools) => {
      const startedAt = Date.now();
      const end = await providerOf(drill.database).recoverToEnd(drill, tools);
      const replayedAt = end.replayDoneAt === null ? startedAt : Math.max(startedAt, Date.parse(end.replayDoneAt));
      return { endLsn: end.endLsn, lastCommitAt: end.lastCommitAt, stoppedBeforeLater: end.stoppedBeforeLater, replaySeconds: (replayedAt - startedAt) / 1000, promotionSeconds: (Date.parse(end.readyAt) - replayedAt) / 1000, repeatedSeconds: end.repeatedSeconds };
    }),

    runChecks: ({ drill, plan, recovered, hasFailed }) => withReserve(drill, async (signal) => {
      const address = await bringUp(drill, signal);
      const fallback = defaultDatabase(drill.database);
      const readManifest = async () => plan.manifest && unlessGone(providerOf(drill.database).readManifest(drill.recoveryPointId, plan.manifest.id), signal);
      const foreign = plan.source && otherCluster(await providerOf(drill.database).find(drill.recoveryPointId), plan.source.systemIdentifier);
      const found = [
        // Another cluster's indexes say nothing of the copy's.
        ...await checkCollations(address, plan.source && foreign === null ? await sourceOf(drill) : null, { databases: plan.manifest?.databases.map(({ name }) => name) ?? [fallback], at: fallback }),
        await checkPreparedTransactions(address, fallback, { readManifest, source: plan.source && foreign === null && providerOf(drill.database).comparesWith === 'living source' ? await sourceOf(drill) ?? 'silent' : null, replayed: { lastCommitAt: recovered.lastCommitAt, clockSkewSeconds: plan.source?.clockSkewSeconds ?? null }, signal }),
        ...await checkInstant({ drill, plan, recovered }, { settings: settingsOf(drill.database), resolvePassword, provider: providerOf(drill.database), signal }),
      ];
      return runOwnChecks(address, plan.checks, { database: fallback, signal, found, hasFailed });
    }),

    probeApplication: ({ drill, plan, hasFailed }) => withReserve(drill, async (signal) => {
      // As it was approved, and not as the configuration may say by now.
      const setting = plan.probe;
      if (!setting) return [{ name: PROBE_CHECK, outcome: 'skipped', detail: 'none is configured; the server itself answers' }];
      const address = await bringUp(drill, signal);
      const database = defaultDatabase(drill.database);
      const check = await probe(setting, { address, database, environment: probeEnvironment, marker: providerOf(drill.database).marker(drill), signal, hasFailed });
      // Of a server that is gone the probe says nothing about what was restored: this throws, and is tried again.
      if (check.outcome !== 'passed') await overAnyDatabase(address, database, (client) => client.query('SELECT'));
      return [check];
    }),

    measureLoss: (input) => withReserve(input.drill, async (signal) => {
      const { drill, plan } = input;
      const loss = await measureLoss(input, { settings: settingsOf(drill.database), provider: providerOf(drill.database), resolvePassword, copy: () => bringUp(drill, signal), signal });
      const unknown = await unknownToManifest(drill, plan, signal);
      return { ...loss, notVerified: { open: [...loss.notVerified?.open ?? [], ...unknown.open], byDesign: [...loss.notVerified?.byDesign ?? [], ...unknown.byDesign] } };
    }),

    closeDrillPlace: (call) => longActivity(async ({ signal }) => {
      const destroyed = await providerOf(call.database).closePlace(call, signal);
      const source = await sourceOf(call);
      const ended = source ? await endSourceSessions(source(), applicationName(call.owner)) : 0;
      return { destroyed: [...destroyed, ...(ended > 0 ? [`${ended} sessions at the source`] : [])] };
    }),

    proveDrillAbsent: (call) => longActivity(async () => {
      const [proof, sessions] = await Promise.all([
        providerOf(call.database).provePlaceAbsent(call),
        sourceOf(call).then((source) => source && lookForSourceSessions(source(), applicationName(call.owner), Context.current().info.attempt)),
      ]);
      return sessions ? { ...proof, looked: [...proof.looked, sessions.looked], found: [...proof.found, ...sessions.found] } : proof;
    }),
  });
}

function comparedAs(result: ComparisonResult, started: number): CompareResult {
  const { compared, counted } = result;
  return { tables: compared.tables, rows: compared.rows, counted, objects: compared.catalogObjects, checks: comparisonChecks(result), notVerified: reasonsOf(result.notVerified), seconds: secondsSince(started) };
}

function secondsSince(started: number): number {
  return (performance.now() - started) / 1000;
}
