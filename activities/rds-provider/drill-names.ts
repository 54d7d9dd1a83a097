import type * as Sdk from '@aws-sdk/client-rds';
import type { DrillPlaceCall } from '../dr-test/drill-activities.ts';
import { fenceName, ownerTag } from '../kernel/names.ts';

/** Of a drill, what its names and tags are made of. */
export type DrillIdentity = Pick<DrillPlaceCall, 'owner' | 'fence' | 'database'>;

/** By these everything that a drill makes is known, and nothing else is ever destroyed. */
const TAGS = { run: 'durable-runbooks:run', fence: 'durable-runbooks:fence', target: 'durable-runbooks:target' } as const;
/** The instant that was restored, when that was asked for, and when the drill has to be gone, RFC 3339. */
export const RESTORED_TAG = 'durable-runbooks:restored';
/** See {@link RESTORED_TAG}. By it, whoever goes on waiting knows for how long it has been waited. */
export const BEGUN_TAG = 'durable-runbooks:begun';
const EXPIRES_TAG = 'durable-runbooks:expires';

/** Name of a drill's instance, and of its parameter group: letters, digits and single hyphens, below the 63 characters that RDS takes. */
export function drillName({ owner, fence }: Pick<DrillIdentity, 'owner'> & { fence: number | '<fence>' }): string {
  return `runbooks-${fenceName('d', owner, fence)}`;
}

/** The tags of what a drill makes. */
export function drillTags({ owner, fence, database }: DrillIdentity, times?: { restored: Date; begunAt: Date; expiresAt: Date }): Sdk.Tag[] {
  return [
    { Key: TAGS.run, Value: ownerTag(owner) }, { Key: TAGS.fence, Value: String(fence) }, { Key: TAGS.target, Value: database },
    ...(times ? [{ Key: RESTORED_TAG, Value: times.restored.toISOString() }, { Key: BEGUN_TAG, Value: times.begunAt.toISOString() }, { Key: EXPIRES_TAG, Value: times.expiresAt.toISOString() }] : []),
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
