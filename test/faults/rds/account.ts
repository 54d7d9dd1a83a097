import {
  type RDSClient, paginateDescribeDBInstanceAutomatedBackups, paginateDescribeDBInstances, paginateDescribeDBParameterGroups, paginateDescribeDBParameters, paginateDescribeDBSnapshots, type Tag,
} from '@aws-sdk/client-rds';
import type { LabControl } from '../../support/aws-lab-control.ts';

/** Everything in an account that a drill could make, change or delete: each by its kind and name, with what must stay as it is. */
export type Account = Record<string, string>;

const tagsOf = (tags: readonly Tag[] = []): string => tags.map(({ Key, Value }) => `${Key}=${Value}`).toSorted().join();

/** Instances with the servers behind them, their backups and snapshots, and parameter groups with what is set in them. */
export async function readAccount(client: RDSClient, control: LabControl): Promise<Account> {
  const account: Account = {};
  for await (const { DBInstances = [] } of paginateDescribeDBInstances({ client }, {})) {
    for (const { LatestRestorableTime: _moves, TagList, ...instance } of DBInstances) account[`RDS instance ${instance.DBInstanceIdentifier}`] = JSON.stringify([instance, tagsOf(TagList)]);
  }
  for await (const { DBSnapshots = [] } of paginateDescribeDBSnapshots({ client }, {})) {
    for (const { TagList, ...snapshot } of DBSnapshots) account[`snapshot ${snapshot.DBSnapshotIdentifier} of ${snapshot.DBInstanceIdentifier}`] = JSON.stringify([snapshot, tagsOf(TagList)]);
  }
  for await (const { DBInstanceAutomatedBackups = [] } of paginateDescribeDBInstanceAutomatedBackups({ client }, {})) {
    for (const { DBInstanceIdentifier, DbiResourceId, Status } of DBInstanceAutomatedBackups) account[`automated backups of ${DBInstanceIdentifier} ${DbiResourceId}`] = Status ?? '';
  }
  for await (const { DBParameterGroups = [] } of paginateDescribeDBParameterGroups({ client }, {})) {
    for (const { DBParameterGroupName = '', DBParameterGroupArn } of DBParameterGroups) {
      const set: string[] = [];
      for await (const { Parameters = [] } of paginateDescribeDBParameters({ client }, { DBParameterGroupName, Source: 'user' })) set.push(...Parameters.map(({ ParameterName, ParameterValue }) => `${ParameterName}=${ParameterValue}`));
      account[`parameter group ${DBParameterGroupName}`] = JSON.stringify([DBParameterGroupArn, set.toSorted()]);
    }
  }
  for (const { instance, pid } of await control.servers()) account[`server of ${instance}`] = String(pid);
  return account;
}
