import { randomBytes } from 'node:crypto';
import type { RdsProvider } from '../../contracts/rds.ts';
import type { Probe } from '../aws/ask-permission.ts';
import type { Ec2 } from '../aws/ec2-client.ts';
import type { Kms } from '../aws/kms-client.ts';
import type { Rds } from '../aws/rds-client.ts';
import { drillName, drillTags } from './drill-names.ts';

/** Nobody's: fences begin at 1. */
export const NOBODY = { owner: { workflowId: 'doctor', firstExecutionRunId: '-' }, fence: 0 };

/** The name of a drill that is not there, new each time: nobody can have given it to anything. */
export function nameOfNothing(): string {
  return `${drillName(NOBODY)}-${randomBytes(12).toString('hex')}`;
}

/** What only looks is asked as a drill asks. */
export function lookProbes({ rds: { sdk, client }, ec2, kms }: { rds: Rds; ec2: Ec2; kms: Kms }, provider: RdsProvider, { arn, keyId }: { arn: (kind: 'db', name: string) => string; keyId: string | undefined }): Probe[] {
  const { instance: DBInstanceIdentifier } = provider;
  return [
    { action: 'ec2:DescribeSecurityGroups', ask: () => ec2.client.send(new ec2.sdk.DescribeSecurityGroupsCommand({ Filters: [{ Name: 'group-id', Values: provider.drill.securityGroups }] })) },
    ...(keyId === undefined ? [] : [{ action: 'kms:DescribeKey', ask: () => kms.client.send(new kms.sdk.DescribeKeyCommand({ KeyId: keyId })) }]),
    { action: 'rds:DescribeDBInstanceAutomatedBackups', ask: () => client.send(new sdk.DescribeDBInstanceAutomatedBackupsCommand({ DBInstanceIdentifier })) },
    { action: 'rds:DescribeDBInstances', ask: () => client.send(new sdk.DescribeDBInstancesCommand({ DBInstanceIdentifier })) },
    { action: 'rds:DescribeDBParameterGroups', ask: () => client.send(new sdk.DescribeDBParameterGroupsCommand({ DBParameterGroupName: nameOfNothing() })) },
    { action: 'rds:DescribeDBParameters', ask: () => client.send(new sdk.DescribeDBParametersCommand({ DBParameterGroupName: nameOfNothing() })) },
    { action: 'rds:DescribeDBSnapshots', ask: () => client.send(new sdk.DescribeDBSnapshotsCommand({ DBInstanceIdentifier, MaxRecords: 20 })) },
    { action: 'rds:DescribeDBSubnetGroups', ask: () => client.send(new sdk.DescribeDBSubnetGroupsCommand({ DBSubnetGroupName: provider.drill.subnetGroup })) },
    { action: 'rds:DescribeEvents', ask: () => client.send(new sdk.DescribeEventsCommand({ SourceIdentifier: DBInstanceIdentifier, SourceType: 'db-instance', Duration: 60 })) },
    { action: 'rds:ListTagsForResource', ask: () => client.send(new sdk.ListTagsForResourceCommand({ ResourceName: arn('db', DBInstanceIdentifier) })) },
  ];
}

/**
 * What makes something is asked of what is not there, with a drill's tags: RDS looks at permissions first, and then finds
 * nothing to make it of. Nothing can come of them, twice over: each also names something else that is not there or cannot be.
 */
export function makeProbes({ sdk, client }: Rds, database: string, arn: (kind: 'db', name: string) => string): Probe[] {
  const nothing = nameOfNothing();
  const now = new Date();
  const Tags = drillTags({ ...NOBODY, database }, { restored: now, begunAt: now, expiresAt: now });
  return [
    { action: 'rds:AddTagsToResource', ask: () => client.send(new sdk.AddTagsToResourceCommand({ ResourceName: arn('db', nothing), Tags })) },
    { action: 'rds:CopyDBParameterGroup', ask: () => client.send(new sdk.CopyDBParameterGroupCommand({ SourceDBParameterGroupIdentifier: nothing, TargetDBParameterGroupIdentifier: `${nothing}--`, TargetDBParameterGroupDescription: 'none', Tags })) },
    // Neither a name nor a family that there can be.
    { action: 'rds:CreateDBParameterGroup', ask: () => client.send(new sdk.CreateDBParameterGroupCommand({ DBParameterGroupName: `${nothing}--`, DBParameterGroupFamily: 'none-of-rds', Description: 'none', Tags })) },
    { action: 'rds:RestoreDBInstanceFromDBSnapshot', ask: () => client.send(new sdk.RestoreDBInstanceFromDBSnapshotCommand({ DBInstanceIdentifier: nothing, DBSnapshotIdentifier: nothing, DBParameterGroupName: nothing, Tags })) },
    { action: 'rds:RestoreDBInstanceToPointInTime', ask: () => client.send(new sdk.RestoreDBInstanceToPointInTimeCommand({ TargetDBInstanceIdentifier: nothing, SourceDBInstanceIdentifier: `${nothing}-0`, DBParameterGroupName: nothing, UseLatestRestorableTime: true, Tags })) },
  ];
}

/** What changes and removes, of what is not there. A policy that permits it for what has a drill's tags only refuses these: what is not there has none. */
export function changeProbes({ sdk, client }: Rds): (Probe & { kind: 'db' | 'pg' })[] {
  const nothing = nameOfNothing();
  return [
    { kind: 'db', action: 'rds:DeleteDBInstance', ask: () => client.send(new sdk.DeleteDBInstanceCommand({ DBInstanceIdentifier: nothing, SkipFinalSnapshot: true })) },
    { kind: 'pg', action: 'rds:DeleteDBParameterGroup', ask: () => client.send(new sdk.DeleteDBParameterGroupCommand({ DBParameterGroupName: nothing })) },
    { kind: 'db', action: 'rds:ModifyDBInstance', ask: () => client.send(new sdk.ModifyDBInstanceCommand({ DBInstanceIdentifier: nothing, DeletionProtection: false })) },
    { kind: 'pg', action: 'rds:ModifyDBParameterGroup', ask: () => client.send(new sdk.ModifyDBParameterGroupCommand({ DBParameterGroupName: nothing, Parameters: [{ ParameterName: 'max_logical_replication_workers', ParameterValue: '0', ApplyMethod: 'pending-reboot' }] })) },
  ];
}
