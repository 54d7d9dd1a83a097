import type { Client } from '@temporalio/client';
import { explainAws } from '../../activities/aws/failures.ts';
import { rdsClient } from '../../activities/aws/rds-client.ts';
import { ownerTag } from '../../activities/kernel/names.ts';
import { listMadeByDrills, type MadeByDrill } from '../../activities/rds-provider/left-over.ts';
import { describeAccess, drillAccess } from '../../activities/rds-provider/where.ts';
import type { Configuration } from '../../contracts/configuration.ts';
import { GUARDIAN_TYPE } from '../../contracts/guardian.ts';
import type { AwsAccess } from '../../contracts/rds.ts';
import { Findings, messageOf, type Finding } from './doctor-finding.ts';

const NAME = 'left-over drills in AWS';

/**
 * What drills left in AWS, as far as this server knows: copies of production that cost money, and that no worker sweeps, since RDS is
 * of no host. Where drills of several servers share an account, only what is past its time is told of those of others.
 */
export async function examineRdsLeftovers({ client }: { client: Client }, { databases }: Pick<Configuration, 'databases'>): Promise<Finding[]> {
  const findings = new Findings('AWS');
  const places = new Map<string, AwsAccess>();
  for (const { provider } of Object.values(databases)) if (provider.kind === 'rds') places.set(JSON.stringify(drillAccess(provider)), drillAccess(provider));
  if (places.size === 0) return [];
  let guarded: ReadonlySet<string>;
  try {
    guarded = await guardedRuns(client);
  } catch (error) {
    findings.skipped(NAME, `the server does not say which runs are guarded: ${messageOf(error)}`);
    return findings.all;
  }
  for (const access of places.values()) {
    try {
      const made = await listMadeByDrills(await rdsClient(access));
      const [before, nowMs] = [findings.all.length, Date.now()];
      for (const one of made) judge(one, { isGuarded: guarded.has(one.run), nowMs, access }, findings);
      if (findings.all.length === before) findings.ok(NAME, `there is none in ${describeAccess(access)}${made.length === 0 ? '' : `; of ${made.length} that are there a guardian sees to each, or there is time left`}`);
    } catch (error) {
      findings.skipped(NAME, messageOf(explainAws(error, `looking in ${describeAccess(access)}`)));
    }
  }
  return findings.all;
}

/** The tags of all runs whose guardian lives. One whose id is too long to tell its run is left out: what it guards has an expiry, too. */
export async function guardedRuns(client: Client): Promise<Set<string>> {
  const guarded = new Set<string>();
  const [prefix, slash] = [`${GUARDIAN_TYPE}/`, '/'];
  for await (const { workflowId } of client.workflow.list({ query: `WorkflowType = '${GUARDIAN_TYPE}' AND ExecutionStatus = 'Running'` })) {
    const owner = workflowId.slice(prefix.length);
    const at = owner.lastIndexOf(slash);
    if (workflowId.startsWith(prefix) && at > 0) guarded.add(ownerTag({ workflowId: owner.slice(0, at), firstExecutionRunId: owner.slice(at + 1) }));
  }
  return guarded;
}

interface Known { isGuarded: boolean; nowMs: number; access: AwsAccess }

function judge({ kind, name, state, target, expiresAt }: MadeByDrill, { isGuarded, nowMs, access }: Known, findings: Findings): void {
  const isOver = expiresAt === undefined || expiresAt.getTime() < nowMs;
  // Older code gave a group no expiry.
  if (!isOver || (isGuarded && expiresAt === undefined)) return;
  const what = `the ${kind} ${name}${target === undefined ? '' : `, of a drill of ${target},`} is still there in ${describeAccess(access)}${state === undefined ? '' : ` (${state})`}${expiresAt === undefined ? '' : `, and had to be gone by ${expiresAt.toISOString()}`}`;
  if (isGuarded) findings.warning(NAME, `${what}; its guardian lives`, 'look at what that waits for, in the web UI or with: runbook runs');
  else findings.problem(NAME, `${what}; this server knows no guardian that sees to it`, removal(kind, name, access.region));
}

function removal(kind: MadeByDrill['kind'], name: string, region: string): string {
  return kind === 'RDS instance'
    ? `remove it: aws rds delete-db-instance --region ${region} --db-instance-identifier ${name} --skip-final-snapshot --delete-automated-backups`
    : `remove it, once no instance has it: aws rds delete-db-parameter-group --region ${region} --db-parameter-group-name ${name}`;
}
