import { chooseManifestBefore } from '../../activities/archive-provider/manifests.ts';
import { layoutOf } from '../../activities/archive-provider/kept-in.ts';
import { explainAws } from '../../activities/aws/failures.ts';
import { findInstance } from '../../activities/rds-provider/instance.ts';
import { whoAsks } from '../../activities/aws/ask-permission.ts';
import { lookAtPermissions } from '../../activities/rds-provider/permissions.ts';
import { listPoints, restoreWindow } from '../../activities/rds-provider/points.ts';
import { lookAtRds } from '../../activities/rds-provider/preflight.ts';
import { drillAccess, isElsewhere, openPlaces, type RdsPlaces } from '../../activities/rds-provider/where.ts';
import type { Configuration } from '../../contracts/configuration.ts';
import { formatSeconds } from '../../contracts/quantities.ts';
import type { RdsProvider } from '../../contracts/rds.ts';
import { messageOf, type Findings } from './doctor-finding.ts';

/** A snapshot that is older often means that something stopped. RDS takes one a day where it keeps backups. */
const OLD_SNAPSHOT_S = 2 * 86_400;
/** Of a second that can be restored: RDS keeps WAL every five minutes. */
const OLD_SECOND_S = 3_600;

/** A target on RDS, as it is configured; `network` as `drills.network` has it. */
export interface OnRds { database: string; provider: RdsProvider; network: Configuration['drills']['network'] }

/** What a drill needs of AWS: the source and its backups, the place of copies, keys, manifests, and each permission. Changes nothing. */
export async function examineRds({ database, provider, network }: OnRds, findings: Findings): Promise<void> {
  let caller: string;
  try {
    caller = await whoAsks(drillAccess(provider));
    findings.ok('AWS', `asked in ${drillAccess(provider).region} as ${caller}; a worker with other credentials may be permitted other things`);
  } catch (error) {
    return findings.problem('AWS', messageOf(explainAws(error, 'asking AWS who this is')), 'give this user credentials as the AWS SDK finds them (AWS_PROFILE, a role), or correct provider.access');
  }
  try {
    const rds = await openPlaces(provider);
    const { checks, problems } = await lookAtRds(rds, { provider, network });
    for (const { name, outcome, detail } of checks) {
      if (outcome === 'passed') findings.ok(name, detail);
      else findings.warning(name, detail, 'remove the rules for what goes out from provider.drill.securityGroups');
    }
    // What fails for several is told where it was seen first.
    for (const { name, problem } of problems.filter((one, index) => problems.findIndex((other) => other.problem === one.problem) === index)) {
      const at = problem.lastIndexOf('; ');
      findings.problem(name, problem.slice(0, at), problem.slice(at + 2));
    }
    await examineKept(rds, provider, findings).catch((error: unknown) => findings.problem('backups', messageOf(explainAws(error, 'looking at backups')), 'see what is said of permissions'));
    const key = isElsewhere(provider) ? 'unknown' : await findInstance(rds.source, provider.instance).then((source) => (source ? source.KmsKeyId ?? 'none' : 'unknown'), () => 'unknown');
    await examinePermissions({ database, provider, caller, key }, findings);
  } catch (error) {
    findings.problem('AWS', messageOf(explainAws(error, 'asking AWS')), 'look whether AWS can be reached from here');
  }
  await examineManifests(provider, findings);
}

async function examineKept(rds: RdsPlaces, provider: RdsProvider, findings: Findings): Promise<void> {
  const source = await findInstance(rds.source, provider.instance);
  if (!source) return;
  const window = await restoreWindow(rds.source, source);
  const days = source.BackupRetentionPeriod ?? 0;
  const todo = `have RDS keep backups: aws rds modify-db-instance --db-instance-identifier ${provider.instance} --backup-retention-period 7`;
  if (days === 0) findings.warning('backups', `RDS keeps none of ${provider.instance}: its retention is 0, so that no second can be restored, and of snapshots only those that somebody takes`, todo);
  else if (!window) findings.warning('backups', `RDS has none of ${provider.instance} yet, with a retention of ${days} day(s)`, 'wait for its first automated snapshot');
  else {
    const behind = (Date.now() - window.latest.getTime()) / 1_000;
    const detail = `every second from ${window.earliest.toISOString()} to ${window.latest.toISOString()}, with a retention of ${days} day(s)`;
    if (behind > OLD_SECOND_S) findings.warning('backups', `${detail}; the last one is ${formatSeconds(behind)} ago`, 'look at the events of the instance: RDS keeps WAL every five minutes');
    else findings.ok('backups', detail);
  }
  const newest = (await listPoints(rds, provider, new Date())).points.filter(({ kind }) => kind === 'snapshot').at(-1);
  if (!newest) {
    if (days === 0 || provider.latest === 'snapshot') findings.problem('recovery point', `there is no snapshot of ${provider.instance}`, todo);
    else findings.warning('recovery point', `there is no snapshot of ${provider.instance} yet`, 'wait for its first automated one');
    return;
  }
  const age = (Date.now() - Date.parse(newest.completeAt)) / 1_000;
  const detail = `the newest snapshot, ${newest.id}, is ${formatSeconds(Math.max(age, 0))} old`;
  if (age > OLD_SNAPSHOT_S) findings.warning('recovery point', detail, 'take one, or see why automated snapshots stopped');
  else findings.ok('recovery point', detail);
}

async function examineManifests(provider: RdsProvider, findings: Findings): Promise<void> {
  const todo = 'take one with `runbook start manifest`: without, a drill says how many rows there are, and not whether they are those of the source';
  try {
    const { usable, passedOver } = await chooseManifestBefore(layoutOf(provider), new Date().toISOString());
    for (const { id, failure } of passedOver) findings.warning('manifest', `${id} cannot be used: ${messageOf(failure)}`, 'move it out of the repository');
    if (usable) findings.ok('manifest', `the newest, ${usable.id}, is of ${usable.manifest.databases[0]?.takenAt ?? 'an unknown time'}`);
    else findings.warning('manifest', `there is none in ${provider.repository}, so that drills end as not proven`, todo);
  } catch (error) {
    findings.problem('manifest', messageOf(error), 'create provider.repository, or give this user permission to read it');
  }
}

async function examinePermissions({ provider, ...asked }: { database: string; provider: RdsProvider; caller: string; key: string }, findings: Findings): Promise<void> {
  const permissions = await lookAtPermissions(provider, asked);
  const permitted = permissions.filter(({ verdict }) => verdict === 'permitted');
  const add = 'add it to what the role may do, as docs/reference/iam/rds-drills.json has it';
  if (permitted.length > 0) findings.ok('permissions', `${permitted.length} of ${permissions.length} that a drill needs are there`);
  for (const { action, verdict, because } of permissions) {
    if (verdict === 'missing') findings.problem('permissions', `${action} is missing: ${because}`, add);
    if (verdict === 'doubtful') findings.warning('permissions', `${action} may be missing: ${because}`, add);
    if (verdict === 'unknown') findings.skipped('permissions', `${action} was not looked at: ${because}`);
  }
}
