import { setTimeout as sleep } from 'node:timers/promises';
import type * as Sdk from '@aws-sdk/client-rds';
import { ApplicationFailure } from '@temporalio/common';
import type { RdsProvider } from '../../contracts/rds.ts';
import { isNamed, isPassing } from '../aws/failures.ts';
import type { Rds } from '../aws/rds-client.ts';
import { isClosedToUs } from '../manifest/since/absent-database.ts';
import { withClient, type GuardedConfig } from '../postgres/source.ts';
import { percentProgress, type ActivityProgress } from '../temporal/long-activity.ts';
import { awaitReady, HOST_CLOCK, type AwaitReady, type EventSource } from '../waiting/await-ready.ts';
import { lookSchedule, type LookOptions } from '../waiting/look-schedule.ts';
import { BEGUN_TAG, drillName, drillTags, RESTORED_TAG, tagValue, type DrillIdentity } from './drill-names.ts';
import { failureOfState } from './failed-restore.ts';
import { findInstance, recentEvents, requireOurs } from './instance.ts';
import { DELETING_MS, destroyInstance } from './place.ts';
import { chooseStorage } from './storage.ts';

/** What to restore, as what, and how long to wait for it: `earlierMs` in milliseconds, `gib` of storage. */
export interface RestoreInstance {
  rds: Rds;
  provider: RdsProvider;
  drill: DrillIdentity;
  /** A snapshot by its identifier, or a second. */
  what: { snapshot: string } | { time: Date };
  /** The instant whose contents that has. */
  restored: Date;
  source: Sdk.DBInstance;
  /** Of what is restored. */
  gib: number;
  expiresAt: Date;
  password: string;
  /** How long earlier ones took. */
  earlierMs: readonly number[];
  address: (instance: Sdk.DBInstance) => GuardedConfig;
  /** Tells when something has happened to the copy; undefined where nothing does. */
  events: EventSource | undefined;
  signal: AbortSignal;
  onProgress: (progress: ActivityProgress) => void;
}

/**
 * How a copy is listened for where there is a queue. RDS tells that it was restored some time before it is available: looks follow
 * in the 25 s after that, at most 2 s apart. What they cost is saved before: a third as many looks as where nothing can be heard,
 * so that two pieces of news and the looks after them are together no more than a look every `everyMs`.
 */
export const listening = (options: LookOptions & { everyMs: number }): Pick<AwaitReady<unknown>, 'whileHeard' | 'afterNewsMs'> =>
  ({ whileHeard: lookSchedule({ ...options, everyMs: 3 * options.everyMs }), afterNewsMs: [0, 1_000, ...Array.from({ length: 12 }, () => 2_000)] });

/** In these a copy can be worked with; in the latter two its blocks are still loaded, or moved ("Viewing DB instance status" in the User Guide of RDS). */
const READY: ReadonlySet<string> = new Set(['available', 'storage-initialization', 'storage-optimization']);
/** The state of what no look has found. */
const UNSEEN = 'unknown';
/** A new password takes RDS some seconds. */
const PASSWORD_MS = 10 * 60_000;
const PASSWORD_LOOK_MS = 500;
/** It is asked for again after this: soon where RDS did not take it, later where it did. */
const PASSWORD_AGAIN_MS = { refused: 2_000, taken: 60_000 };

/** `unheard`: why its events could not be listened to, so that it was looked at only; undefined where they could, or none were to be. */
export interface RestoredInstance { instance: Sdk.DBInstance; unheard: string | undefined }

/**
 * Makes the copy, and waits until it can be connected to with its own password. Called again, it goes on with the instance
 * that is there, where that is of the same instant; else it makes it anew. Created in the drill's parameter group, which only the guardian makes and removes: once that is gone nobody
 * can create it any more.
 */
export async function restoreInstance(input: RestoreInstance): Promise<RestoredInstance> {
  const { rds, provider, drill, signal } = input;
  const identifier = drillName(drill);
  if (!await findInstance(rds, identifier, signal)) await create(input, identifier);
  for (;;) {
    const restored = await untilAvailable(input, identifier);
    if (!isOfOtherInstant(restored.instance, input.restored)) {
      await setPassword(input, identifier, restored.instance);
      return restored;
    }
    await destroyInstance(rds, provider, drill, { endMs: Date.now() + DELETING_MS, signal });
    await create(input, identifier);
  }
}

/** Of a run that was reset to before its plan: it asks for another instant than it did, with the same owner and fence. */
function isOfOtherInstant({ TagList }: Sdk.DBInstance, restored: Date): boolean {
  return tagValue(TagList, RESTORED_TAG) !== restored.toISOString();
}

