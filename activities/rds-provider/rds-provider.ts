import { ApplicationFailure } from '@temporalio/common';
import type { Configuration, DatabaseSettings } from '../../contracts/configuration.ts';
import type { AwsAccess, RdsProvider } from '../../contracts/rds.ts';
import { chooseManifestBefore, readManifestAlone } from '../archive-provider/manifests.ts';
import { layoutOf } from '../archive-provider/kept-in.ts';
import { ec2Client } from '../aws/ec2-client.ts';
import { explainAws } from '../aws/failures.ts';
import { rdsClient, type Rds } from '../aws/rds-client.ts';
import { sqsClient } from '../aws/sqs-client.ts';
import type { DrillPlaceCall, DrillRef } from '../dr-test/drill-activities.ts';
import { systemIdentifierOf } from '../dr-test/other-cluster.ts';
import { overAnyDatabase } from '../dr-test/over-any-database.ts';
import type { LostCommits, RecoveryProvider } from '../dr-test/provider.ts';
import type { GuardedConfig } from '../postgres/source.ts';
import { lastCommitUntil, lostByStamps } from './commit-stamps.ts';
import { requireCopySettings } from './copy-settings.ts';
import { drillName, RESTORED_TAG, tagValue, type DrillIdentity } from './drill-names.ts';
import { drillPassword } from './drill-password.ts';
import { drawPoint } from './draw-point.ts';
import { instanceEvents } from './event-queue.ts';
import { findInstance, requireOurs, sourceInstance } from './instance.ts';
import { limitsOf, lossIsTheLeast } from './limits.ts';
import { familyOfOther } from './parameters.ts';
import { closePlace, openPlace, provePlaceAbsent } from './place.ts';
import { findPoint, instantOfId, listPoints, refuseSecondElsewhere, restoreWindow, wholeSecond } from './points.ts';
import { checkRds } from './preflight.ts';
import { restoreInstance } from './restore-instance.ts';
import { findGroups, isolationOf, judgeGroups } from './security-groups.ts';
import { describeHardware } from './storage.ts';
import { describeAccess, drillAccess, isElsewhere, openPlaces, requirePlanned, type RdsPlaces } from './where.ts';

/** How long restores of a database took, in milliseconds, newest first. */
export type EarlierRestores = (database: string) => Promise<number[]>;

interface RdsDependencies { settings: Pick<DatabaseSettings, 'connection'>; provider: RdsProvider; earlierRestores: EarlierRestores; database: string; network: Configuration['drills']['network'] }

async function explained<T>(doing: string, work: () => Promise<T>, options?: Parameters<typeof explainAws>[2]): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw explainAws(error, doing, options);
  }
}

