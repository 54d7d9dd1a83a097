import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ApplicationFailure } from '@temporalio/common';
import type { ArchiveProvider, Configuration, DatabaseSettings } from '../../contracts/configuration.ts';
import type { RecoveryPoint } from '../../contracts/recovery-point.ts';
import { findRecoveryPoint, listRecoveryPoints, noBackupIn, readBackupFiles, readRecoveryPoint } from '../archive/layout.ts';
import { RecoveryFailure } from '../archive/recovery-failure.ts';
import { whatLiesInsteadOfTheDead } from '../archive/source-host.ts';
import { countSourceCommits } from '../archive/source-wal.ts';
import { inWords } from '../archive/try-writing.ts';
import { checkWalContinuity, readLineage, segmentFileName, segmentNumberOf, timelineOfSegment, type WalContinuity } from '../archive/wal.ts';
import { drillClientConfig } from '../drill/client.ts';
import { drillMarker, productionPathsOf, serverPathsOf } from '../drill/drill.ts';
import { keepReserve } from '../drill/keep-reserve.ts';
import { prepareDrill } from '../drill/prepare.ts';
import { recoverToEnd, recoverToLsnAndPause } from '../drill/recover.ts';
import type { DrillRef } from '../dr-test/drill-activities.ts';
import { askedInstant } from '../dr-test/instant-check.ts';
import type { Point, RecoveryProvider } from '../dr-test/provider.ts';
import { findPostgres } from '../postgres/binaries.ts';
import { parseLsn } from '../postgres/lsn.ts';
import { closePlace, drillPlace, openPlace, placeName, provePlaceAbsent, recallDrill, rememberDrill } from './drill-place.ts';
import { layoutOf } from './kept-in.ts';
import { chooseManifest, readManifestOf } from './manifests.ts';
import { checkHost, requireIsolation } from './preflight.ts';
import { asKnown, asProduction, notAsWhom, productionHere } from './production-here.ts';

