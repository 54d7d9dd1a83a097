import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/common';
import type { AbsenceProof } from '../../contracts/ledger.ts';
import type { AwsAccess, RdsProvider } from '../../contracts/rds.ts';
import { ifThere, isNamed } from '../aws/failures.ts';
import type { Rds } from '../aws/rds-client.ts';
import { copyParameters } from './copy-settings.ts';
import { drillName, drillTags, type DrillIdentity } from './drill-names.ts';
import { awaitOurGroup, deleteGroup, findGroup } from './drill-group.ts';
import { findInstance, isSameIdentifier, requireOurs, sourceInstance } from './instance.ts';
import { familyOfDefault, familyOfOther, readGroup, setParameters } from './parameters.ts';
import { describeAccess, isElsewhere, type RdsPlaces } from './where.ts';

/** Aborted where another attempt may open the place by now: this one then makes nothing more. */
export interface OpenOptions {
  /** Whether this attempt is still the one that opens it. */
  signal?: AbortSignal | undefined;
  /** When the drill has to be gone; undefined where the guardian, of older code, does not say. */
  expiresAt?: Date | undefined;
  /** Version of PostgreSQL of what will be restored; undefined in runs of older code, which take it for the source's. */
  serverVersion?: string | undefined;
}

/**
 * Opens the fence: a parameter group of the drill's own, with the source's settings. RDS restores nothing into a group that is
 * not there, and removes none that is in use, so that whoever holds a fence that was revoked cannot create the copy any more.
 * The fence itself has none.
 */
export async function openPlace({ source: there, drills }: RdsPlaces, provider: RdsProvider, drill: DrillIdentity, { signal, expiresAt, serverVersion }: OpenOptions): Promise<void> {
  const { sdk, client } = drills;
  const name = drillName(drill);
  const source = await sourceInstance(there, provider.instance);
  const ofSource = source.DBParameterGroups?.[0]?.DBParameterGroupName ?? '';
  const otherFamily = familyOfOther(source, serverVersion);
  const settings = otherFamily !== undefined ? { family: otherFamily, parameters: [] }
    : isElsewhere(provider) ? await readGroup(there, ofSource) : { family: familyOfDefault(ofSource), parameters: [] };
  if (ofSource === name || isSameIdentifier(provider.instance, name)) throw ApplicationFailure.nonRetryable(`the source ${provider.instance} has the name of this drill, or its parameter group has; nothing is done with it`, 'FENCED');
  const common = { Tags: drillTags(drill, { expiresAt }) };
  const Description = 'of a drill of durable-runbooks';
  // Who was stopped until now may have been closed meanwhile.
  signal?.throwIfAborted();
  let made = true;
  try {
    // Those that RDS made cannot be copied, and have nothing of their own; and no group can be copied into another region or account.
    if (settings.family !== undefined) await client.send(new sdk.CreateDBParameterGroupCommand({ ...common, DBParameterGroupName: name, DBParameterGroupFamily: settings.family, Description }));
    else await client.send(new sdk.CopyDBParameterGroupCommand({ ...common, SourceDBParameterGroupIdentifier: ofSource, TargetDBParameterGroupIdentifier: name, TargetDBParameterGroupDescription: Description }));
  } catch (error) {
    if (!isNamed(error, 'DBParameterGroupAlreadyExists')) throw error;
    made = false;
    await awaitOurGroup(drills, name, drill, signal);
  }
  try {
    signal?.throwIfAborted();
  } catch (error) {
    // Stopped in the middle of asking: what was made too late, nobody else would remove.
    if (made) await deleteGroup(drills, name, drill);
    throw error;
  }
  await setParameters(drills, name, [...settings.parameters, ...copyParameters(provider.drill.preloadLibraries)]);
}

/** Shorter than whoever asks for it waits. */
export const DELETING_MS = 9 * 60_000;

/** `signal`: gives up, and leaves it to whoever asks next. */
export interface CloseOptions { signal?: AbortSignal | undefined; withinMs?: number }

/** When closing a place, or {@link destroyInstance}, ends one way or the other. */
export interface Until { endMs: number; signal: AbortSignal | undefined }

/**
 * Deletes the copy with its backups, then the group that is the fence; as often as a predecessor that stalled makes it anew.
 * @throws ApplicationFailure `FENCED` where something has the copy's name that is not the drill's, after what is the drill's is gone;
 * `UNAVAILABLE` where that takes RDS longer
 */
