import type { Rds } from '../aws/rds-client.ts';
import { DRILL_PREFIX, EXPIRES_TAG, RUN_TAG, tagValue, TARGET_TAG } from './drill-names.ts';

/** Something that a drill made in RDS. `run`: stands for its run, see `ownerTag`. `expiresAt`: when it had to be gone; undefined where older code made it. */
export interface MadeByDrill { kind: 'RDS instance' | 'parameter group'; name: string; state: string | undefined; run: string; target: string | undefined; expiresAt: Date | undefined }

/** All that drills made where this leads and that is still there, by name and tags; whoever's drills they are. */
export async function listMadeByDrills({ sdk, client }: Rds): Promise<MadeByDrill[]> {
  const made: MadeByDrill[] = [];
  const add = (kind: MadeByDrill['kind'], name: string, state: string | undefined, tags: Parameters<typeof tagValue>[0]) => {
    const [run, expires] = [tagValue(tags, RUN_TAG), tagValue(tags, EXPIRES_TAG)];
    if (run !== undefined) made.push({ kind, name, state, run, target: tagValue(tags, TARGET_TAG), expiresAt: expires === undefined ? undefined : new Date(expires) });
  };
  for await (const { DBInstances = [] } of sdk.paginateDescribeDBInstances({ client }, {})) {
    for (const { DBInstanceIdentifier: name = '', DBInstanceStatus, TagList } of DBInstances) if (name.startsWith(DRILL_PREFIX)) add('RDS instance', name, DBInstanceStatus, TagList);
  }
  for await (const { DBParameterGroups = [] } of sdk.paginateDescribeDBParameterGroups({ client }, {})) {
    for (const { DBParameterGroupName: name = '', DBParameterGroupArn } of DBParameterGroups.filter((group) => group.DBParameterGroupName?.startsWith(DRILL_PREFIX))) {
      const { TagList } = await client.send(new sdk.ListTagsForResourceCommand({ ResourceName: DBParameterGroupArn }));
      add('parameter group', name, undefined, TagList);
    }
  }
  return made;
}
