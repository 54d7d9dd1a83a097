import { ApplicationFailure } from '@temporalio/common';
import type { Configuration } from '../../contracts/configuration.ts';
import type { Check } from '../../contracts/evidence.ts';
import type { Owner } from '../../contracts/ledger.ts';
import type { RdsProvider, SnapshotSettings } from '../../contracts/rds.ts';
import { explainAws } from '../aws/failures.ts';
import { settingsIn } from '../dr-test/dependencies.ts';
import { classified } from '../temporal/classify.ts';
import { longActivity } from '../temporal/long-activity.ts';
import { lookUntil } from './agreeing-looks.ts';
import { copyProblem } from './copy-problem.ts';
import { makeSnapshot, describeTaken } from './make-snapshot.ts';
import { rdsStores } from './rds-store.ts';
import { chooseExpired, removeExpired } from './retention.ts';
import type { DatabaseSnapshotActivities, SnapshotPlaceCall, SnapshotRef, VerifiedSnapshot } from './snapshot-activities.ts';
import { closeSnapshotPlace, openSnapshotPlace, proveSnapshotPlaceAbsent, type LookingAfter } from './snapshot-place.ts';
import type { SnapshotStores } from './snapshot-store.ts';
import { finishedTags, isFinished, requireOfRun, snapshotName, snapshotStem } from './snapshot-tags.ts';
import { verifySnapshot } from './verify-snapshot.ts';

/** What these need of the worker: its configuration, and what earlier runs have left in evidence and histories. */
export interface SnapshotDependencies {
  configuration: Configuration;
  /** How long a step of this runbook took on a target, in milliseconds, newest first. */
  earlierSteps: (target: string, step: string) => Promise<number[]>;
  /** What an activity answered to a run, as its history has it. */
  resultsOf: (owner: Owner, activity: keyof DatabaseSnapshotActivities) => Promise<unknown[]>;
}

interface Asked { stores: SnapshotStores; settings: SnapshotSettings; provider: RdsProvider }

