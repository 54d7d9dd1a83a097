import type * as Sdk from '@aws-sdk/client-rds';
import type { AwsAccess, RdsProvider, SnapshotSettings } from '../../contracts/rds.ts';
import { ifThere, isNamed } from '../aws/failures.ts';
import { isOfSource } from '../aws/of-source.ts';
import { rdsClient, type Rds } from '../aws/rds-client.ts';
import { sourceInstance } from '../rds-provider/instance.ts';
import { describeAccess } from '../rds-provider/where.ts';
import type { Begun, CopyStore, KeptSnapshot, SnapshotSource, SnapshotStore, SnapshotStores } from './snapshot-store.ts';

const GIB = 2 ** 30;

/** Manual snapshots of an RDS instance: where it is, and where the configuration wants copies. */
export async function rdsStores(provider: RdsProvider, { copyTo }: SnapshotSettings): Promise<SnapshotStores> {
  const here = await rdsClient(provider.access);
  const copies = await Promise.all(copyTo.map(async ({ kmsKey, ...access }) => copyStore(here, { access, rds: await rdsClient(access), kmsKey })));
  return {
    source: async () => describeSource(await sourceInstance(here, provider.instance)),
    own: { ...store(here, provider.access), begin: (id, tags, signal) => create(here, provider.instance, id, tags, signal) },
    copies,
  };
}

function describeSource({ DBInstanceIdentifier: identifier = '', DbiResourceId: resourceId = '', DBInstanceArn: arn = '', AllocatedStorage = 0, EngineVersion: serverVersion = '', StorageEncrypted = false }: Sdk.DBInstance): SnapshotSource {
  return { identifier, resourceId, arn, sizeBytes: AllocatedStorage * GIB, serverVersion, isEncrypted: StorageEncrypted };
}

function store({ sdk, client }: Rds, access: AwsAccess): Omit<SnapshotStore, 'begin'> {
  return {
    where: describeAccess(access),
    async find(id, signal) {
      const found = await ifThere(client.send(new sdk.DescribeDBSnapshotsCommand({ DBSnapshotIdentifier: id }), signal ? { abortSignal: signal } : {}), 'DBSnapshotNotFound');
      const [snapshot] = found?.DBSnapshots ?? [];
      return snapshot && kept(snapshot);
    },
    async readTags({ arn }, signal) {
      const found = await ifThere(client.send(new sdk.ListTagsForResourceCommand({ ResourceName: arn }), signal ? { abortSignal: signal } : {}), 'DBSnapshotNotFound');
      return found && asRecord(found.TagList);
    },
    async list() {
      const found: KeptSnapshot[] = [];
      for await (const { DBSnapshots = [] } of sdk.paginateDescribeDBSnapshots({ client }, { SnapshotType: 'manual' })) found.push(...DBSnapshots.map(kept));
      return found;
    },
    async addTags({ arn }, tags) {
      await client.send(new sdk.AddTagsToResourceCommand({ ResourceName: arn, Tags: asList(tags) }));
    },
    async remove(id) {
      try {
        await client.send(new sdk.DeleteDBSnapshotCommand({ DBSnapshotIdentifier: id }));
      } catch (error) {
        // It is being made, or copied from.
        if (isNamed(error, 'InvalidDBSnapshotState')) return 'not now';
        if (!isNamed(error, 'DBSnapshotNotFound')) throw error;
      }
      return 'removed';
    },
  };
}

async function create({ sdk, client }: Rds, instance: string, id: string, tags: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Begun> {
  // Another snapshot is being taken of it, or it is being changed.
  return asked(client.send(new sdk.CreateDBSnapshotCommand({ DBSnapshotIdentifier: id, DBInstanceIdentifier: instance, Tags: asList(tags) }), { abortSignal: signal }), 'InvalidDBInstanceState');
}

/** A copy is asked for where it will lie. Another account has to be let in first, and is let out again when it has it. */
function copyStore(here: Rds, { access, rds, kmsKey }: { access: AwsAccess; rds: Rds; kmsKey: string | undefined }): CopyStore {
  const { sdk, client } = rds;
  const share = (id: string, values: Pick<Sdk.ModifyDBSnapshotAttributeCommandInput, 'ValuesToAdd' | 'ValuesToRemove'>) => here.client.send(new here.sdk.ModifyDBSnapshotAttributeCommand({ DBSnapshotIdentifier: id, AttributeName: 'restore', ...values }));
  /** Of the role, where it is another than the snapshot's. */
  const stranger = (arn: string): string[] => [access.role?.arn.split(':')[4] ?? ''].filter((account) => account !== '' && account !== arn.split(':')[4]);
  return {
    ...store(rds, access),
    async begin({ id: original, arn }, id, tags, signal) {
      if (stranger(arn).length > 0) await share(original, { ValuesToAdd: stranger(arn) });
      // That it is shared takes RDS a moment.
      return asked(client.send(new sdk.CopyDBSnapshotCommand({ SourceDBSnapshotIdentifier: arn, TargetDBSnapshotIdentifier: id, Tags: asList(tags), CopyTags: false, ...(kmsKey === undefined ? {} : { KmsKeyId: kmsKey }) }), { abortSignal: signal }), 'InvalidDBSnapshotState', 'DBSnapshotNotFound');
    },
    async endSharing({ id, arn }) {
      if (stranger(arn).length > 0) await share(id, { ValuesToRemove: stranger(arn) });
    },
  };
}

async function asked(call: Promise<unknown>, ...notNow: string[]): Promise<Begun> {
  try {
    await call;
  } catch (error) {
    if (isNamed(error, ...notNow)) return 'not now';
    // Its reply was lost, or a predecessor was as quick.
    if (!isNamed(error, 'DBSnapshotAlreadyExists')) throw error;
  }
  return 'begun';
}

function kept(snapshot: Sdk.DBSnapshot): KeptSnapshot {
  const { DBSnapshotIdentifier: id = '', DBSnapshotArn: arn = '', Status: status = 'unknown', PercentProgress: percent = 0, OriginalSnapshotCreateTime, SnapshotCreateTime, AllocatedStorage = 0, Encrypted = false, TagList } = snapshot;
  return {
    id, arn, status, percent, takenAt: OriginalSnapshotCreateTime ?? SnapshotCreateTime ?? null, sizeBytes: AllocatedStorage * GIB, isEncrypted: Encrypted,
    tags: asRecord(TagList),
    isOf: ({ resourceId, identifier, arn: instance }) => isOfSource(snapshot, { DbiResourceId: resourceId, DBInstanceIdentifier: identifier, DBInstanceArn: instance }),
  };
}

function asRecord(tags: readonly Sdk.Tag[] = []): Record<string, string> {
  return Object.fromEntries(tags.map(({ Key = '', Value = '' }) => [Key, Value]));
}

function asList(tags: Readonly<Record<string, string>>): Sdk.Tag[] {
  return Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
}