/** Base backups with a WAL archive in directories of this host, restored by a PostgreSQL of this host. */
export function archiveProvider({ settings, configuration }: { settings: DatabaseSettings; configuration: Configuration }): RecoveryProvider {
  const provider = archiveOf(settings);
  const { drills } = configuration;
  const layout = layoutOf(provider);
  const point = (id: string) => readRecoveryPoint({ layout, id });
  const recall = (drill: DrillRef) => recallDrill(drillPlace(drills.directory, drill));
  const continuity = (base: RecoveryPoint, asOf: string, plannedLast: string | null = null): Promise<WalContinuity> => checkWalContinuity({
    walDirectory: layout.wal, timeline: base.timeline, startLsn: parseLsn(base.startLsn), mustReachLsn: parseLsn(base.stopLsn), segmentSize: base.walSegmentSize, asOf: new Date(asOf), plannedLast,
  });

  return {
    kind: provider.kind,
    comparesWith: 'manifest',
    worksOn: 'its host',
    async list() {
      const { points, unusable, isThere } = await listRecoveryPoints(layout);
      return { points: points.map(pointOf), unusable, ifNone: inWords(noBackupIn(layout, isThere)) };
    },
    find: async (id) => pointOf(await findRecoveryPoint({ layout, id })),
    async supply(id, asOf, plannedLast) {
      const base = await point(id);
      await readBackupFiles({ layout, point: base });
      const wal = await continuity(base, asOf, plannedLast);
      const { segments } = wal;
      const last = segments.at(-1);
      // One that was planned arrived by then, though it was touched since.
      const arrivedAt = last && new Date(Math.min(last.archivedAt.getTime(), Date.parse(asOf)));
      return {
        lastPiece: last?.name ?? null, reachesUntil: arrivedAt?.toISOString() ?? base.stoppedAt, pieces: segments.length, bytes: segments.length * base.walSegmentSize,
        manifest: (until) => chooseManifest({ layout, point: base, wal, until }),
      };
    },
    readManifest: async (id, manifestId) => readManifestOf({ layout, point: await point(id), manifestId }),
    describePlace: (owner) => join(drills.directory, placeName({ owner, fence: '<fence>' })),
    preflight: async (plan, signal) => checkHost(plan, { point: await point(plan.recoveryPoint.id), layout, configuration, signal }),

    openPlace: (call) => openPlace(drills.directory, call),
    closePlace: (call) => closePlace(drills.directory, call, [provider.repository, provider.walDirectory]),
    provePlaceAbsent: (call) => provePlaceAbsent(drills.directory, call),

    async restore(drill, plan, { signal, onProgress }) {
      const base = await point(drill.recoveryPointId);
      const place = drillPlace(drills.directory, drill);
      const { binDirectory } = configuration.postgres;
      const production = await productionHere(configuration);
      const owners = await notAsWhom(productionPathsOf(layout, base), production);
      const binaries = await findPostgres({ major: base.serverMajor, binDirectory, notAs: owners });
      const owner = binaries.runAs ?? null;
      const user = await asProduction(binaries, { owners, ofServer: serverPathsOf(base) }, production);
      const isolation = await requireIsolation(owner, user, production, drills.network);
      const prepared = await prepareDrill({
        ...place, drillsDirectory: place.directory, allDrills: drills.directory, layout, point: base, wal: await continuity(base, plan.declaredAt, plan.archive.lastSegment),
        binDirectory: binaries.binDirectory, owner, isolation, production, until: askedInstant(plan),
        reserveBytes: drills.reserve, bytesPerSecond: drills.copyBytesPerSecond, settings: drills.settings, preloadLibraries: drills.preloadLibraries, priority: drills.priority, signal, onProgress,
      });
      await rememberDrill(place, prepared);
      const { network, mounts, reason } = asKnown(prepared.drill.isolation, production);
      return { bytes: prepared.bytes, files: prepared.files, walSegments: prepared.wal.segments, isolation: { network, mounts, reason: reason ?? '', ...(user === null ? {} : { user }) } };
    },

    async recoverTo(drill, lsn, { signal, onProgress }) {
      const { drill: copy, wal } = await recall(drill);
      if (wal.stopLsn !== null && parseLsn(lsn) > parseLsn(wal.stopLsn)) {
        throw new RecoveryFailure('TIME_OUT_OF_RANGE', `The asked instant lies before ${lsn}, where the manifest was taken; ask for a later one, or for a recovery point without manifest.`);
      }
      return recoverToLsnAndPause({ drill: copy, timeline: wal.timeline, startLsn: wal.startLsn, lsn, signal, onProgress });
    },

    async recoverToEnd(drill, { signal, onProgress }) {
      const { drill: copy, wal } = await recall(drill);
      const end = await recoverToEnd({ drill: copy, timeline: wal.timeline, startLsn: wal.startLsn, target: wal.stopLsn === null ? null : { lsn: wal.stopLsn }, expectedEndLsn: wal.endLsn, signal, onProgress });
      return { endLsn: end.endLsn, lastCommitAt: wal.lastCommit?.committedAt ?? null, stoppedBeforeLater: wal.stopLsn !== null, replayDoneAt: end.replayDoneAt, readyAt: end.readyAt, repeatedSeconds: end.repeatedSeconds };
    },

    keepReserve: async (drill, signal, work) => keepReserve((await recall(drill)).drill, signal, work),

    async address(drill) {
      const { drill: copy } = await recall(drill);
      return (database) => drillClientConfig(copy, { database });
    },

    marker(drill) {
      const { name, value } = drillMarker(drillPlace(drills.directory, drill).name);
      return { [name]: value };
    },

    async lostCommits(drill, { endLsn, until, source, signal }) {
      const base = await point(drill.recoveryPointId);
      const { walSegmentSize: segmentSize, systemIdentifier } = base;
      const lineage = await readLineage({ walDirectory: layout.wal, timeline: base.timeline }).catch((failure: RecoveryFailure) => {
        // What was restored was restored; what is gone since is missed in the account of the loss only. A hiccup passes.
        if (failure.type === 'WAL_MISSING') return failure.message;
        throw failure.cause;
      });
      if (typeof lineage === 'string') return { commits: 0, maintenance: 0, lastCommitAt: null, knownFrom: 'archive', unread: lineage };
      const fromLsn = parseLsn(endLsn);
      const { nextXid } = (await recall(drill)).wal;
      const instead = source ? null : await whatLiesInsteadOfTheDead({ dataDirectory: base.sourceDataDirectory, systemIdentifier });
      const sourceWalDirectory = source || instead !== null ? undefined : join(base.sourceDataDirectory, 'pg_wal');
      const lost = await countSourceCommits({ walDirectory: layout.wal, lineage, segmentSize, systemIdentifier, fromLsn, until, nextXid, client: source, signal, sourceWalDirectory });
      const unread = instead ?? lost.unread;
      const segmentNumber = segmentNumberOf(fromLsn, segmentSize);
      const next = segmentFileName({ timeline: timelineOfSegment(lineage, segmentNumber, segmentSize), segmentNumber, segmentSize });
      const isOnDisk = sourceWalDirectory !== undefined && await stat(join(sourceWalDirectory, next)).then(() => true, () => false);
      return { commits: lost.commits, maintenance: lost.maintenance, lastCommitAt: lost.lastCommit ? new Date(lost.lastCommit.committedAt).toISOString() : null, knownFrom: unread !== null ? 'archive' : source ? 'source' : isOnDisk ? 'disk' : 'archive', unread };
    },
  };
}

/** @throws ApplicationFailure `CONFIGURATION` for a database that has none */
export function archiveOf({ provider }: Pick<DatabaseSettings, 'provider'>): ArchiveProvider {
  if (provider.kind === 'archive') return provider;
  throw ApplicationFailure.nonRetryable(`this needs base backups and a WAL archive, and the database is kept by ${provider.kind}`, 'CONFIGURATION');
}

function pointOf({ id, startedAt, stoppedAt, publishedAt, sizeBytes, timeline, serverVersion, systemIdentifier }: RecoveryPoint): Point {
  return { id, beganAt: new Date(startedAt).toISOString(), completeAt: new Date(stoppedAt).toISOString(), availableAt: new Date(publishedAt ?? stoppedAt).toISOString(), sizeBytes, timeline, serverVersion, systemIdentifier };
}