export async function closePlace(rds: Rds, provider: RdsProvider, drill: DrillIdentity, { signal, withinMs = DELETING_MS }: CloseOptions = {}): Promise<string[]> {
  const name = drillName(drill);
  if (isSameIdentifier(provider.instance, name)) throw ApplicationFailure.nonRetryable(`the source ${provider.instance} has the name of this drill; nothing is done with it, nor with its parameter group`, 'FENCED');
  const destroyed = new Set<string>();
  const until = { endMs: Date.now() + withinMs, signal };
  do {
    signal?.throwIfAborted();
    const copy = await destroyInstance(rds, provider, drill, until).catch(failureIfFenced);
    if (copy === 'deleted') destroyed.add(`RDS instance ${name}`);
    try {
      if (await deleteGroup(rds, name, drill)) destroyed.add(`parameter group ${name}`);
      else if (typeof copy === 'string') return [...destroyed];
    } catch (error) {
      if (!isNamed(error, 'InvalidDBParameterGroupState')) throw error;
      // In use: something was made in it between the two.
      await pause(provider, until);
    }
    if (typeof copy !== 'string') throw copy;
  } while (Date.now() < until.endMs);
  throw stillDeleting(name);
}

function stillDeleting(name: string): ApplicationFailure {
  return ApplicationFailure.create({ message: `RDS is still deleting ${name}`, type: 'UNAVAILABLE', nonRetryable: false });
}

/** Until the next look, and no longer than there is time. */
async function pause({ lookEvery }: RdsProvider, { endMs, signal }: Until): Promise<void> {
  await sleep(Math.max(0, Math.min(lookEvery, endMs - Date.now())), undefined, { signal });
}

function failureIfFenced(error: unknown): ApplicationFailure {
  if (error instanceof ApplicationFailure && error.type === 'FENCED') return error;
  throw error;
}

/** Removes the copy of a drill, and waits until it is gone; whether there was one. */
export async function destroyInstance(rds: Rds, provider: RdsProvider, drill: DrillIdentity, until: Until): Promise<'deleted' | 'none'> {
  const { sdk, client } = rds;
  const name = drillName(drill);
  for (let existed = false; ; existed = true) {
    const instance = await findInstance(rds, name);
    if (!instance) return existed ? 'deleted' : 'none';
    requireOurs(instance, drill, provider.instance);
    if (instance.DBInstanceStatus !== 'deleting') {
      if (instance.DeletionProtection) await client.send(new sdk.ModifyDBInstanceCommand({ DBInstanceIdentifier: name, DeletionProtection: false, ApplyImmediately: true }));
      await client.send(new sdk.DeleteDBInstanceCommand({ DBInstanceIdentifier: name, SkipFinalSnapshot: true, DeleteAutomatedBackups: true })).catch((error: unknown) => {
        // It is being deleted already, or is not far enough to be.
        if (!isNamed(error, 'InvalidDBInstanceState', 'DBInstanceNotFound')) throw error;
      });
    }
    if (Date.now() >= until.endMs) throw stillDeleting(name);
    await pause(provider, until);
  }
}

/** Looks for the copy, its group, its backups and its snapshots, where `access` leads. */
export async function provePlaceAbsent(rds: Rds, access: AwsAccess, drill: DrillIdentity): Promise<AbsenceProof> {
  const { sdk, client } = rds;
  const name = drillName(drill);
  const [instance, group, backups, snapshots] = await Promise.all([
    findInstance(rds, name), findGroup(rds, name),
    ifThere(client.send(new sdk.DescribeDBInstanceAutomatedBackupsCommand({ DBInstanceIdentifier: name })), 'DBInstanceAutomatedBackupNotFound'),
    ifThere(client.send(new sdk.DescribeDBSnapshotsCommand({ DBInstanceIdentifier: name })), 'DBSnapshotNotFound', 'DBInstanceNotFound'),
  ]);
  const found = [
    ...(instance ? [`RDS instance ${name} is ${instance.DBInstanceStatus}`] : []), ...(group ? [`parameter group ${name} exists`] : []),
    ...(backups?.DBInstanceAutomatedBackups ?? []).map(() => `automated backups of ${name}`), ...(snapshots?.DBSnapshots ?? []).map(({ DBSnapshotIdentifier }) => `snapshot ${DBSnapshotIdentifier}`),
  ];
  return { at: new Date().toISOString(), looked: [`RDS instance ${name}`, `parameter group ${name}`, `automated backups and snapshots of ${name}`].map((one) => `${one} in ${describeAccess(access)}`), found };
}
