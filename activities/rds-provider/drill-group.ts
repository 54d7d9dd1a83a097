import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/common';
import { ifThere } from '../aws/failures.ts';
import type { Rds } from '../aws/rds-client.ts';
import { isOfDrill, type DrillIdentity } from './drill-names.ts';

/** For so long a group that RDS says is there may not be seen yet; it is looked for again after so long. */
const UNSEEN_MS = { patience: 20_000, again: 500 };

/** The parameter group of a drill; undefined where there is none, or none is seen yet. */
export async function findGroup({ sdk, client }: Rds, name: string): Promise<{ arn: string } | undefined> {
  const found = await ifThere(client.send(new sdk.DescribeDBParameterGroupsCommand({ DBParameterGroupName: name })), 'DBParameterGroupNotFound');
  const [group] = found?.DBParameterGroups ?? [];
  return group && { arn: group.DBParameterGroupArn ?? '' };
}

/**
 * Looks whose a group is that RDS says is there already: its own reads may not know it for some seconds.
 * @throws ApplicationFailure `FENCED` where it is seen, and not the drill's
 */
export async function awaitOurGroup(rds: Rds, name: string, drill: DrillIdentity, signal: AbortSignal | undefined): Promise<void> {
  for (const end = Date.now() + UNSEEN_MS.patience; Date.now() < end; await sleep(UNSEEN_MS.again, undefined, { signal })) {
    if (await requireOurGroup(rds, name, drill)) return;
  }
  throw ApplicationFailure.create({ message: `RDS says that there is a parameter group "${name}", and does not show it`, type: 'UNAVAILABLE', nonRetryable: false });
}

/**
 * Whether there is such a group.
 * @throws ApplicationFailure `FENCED` where it is not the drill's
 */
async function requireOurGroup(rds: Rds, name: string, drill: DrillIdentity): Promise<boolean> {
  const group = await findGroup(rds, name);
  if (!group) return false;
  const tags = await ifThere(rds.client.send(new rds.sdk.ListTagsForResourceCommand({ ResourceName: group.arn })), 'DBParameterGroupNotFound');
  if (!tags) return false;
  if (isOfDrill(tags.TagList, drill)) return true;
  throw ApplicationFailure.nonRetryable(`the parameter group "${name}" is not this run's: it lacks its tags, so nothing is done with it`, 'FENCED');
}

/**
 * Removes the group of a drill; whether there was one.
 * @throws ApplicationFailure `FENCED` where it is not the drill's
 */
export async function deleteGroup(rds: Rds, name: string, drill: DrillIdentity): Promise<boolean> {
  if (!await requireOurGroup(rds, name, drill)) return false;
  // Gone by now: the reply to a call before was lost.
  await ifThere(rds.client.send(new rds.sdk.DeleteDBParameterGroupCommand({ DBParameterGroupName: name })), 'DBParameterGroupNotFound');
  return true;
}