/** Databases that RDS keeps: it restores them into instances of their own, which cannot be stopped on the way. */
export function rdsProvider({ settings: { connection }, provider, earlierRestores, database, network }: RdsDependencies): RecoveryProvider {
  const layout = layoutOf(provider);
  /** One call, or several, with what is wrong in words. */
  const asking = <T>(doing: string, ask: (rds: RdsPlaces) => Promise<T>): Promise<T> => explained(doing, async () => ask(await openPlaces(provider)));
  /** Where the place was planned, whatever the configuration says by now. Nobody comes back to what this leaves: it is asked for long. */
  const tearingDown = <T>(doing: string, { access = drillAccess(provider) }: DrillPlaceCall, ask: (rds: Rds, access: AwsAccess) => Promise<T>): Promise<T> => explained(doing, async () => ask(await rdsClient(access), access), { isForLong: true });
  const identityOf = ({ owner, fence }: Pick<DrillRef, 'owner' | 'fence'>): DrillIdentity => ({ owner, fence, database });
  const isTls = connection.sslmode !== 'disable';
  const configOf = (endpoint: { Address?: string | undefined; Port?: number | undefined } | undefined, user: string, password: string) => (name: string): GuardedConfig => ({
    host: endpoint?.Address ?? '', port: endpoint?.Port ?? 5432, user, password, database: name, connectionTimeoutMillis: 10_000, keepAlive: true,
    ssl: isTls ? { rejectUnauthorized: connection.sslmode === 'verify-full' } : false,
  });

  /** How to reach a copy that is there; nothing of the source's does. */
  const reach = (drill: DrillRef): Promise<(name: string) => GuardedConfig> => asking('looking for the copy', async (rds) => {
    const [copy, source] = [await findInstance(rds.drills, drillName(drill)), await findInstance(rds.source, provider.instance)];
    if (!copy) throw ApplicationFailure.nonRetryable(`the copy ${drillName(drill)} is gone`, 'FENCED');
    requireOurs(copy, identityOf(drill), provider.instance);
    const { Endpoint } = copy;
    if (Endpoint?.Address === undefined) throw ApplicationFailure.create({ message: `the copy ${drillName(drill)} has no address now (it is ${copy.DBInstanceStatus})`, type: 'UNAVAILABLE', nonRetryable: false });
    if (copy.DbiResourceId === source?.DbiResourceId || (Endpoint.Address === source?.Endpoint?.Address && Endpoint.Port === source.Endpoint.Port)) throw ApplicationFailure.nonRetryable('the copy has the address of its source; nothing is done with it', 'FENCED');
    return configOf(Endpoint, copy.MasterUsername ?? '', await drillPassword(provider.drill.passwordKeyFile, drill));
  });

  const isolationIn = async (groups: readonly string[]) => isolationOf(groups, await findGroups(await ec2Client(drillAccess(provider)), groups));

  const restoredInstant = (drill: DrillRef): Promise<Date> => asking('looking for the copy', async (rds) => new Date(tagValue((await findInstance(rds.drills, drillName(drill)))?.TagList, RESTORED_TAG) ?? 0));

  return {
    kind: provider.kind,
    comparesWith: 'living source',
    worksOn: 'any host',
    // RDS restores by the clock that it stamps commits with.
    takesInstantsAsGiven: true,
    bills: { prices: provider.drill.prices },
    reaches(time) {
      refuseSecondElsewhere(provider, time);
      return wholeSecond(new Date(time)).toISOString();
    },
    list: (asOf) => asking('listing snapshots', (rds) => listPoints(rds, provider, asOf)),
    draw: (range) => asking('listing what can be drawn', async (rds) => drawPoint((await listPoints(rds, provider, new Date(range.untilMs))).points, provider, range)),
    find: (id) => asking(`looking for "${id}"`, (rds) => findPoint(rds, provider, id)),
    supply: (id) => asking(`looking for "${id}"`, async (rds) => {
      const point = await findPoint(rds, provider, id);
      const window = isElsewhere(provider) ? null : await restoreWindow(rds.source, await sourceInstance(rds.source, provider.instance));
      return { lastPiece: null, reachesUntil: window ? window.latest.toISOString() : point.completeAt, pieces: 0, bytes: 0, manifest: (until) => chooseManifestBefore(layout, until ?? point.completeAt) };
    }),
    readManifest: (_id, manifestId) => readManifestAlone(layout, manifestId),
    describePlace: (owner) => `RDS instance ${drillName({ owner, fence: '<fence>' })}${isElsewhere(provider) ? ` in ${describeAccess(drillAccess(provider))}` : ''}`,
    placeAccess: drillAccess(provider),
    limits: (point, asOf) => asking('looking at the source instance', async (rds) => [...limitsOf(await sourceInstance(rds.source, provider.instance)), ...lossIsTheLeast(point, asOf)]),
    preflight: (plan) => asking('looking whether RDS can restore', (rds) => checkRds(rds, { provider, pointId: plan.recoveryPoint.id, network })),

    openPlace: (call, signal) => asking('opening the place of the drill', (rds) => {
      requirePlanned(provider, call.access);
      return openPlace(rds, provider, identityOf(call), { signal, serverVersion: call.serverVersion, expiresAt: call.leaseMs === undefined ? undefined : new Date(Date.now() + call.leaseMs) });
    }),
    closePlace: (call, signal) => tearingDown('removing the copy', call, (rds) => closePlace(rds, provider, identityOf(call), { signal })),
    provePlaceAbsent: (call) => tearingDown('proving that the copy is gone', call, (rds, access) => provePlaceAbsent(rds, access, identityOf(call))),

    restore: (drill, plan, { signal, onProgress }) => asking('restoring', async (rds) => {
      requirePlanned(provider, plan.creates.access);
      const source = await sourceInstance(rds.source, provider.instance);
      const asked = plan.recoverTo ? new Date(plan.recoverTo.time) : instantOfId(drill.recoveryPointId);
      const password = await drillPassword(provider.drill.passwordKeyFile, drill);
      // People may have thought for hours since the pre-flight.
      judgeGroups(await isolationIn(provider.drill.securityGroups), network);
      const { instance: copy, unheard } = await restoreInstance({
        rds: rds.drills, provider, drill: identityOf(drill), what: asked ? { time: asked } : { snapshot: drill.recoveryPointId }, restored: asked ?? new Date(plan.recoveryPoint.takenAt), source, gib: plan.recoveryPoint.sizeBytes / 2 ** 30, expiresAt: new Date(Date.now() + plan.creates.leaseMs), password,
        earlierMs: await earlierRestores(database), address: (instance) => configOf(instance.Endpoint, instance.MasterUsername ?? '', password)(connection.database),
        events: provider.events && instanceEvents({ open: () => sqsClient(drillAccess(provider)), queueUrl: provider.events.queueUrl, identifier: drillName(drill) }), signal, onProgress,
      });
      await overAnyDatabase(configOf(copy.Endpoint, copy.MasterUsername ?? '', password), connection.database, (client) => requireCopySettings(client, provider.drill.preloadLibraries), signal);
      const otherFamily = familyOfOther(source, plan.recoveryPoint.serverVersion);
      // Of what RDS says that the copy is in, and not of what was asked for.
      const isolation = await isolationIn((copy.VpcSecurityGroups ?? []).map(({ VpcSecurityGroupId = '' }) => VpcSecurityGroupId));
      judgeGroups(isolation, network);
      return { bytes: (copy.AllocatedStorage ?? 0) * 2 ** 30, files: 0, walSegments: 0, made: `RDS instance ${drillName(drill)}, ${describeHardware(copy)}${otherFamily === undefined ? '' : `, with RDS's own settings of ${otherFamily}, since the source is ${source.EngineVersion} by now`}${unheard === undefined ? '' : `; it was looked at only, since its events could not be heard: ${unheard}`}`, isolation };
    }),

    recoverTo: () => Promise.reject(ApplicationFailure.nonRetryable('RDS stops at no position', 'PREFLIGHT')),

    async recoverToEnd(drill) {
      const address = await reach(drill);
      const restored = await restoredInstant(drill);
      return overAnyDatabase(address, connection.database, async (client) => {
        const { rows: [row] } = await client.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn');
        const readyAt = new Date().toISOString();
        return { endLsn: row?.lsn ?? '0/0', lastCommitAt: await lastCommitUntil(client, restored) ?? restored.toISOString(), stoppedBeforeLater: false, replayDoneAt: null, readyAt, repeatedSeconds: 0 };
      });
    },

    keepReserve: (_drill, signal, work) => work(signal),
    address: reach,
    marker: () => ({}),

    async lostCommits(drill, { until, source }): Promise<LostCommits> {
      const unknown = (unread: string): LostCommits => ({ commits: 0, maintenance: 0, lastCommitAt: null, knownFrom: 'archive', unread });
      if (!source) return unknown('nobody but the source knows what it committed');
      const lost = await overAnyDatabase(await reach(drill), connection.database, async (copy) => {
        const [ours, theirs] = [await systemIdentifierOf(copy), await systemIdentifierOf(source)];
        return ours === theirs ? lostByStamps(copy, source, until) : `the copy is of cluster ${ours}, and the source is cluster ${theirs}`;
      });
      return typeof lost === 'string' ? unknown(lost) : { ...lost, maintenance: 0, knownFrom: 'source', unread: null, countedIn: 'the times of commits that the source and the copy keep' };
    },
  };
}