/** What taking snapshots does, for databases that a service keeps: by now, RDS. */
export function createSnapshotActivities({ configuration, earlierSteps, resultsOf }: SnapshotDependencies): DatabaseSnapshotActivities {
  const configured = (database: string): Omit<Asked, 'stores'> => {
    const { provider } = settingsIn(configuration, database);
    if (provider.kind !== 'rds') throw ApplicationFailure.nonRetryable(`the database "${database}" is kept by nothing that takes snapshots (its provider is "${provider.kind}"); take a backup instead: runbook start backup`, 'CONFIGURATION');
    if (!provider.snapshots) throw ApplicationFailure.nonRetryable(`the configuration does not say how long snapshots of "${database}" are kept; add provider.snapshots.retention`, 'CONFIGURATION');
    return { provider, settings: provider.snapshots };
  };
  /** One call, or several, with what is wrong in words. */
  const asking = async <T>(doing: string, database: string, ask: (asked: Asked) => Promise<T>): Promise<T> => {
    try {
      const { provider, settings } = configured(database);
      return await ask({ provider, settings, stores: await rdsStores(provider, settings) });
    } catch (error) {
      throw explainAws(error, doing);
    }
  };
  const refOf = ({ database, stem, expiresAt, owner, fence }: SnapshotPlaceCall): SnapshotRef => ({ database, stem, expiresAt, owner, fence });
  const copyIn = ({ copies }: SnapshotStores, where: string) => {
    const store = copies.find((one) => one.where === where);
    if (!store) throw ApplicationFailure.nonRetryable(`provider.snapshots.copyTo does not name ${where} any more, to which this run was to copy; start another`, 'CONFIGURATION');
    return store;
  };
  /** Where a run was told that its snapshot is finished: no read that is an old one makes it forget that. */
  const knownFinished = async (ref: SnapshotRef) => {
    const results = await resultsOf(ref.owner, 'finishSnapshot') as (Partial<VerifiedSnapshot> | undefined)[];
    return new Set(results.flatMap((one) => (one?.isFinished && one.taken?.id === snapshotName(ref) ? [one.taken.where] : [])));
  };
  const query = async ({ stores, settings }: Asked, database: string) => ({ database, source: await stores.source(), settings, nowMs: Date.now() });

  /** What a guardian asks for when a run is over. */
  const after = <T>(call: SnapshotPlaceCall, doing: string, ask: (stores: SnapshotStores, ref: SnapshotRef, looking: LookingAfter) => Promise<T>): Promise<T> => longActivity(({ signal }) => asking(doing, call.database, async ({ stores, provider }) => {
    const ref = refOf(call);
    return ask(stores, ref, { lookEveryMs: provider.lookEvery, signal, knownFinished: await knownFinished(ref) });
  }));

  return classified<DatabaseSnapshotActivities>({
    planSnapshot: ({ database, owner, startedAtMs }) => asking('looking at the instance', database, async ({ stores, settings, provider }) => {
      const source = await stores.source();
      const problem = copyProblem(source, provider, settings);
      if (problem !== undefined) throw ApplicationFailure.nonRetryable(problem, 'CONFIGURATION');
      const { identifier: instance, sizeBytes, serverVersion } = source;
      const stem = snapshotStem(settings.prefix, startedAtMs);
      return {
        database, instance, stem, name: snapshotName({ stem, owner, fence: '<fence>' }), where: stores.own.where, copies: stores.copies.map(({ where }) => where), sizeBytes, serverVersion,
        expiresAt: new Date(startedAtMs + settings.retention).toISOString(), keepAtLeast: settings.keepAtLeast,
      };
    }),

    takeSnapshot: ({ snapshot: ref }) => longActivity(({ signal, onProgress }) => asking('taking the snapshot', ref.database, async ({ stores: { own }, settings, provider }) => makeSnapshot({
      ref, store: own, begin: (id, tags) => own.begin(id, tags, signal), earlierMs: await earlierSteps(ref.database, 'snapshot'), lookEveryMs: provider.lookEvery, patienceMs: settings.patience, signal, onProgress,
    }))),

    copySnapshot: ({ snapshot: ref, to }) => longActivity(({ signal, onProgress }) => asking(`copying the snapshot to ${to}`, ref.database, async ({ stores, settings, provider }) => {
      const store = copyIn(stores, to);
      const original = await lookUntil(() => stores.own.find(snapshotName(ref), signal), (found) => found !== undefined, { lookEveryMs: provider.lookEvery, signal });
      if (!original) throw ApplicationFailure.nonRetryable(`the snapshot ${snapshotName(ref)} is gone from ${stores.own.where}, so nothing can be copied`, 'FENCED');
      requireOfRun(original, ref, stores.own.where);
      return makeSnapshot({
        ref, store, begin: (id, tags) => store.begin(original, id, tags, signal), earlierMs: await earlierSteps(ref.database, `copy to ${to}`), lookEveryMs: provider.lookEvery, patienceMs: settings.patience, signal, onProgress,
      });
    })),

    finishSnapshot: ({ snapshot: ref, where, sizeBytes, of }) => longActivity(({ signal }) => asking(`verifying the snapshot in ${where}`, ref.database, async ({ stores, provider }) => {
      const copy = of ? copyIn(stores, where) : undefined;
      const store = copy ?? stores.own;
      const look = async () => {
        const snapshot = await store.find(snapshotName(ref), signal);
        if (!snapshot) return undefined;
        requireOfRun(snapshot, ref, where);
        return { snapshot, checks: verifySnapshot({ snapshot, source: await stores.source(), where, sizeBytes, of }) };
      };
      const areSound = (checks: readonly Check[] = []) => checks.length > 0 && checks.every(({ outcome }) => outcome === 'passed');
      const seen = await lookUntil(look, (found) => areSound(found?.checks), { lookEveryMs: provider.lookEvery, signal });
      if (!seen) throw ApplicationFailure.nonRetryable(`the snapshot ${snapshotName(ref)} is gone from ${where}`, 'FENCED');
      const { snapshot, checks } = seen;
      const isSound = areSound(checks);
      if (copy && of) await copy.endSharing(of);
      signal.throwIfAborted();
      if (isSound && !isFinished(snapshot)) await store.addTags(snapshot, finishedTags(ref, new Date()));
      return { taken: describeTaken(snapshot, where), checks, isFinished: isSound };
    })),

    chooseExpiredSnapshots: ({ database }) => longActivity(() => asking('looking which snapshots are past their retention', database, async (asked) => {
      const { own, copies } = asked.stores;
      const about = await query(asked, database);
      const found = await Promise.all([own, ...copies].map(async (store) => chooseExpired(await store.list(), store.where, about)));
      return { remove: found.flatMap(({ remove }) => remove), kept: found.reduce((sum, { kept }) => sum + kept, 0), notOurs: found.reduce((sum, { notOurs }) => sum + notOurs, 0) };
    })),

    removeExpiredSnapshots: ({ database, chosen }) => longActivity(({ signal }) => asking('removing snapshots that are past their retention', database, async (asked) => {
      const { stores: { own, copies }, provider } = asked;
      const about = await query(asked, database);
      const done: { removed: string[]; spared: string[] }[] = [];
      for (const store of [own, ...copies]) done.push(await removeExpired(store, chosen, about, { lookEveryMs: provider.lookEvery, signal }));
      return { removed: done.flatMap(({ removed }) => removed), spared: done.flatMap(({ spared }) => spared) };
    })),

    openSnapshotPlace: (call) => asking('looking where the snapshot will lie', call.database, ({ stores }) => openSnapshotPlace(stores, refOf(call))),
    closeSnapshotPlace: (call) => after(call, 'removing what is not finished', async (stores, ref, looking) => ({ destroyed: await closeSnapshotPlace(stores, ref, looking) })),
    proveSnapshotPlaceAbsent: (call) => after(call, 'proving that nothing unfinished is left', proveSnapshotPlaceAbsent),
  });
}
