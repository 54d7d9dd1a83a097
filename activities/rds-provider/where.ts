import { ApplicationFailure } from '@temporalio/common';
import { canonicalJson } from '../../contracts/canonical.ts';
import type { AwsAccess, RdsProvider } from '../../contracts/rds.ts';
import { rdsClient, type Rds } from '../aws/rds-client.ts';

/** RDS where the source is, and where its drills are made. */
export interface RdsPlaces { source: Rds; drills: Rds }

/** Clients for both; the same one where nothing else is configured. */
export async function openPlaces(provider: RdsProvider): Promise<RdsPlaces> {
  const [source, drills] = await Promise.all([rdsClient(provider.access), rdsClient(drillAccess(provider))]);
  return { source, drills };
}

/** By whose rights, and in which region, copies are made. */
export function drillAccess({ access, drill }: Pick<RdsProvider, 'access' | 'drill'>): AwsAccess {
  return drill.access ?? access;
}

/**
 * Whether drills are made in another region or account than the source's: then only what was copied or shared can be restored, and
 * no second. Two roles of one account are told by their ARNs; whose account credentials without a role are of is not known before
 * they are used, so that beside a role they count as another's.
 */
export function isElsewhere(provider: Pick<RdsProvider, 'access' | 'drill'>): boolean {
  const [here, there] = [provider.access, drillAccess(provider)];
  return here.region !== there.region || accountOf(here) !== accountOf(there);
}

/**
 * Refuses to make anything elsewhere than where it was planned, which is where it is removed: the configuration may say something else by now.
 * `planned` is undefined in plans of older code.
 * @throws ApplicationFailure `CONFIGURATION`
 */
export function requirePlanned(provider: Pick<RdsProvider, 'access' | 'drill'>, planned: AwsAccess | undefined): void {
  const now = drillAccess(provider);
  if (planned === undefined || canonicalJson(planned) === canonicalJson(now)) return;
  throw ApplicationFailure.nonRetryable(`the copy was planned for ${describeAccess(planned)}, and the configuration names ${describeAccess(now)} by now, or another role there; start another run`, 'CONFIGURATION');
}

/** Such as `eu-west-1, account 123456789012`. */
export function describeAccess(access: AwsAccess): string {
  const account = accountOf(access);
  return account === undefined ? access.region : `${access.region}, account ${account}`;
}

/** Of the role that is assumed; undefined where it is whatever account the credentials belong to. */
export function accountOf({ role }: AwsAccess): string | undefined {
  return role?.arn.split(':')[4];
}