async function create({ rds: { sdk, client }, provider, drill, what, restored, source, gib, expiresAt, signal }: RestoreInstance, identifier: string): Promise<void> {
  const { drill: settings } = provider;
  const common = {
    DBInstanceClass: settings.instanceClass ?? source.DBInstanceClass, ...chooseStorage(settings.storage, source, gib), DBSubnetGroupName: settings.subnetGroup, VpcSecurityGroupIds: settings.securityGroups, DBParameterGroupName: identifier,
    PubliclyAccessible: false, MultiAZ: false, DeletionProtection: false, AutoMinorVersionUpgrade: false, BackupRetentionPeriod: 0, CopyTagsToSnapshot: false,
    Tags: drillTags(drill, { restored, begunAt: new Date(), expiresAt }),
  };
  const command = 'snapshot' in what
    ? client.send(new sdk.RestoreDBInstanceFromDBSnapshotCommand({ ...common, DBInstanceIdentifier: identifier, DBSnapshotIdentifier: what.snapshot }), { abortSignal: signal })
    : client.send(new sdk.RestoreDBInstanceToPointInTimeCommand({ ...common, TargetDBInstanceIdentifier: identifier, SourceDBInstanceIdentifier: provider.instance, RestoreTime: what.time }), { abortSignal: signal });
  await command.catch((error: unknown) => {
    if (isNamed(error, 'DBParameterGroupNotFound')) throw ApplicationFailure.nonRetryable(`the place of this drill is closed: its parameter group "${identifier}" is gone`, 'FENCED');
    // Its reply was lost, or a predecessor was as quick: what is there is looked at.
    if (!isNamed(error, 'DBInstanceAlreadyExists')) throw error;
  });
}

/** Comes back at once with one of another instant, whatever its state: the one that is asked for is then still to be made. */
async function untilAvailable({ rds, provider, drill, restored, earlierMs, events, signal, onProgress }: RestoreInstance, identifier: string): Promise<RestoredInstance> {
  const { patience } = provider.drill;
  let unheard: string | undefined;
  const ready = await awaitReady<Sdk.DBInstance | undefined>({
    look: async () => {
      const instance = await findInstance(rds, identifier, signal);
      const begun = tagValue(instance?.TagList, BEGUN_TAG);
      if (instance) {
        requireOurs(instance, drill, provider.instance);
        if (isOfOtherInstant(instance, restored)) return { isReady: true, state: instance };
      }
      const status = instance?.DBInstanceStatus ?? UNSEEN;
      onProgress(percentProgress(`RDS says: ${status}${unheard === undefined ? '' : `; its events are not heard: ${unheard}`}`, instance?.PercentProgress));
      const failure = failureOfState(status);
      if (failure !== undefined) throw ApplicationFailure.nonRetryable(`RDS could not restore: the copy is ${status}${await recentEvents(rds, identifier).then((said) => (said === '' ? '' : ` (${said})`))}${failure === 'RECOVERY_FAILED' ? '' : '; that is of where the copy was to run, and says nothing of the backup'}`, failure);
      if (status === 'deleting') throw ApplicationFailure.nonRetryable('the copy is being deleted: its place is closed', 'FENCED');
      return { isReady: READY.has(status) && instance?.Endpoint?.Address !== undefined, state: instance, beganAtMs: begun === undefined ? undefined : Date.parse(begun) };
    },
    patience: {
      ms: patience,
      over: (instance) => ApplicationFailure.nonRetryable(`RDS has not made the copy available within ${Math.round(patience / 60_000)} minutes (it is ${instance?.DBInstanceStatus ?? UNSEEN}); look at its events, or raise provider.drill.patience`, 'UNAVAILABLE'),
    },
    passes: isPassing,
    schedule: lookSchedule({ earlierMs, everyMs: provider.lookEvery }), ...listening({ earlierMs, everyMs: provider.lookEvery }),
    events, onEventsLost: (cause) => { unheard = cause instanceof Error ? cause.message : String(cause); },
    clock: HOST_CLOCK, signal,
  });
  return { instance: ready as Sdk.DBInstance, unheard };
}

/**
 * Asked for until it opens the copy: RDS says that it is available before it begins, and afterwards. While it is busy it takes none:
 * with this very one, whose reply was lost, or with something else, after which it is asked again.
 */
async function setPassword({ rds, password, address, signal }: RestoreInstance, identifier: string, instance: Sdk.DBInstance): Promise<void> {
  const { sdk, client } = rds;
  const config = address(instance);
  // Whether the database is there, and lets us in, is looked at after the password.
  const opens = () => withClient(config, (connected) => connected.query('SELECT'), signal).then(() => true, isClosedToUs);
  const ask = () => client.send(new sdk.ModifyDBInstanceCommand({ DBInstanceIdentifier: identifier, MasterUserPassword: password, ApplyImmediately: true }), { abortSignal: signal }).then(() => PASSWORD_AGAIN_MS.taken, (error: unknown) => {
    if (!isNamed(error, 'InvalidDBInstanceState')) throw error;
    return PASSWORD_AGAIN_MS.refused;
  });
  if (await opens()) return;
  let askAt = Date.now() + await ask();
  for (const end = Date.now() + PASSWORD_MS; Date.now() < end; await sleep(PASSWORD_LOOK_MS, undefined, { signal })) {
    if (await opens()) return;
    if (Date.now() < askAt) continue;
    const isFree = READY.has((await findInstance(rds, identifier, signal))?.DBInstanceStatus ?? UNSEEN);
    askAt = Date.now() + (isFree ? await ask() : PASSWORD_AGAIN_MS.refused);
  }
  throw ApplicationFailure.nonRetryable(`the copy cannot be connected to at ${instance.Endpoint?.Address}:${instance.Endpoint?.Port} with the password that was set; look whether its security groups let this worker in`, 'PREFLIGHT');
}
