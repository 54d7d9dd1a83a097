import { randomBytes } from 'node:crypto';
import type { AwsAccess } from '../../contracts/rds.ts';
import { askPermission, askWithoutTags, bySimulation, byTheKeyToo, mayLetRdsUse, simulate, type Permission, type Probe } from '../aws/ask-permission.ts';
import { kmsClient } from '../aws/kms-client.ts';
import { rdsClient } from '../aws/rds-client.ts';
import { policyOwner } from '../aws/simulate-policies.ts';
import { NOBODY } from '../rds-provider/permission-probes.ts';
import { tagsOf } from './snapshot-tags.ts';

/** What RDS needs of a key of another account beside a grant, to read what is encrypted with it. */
const TO_READ = ['kms:Decrypt', 'kms:Encrypt', 'kms:GenerateDataKey', 'kms:ReEncryptFrom'];

/** A key that a copy needs: of the copy itself, or of what is copied. */
export interface NeededKey { id: string; region: string; isOtherAccounts: boolean }

/** Whose permissions are looked at, and for what: names of snapshots begin with `prefix`, by which policies may tell them. */
export interface SnapshotPermissionQuery {
  access: AwsAccess;
  /** Who AWS says that we are there. */
  caller: string;
  database: string;
  prefix: string;
  /** `own`: where the source is, with whether snapshots are shared with another account; `copy`: where copies go. */
  place: { kind: 'own'; shares: boolean } | { kind: 'copy'; keys: readonly NeededKey[] };
}

/**
 * Whether each permission is there that snapshots need in one place: those of docs/reference/iam/database-snapshot.json. Changes
 * nothing, and makes nothing: what makes or changes is asked of what is not there, or of IAM's simulation.
 */
export async function lookAtSnapshotPermissions({ access, caller, database, prefix, place }: SnapshotPermissionQuery): Promise<Permission[]> {
  const { sdk, client } = await rdsClient(access);
  const [, partition = 'aws', , , account = ''] = caller.split(':');
  // Nobody can have given these to anything. An instance's name is shorter than a snapshot's may be.
  const noInstance = `doctor-${randomBytes(12).toString('hex')}`;
  const nothing = `${prefix}-${noInstance}`;
  const ResourceName = `arn:${partition}:rds:${access.region}:${account}:snapshot:${nothing}`;
  const ours = tagsOf({ ...NOBODY, database, stem: prefix, expiresAt: new Date().toISOString() }, new Date());
  const Tags = Object.entries(ours).map(([Key, Value]) => ({ Key, Value }));
  const principal = policyOwner(caller, access);
  const looks: Probe[] = [
    { action: 'rds:DescribeDBSnapshots', ask: () => client.send(new sdk.DescribeDBSnapshotsCommand({ SnapshotType: 'manual', MaxRecords: 20 })) },
    { action: 'rds:ListTagsForResource', ask: () => client.send(new sdk.ListTagsForResourceCommand({ ResourceName })) },
    { action: 'rds:AddTagsToResource', ask: () => client.send(new sdk.AddTagsToResourceCommand({ ResourceName, Tags })) },
    ...(place.kind === 'own' ? [
      { action: 'rds:DescribeDBInstances', ask: () => client.send(new sdk.DescribeDBInstancesCommand({ MaxRecords: 20 })) },
      { action: 'rds:CreateDBSnapshot', ask: () => client.send(new sdk.CreateDBSnapshotCommand({ DBInstanceIdentifier: noInstance, DBSnapshotIdentifier: nothing, Tags })) },
    ] : [
      { action: 'rds:CopyDBSnapshot', ask: () => client.send(new sdk.CopyDBSnapshotCommand({ SourceDBSnapshotIdentifier: nothing, TargetDBSnapshotIdentifier: `${nothing}-0`, Tags })) },
    ]),
  ];
  const changes: Probe[] = [
    { action: 'rds:DeleteDBSnapshot', ask: () => client.send(new sdk.DeleteDBSnapshotCommand({ DBSnapshotIdentifier: nothing })) },
    ...(place.kind === 'own' && place.shares ? [{ action: 'rds:ModifyDBSnapshotAttribute', ask: () => client.send(new sdk.ModifyDBSnapshotAttributeCommand({ DBSnapshotIdentifier: nothing, AttributeName: 'restore', ValuesToRemove: [account] })) }] : []),
  ];
  const context = Object.fromEntries(Object.entries(ours).map(([key, value]) => [`aws:ResourceTag/${key}`, value]));
  const answers = await simulate(access, { principal, actions: changes.map(({ action }) => action), resource: ResourceName, context });
  const changed = changes.map((probe) => (answers instanceof Map ? bySimulation(probe.action, answers) : askWithoutTags(probe, 'a snapshot of ours', answers)));
  const keys = place.kind === 'copy' ? place.keys.map((key) => lookAtKey(access, principal, key)) : [];
  const all = await Promise.all([...looks.map(askPermission), ...changed]);
  return [...all, ...(await Promise.all(keys)).flat()].toSorted((a, b) => a.action.localeCompare(b.action));
}

async function lookAtKey(access: AwsAccess, principal: string, { id, region, isOtherAccounts }: NeededKey): Promise<Permission[]> {
  const there = { ...access, region };
  const { sdk, client } = await kmsClient(there);
  const seen = await askPermission({ action: 'kms:DescribeKey', ask: () => client.send(new sdk.DescribeKeyCommand({ KeyId: id })) });
  const used = await mayLetRdsUse(there, { principal, keyId: id, besides: isOtherAccounts ? TO_READ : [] });
  // The policy of another account's key may let RDS alone see it.
  return [isOtherAccounts ? byTheKeyToo(seen) : seen, ...used].map((one) => ({ ...one, action: `${one.action} of ${id}` }));
}
