import type * as Sdk from '@aws-sdk/client-rds';
import { ApplicationFailure } from '@temporalio/common';
import { ifThere } from '../aws/failures.ts';
import type { Rds } from '../aws/rds-client.ts';
import { isOfDrill, type DrillIdentity } from './drill-names.ts';

/** An instance by its identifier; undefined where there is none. */
export async function findInstance({ sdk, client }: Rds, identifier: string, signal?: AbortSignal): Promise<Sdk.DBInstance | undefined> {
  const found = await ifThere(client.send(new sdk.DescribeDBInstancesCommand({ DBInstanceIdentifier: identifier }), signal ? { abortSignal: signal } : {}), 'DBInstanceNotFound');
  return found?.DBInstances?.[0];
}

/** The source of drills, as RDS knows it. */
export async function sourceInstance(rds: Rds, identifier: string): Promise<Sdk.DBInstance> {
  const instance = await findInstance(rds, identifier);
  if (!instance) throw ApplicationFailure.nonRetryable(`there is no RDS instance "${identifier}" in this account and region; correct provider.instance or provider.access`, 'NOT_FOUND');
  return instance;
}

/** RDS takes identifiers in capitals as well, and says them in small letters. */
export function isSameIdentifier(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

/**
 * Refuses what is not this drill's: whoever gave something else its name has to rename that.
 * @throws ApplicationFailure `FENCED`
 */
export function requireOurs(instance: Sdk.DBInstance, drill: DrillIdentity, source: string): void {
  const { DBInstanceIdentifier: identifier = '', TagList } = instance;
  if (!isSameIdentifier(identifier, source) && isOfDrill(TagList, drill)) return;
  throw ApplicationFailure.nonRetryable(`the RDS instance "${identifier}" is not this run's: it lacks its tags, so nothing is done with it`, 'FENCED');
}

/** What RDS said of an instance lately, newest first, in one line; empty where it said nothing. */
export async function recentEvents({ sdk, client }: Rds, identifier: string): Promise<string> {
  const { Events = [] } = await client.send(new sdk.DescribeEventsCommand({ SourceIdentifier: identifier, SourceType: 'db-instance', Duration: 60 }));
  return Events.map(({ Message }) => Message ?? '').filter((message) => message !== '').reverse().slice(0, 3).join('; ');
}
