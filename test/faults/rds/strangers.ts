import {
  CreateDBInstanceCommand, CreateDBParameterGroupCommand, CreateDBSnapshotCommand, DeleteDBInstanceCommand, DeleteDBParameterGroupCommand, ModifyDBParameterGroupCommand, type RDSClient, type Tag,
} from '@aws-sdk/client-rds';
import { untilGone, untilInstance, untilSnapshot } from '../../support/aws-lab-rds.ts';

/** As a drill would be called whose run is not there. */
const ALIKE = 'runbooks-d-0badc0de-1';
/** As those of a drill of the same target, of another run. */
const TAGS: Tag[] = [{ Key: 'durable-runbooks:target', Value: 'shop' }, { Key: 'durable-runbooks:fence', Value: '1' }];

/** What is not ours and looks like it: an instance, a parameter group and snapshots with names like those of drills, with some of their tags and with none; and a snapshot that somebody took of the source. */
export async function plantStrangers(rds: RDSClient, source: string): Promise<void> {
  await plantInstance(rds, ALIKE);
  await plantGroup(rds, ALIKE, TAGS);
  await plantGroup(rds, 'runbooks-d-0badc0de-2');
  for (const [of, name] of [[source, `${source}-kept`], [ALIKE, `${ALIKE}-kept`]] as const) {
    await rds.send(new CreateDBSnapshotCommand({ DBInstanceIdentifier: of, DBSnapshotIdentifier: name }));
    await untilSnapshot(rds, name);
    await untilInstance(rds, of);
  }
}

/** Somebody else's instance under this name; returns once it is available. */
export async function plantInstance(rds: RDSClient, name: string): Promise<void> {
  await rds.send(new CreateDBInstanceCommand({
    DBInstanceIdentifier: name, Engine: 'postgres', DBInstanceClass: 'db.t4g.micro', AllocatedStorage: 20, DBName: 'theirs', MasterUsername: 'somebody', MasterUserPassword: 'of-somebody-else', BackupRetentionPeriod: 0,
  }));
  await untilInstance(rds, name);
}

/** Somebody else's parameter group, with a setting that tells it from one of ours. */
export async function plantGroup(rds: RDSClient, name: string, tags: Tag[] = []): Promise<void> {
  await rds.send(new CreateDBParameterGroupCommand({ DBParameterGroupName: name, DBParameterGroupFamily: 'postgres18', Description: 'of somebody else', Tags: tags }));
  await rds.send(new ModifyDBParameterGroupCommand({ DBParameterGroupName: name, Parameters: [{ ParameterName: 'work_mem', ParameterValue: '4321', ApplyMethod: 'pending-reboot' }] }));
}

/** Its owner takes it away. */
export async function removeInstance(rds: RDSClient, name: string): Promise<void> {
  await rds.send(new DeleteDBInstanceCommand({ DBInstanceIdentifier: name, SkipFinalSnapshot: true }));
  await untilGone(rds, name);
}

/** Its owner takes it away; RDS refuses that while an instance uses it. */
export async function removeGroup(rds: RDSClient, name: string): Promise<void> {
  await rds.send(new DeleteDBParameterGroupCommand({ DBParameterGroupName: name }));
}
