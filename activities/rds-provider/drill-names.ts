import type * as Sdk from '@aws-sdk/client-rds';
import type { DrillPlaceCall } from '../dr-test/drill-activities.ts';
import { fenceName, ownerTag } from '../kernel/names.ts';

/** Of a drill, what its names and tags are made of. */
export type DrillIdentity = Pick<DrillPlaceCall, 'owner' | 'fence' | 'database'>;

/** With this the name of everything begins that a drill makes. */
export const DRILL_PREFIX = 'runbooks-d-';
/** By these everything that a drill makes is known, and nothing else is ever destroyed. */
export const RUN_TAG = 'durable-runbooks:run';
/** See {@link RUN_TAG}: the name of the database in the configuration. */
export const TARGET_TAG = 'durable-runbooks:target';
const FENCE_TAG = 'durable-runbooks:fence';
/** The instant that was restored, RFC 3339. */
export const RESTORED_TAG = 'durable-runbooks:restored';
/** When that was asked for, RFC 3339. By it, whoever goes on waiting knows for how long it has been waited. */
export const BEGUN_TAG = 'durable-runbooks:begun';
/** When the drill has to be gone, RFC 3339. */
export const EXPIRES_TAG = 'durable-runbooks:expires';

/** Name of a drill's instance, and of its parameter group: letters, digits and single hyphens, below the 63 characters that RDS takes. */
export function drillName({ owner, fence }: Pick<DrillIdentity, 'owner'> & { fence: number | '<fence>' }): string {
  return `runbooks-${fenceName('d', owner, fence)}`;
}

/** The tags of what a drill makes. */
export function drillTags({ owner, fence, database }: DrillIdentity, times: { restored?: Date; begunAt?: Date; expiresAt?: Date | undefined } = {}): Sdk.Tag[] {
  const dated = [[RESTORED_TAG, times.restored], [BEGUN_TAG, times.begunAt], [EXPIRES_TAG, times.expiresAt]] as const;
  return [
    { Key: RUN_TAG, Value: ownerTag(owner) }, { Key: FENCE_TAG, Value: String(fence) }, { Key: TARGET_TAG, Value: database },
    ...dated.flatMap(([Key, at]) => (at === undefined ? [] : [{ Key, Value: at.toISOString() }])),
  ];
}

/** Whether tags say that something is this drill's: all of them, and not its name alone. */
export function isOfDrill(tags: readonly Sdk.Tag[] | undefined, drill: DrillIdentity): boolean {
  return drillTags(drill).every(({ Key, Value }) => tags?.some((tag) => tag.Key === Key && tag.Value === Value) === true);
}

/** The value of a tag. */
export function tagValue(tags: readonly Sdk.Tag[] | undefined, key: string): string | undefined {
  return tags?.find(({ Key }) => Key === key)?.Value;
}
