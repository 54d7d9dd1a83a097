import { activityInfo } from '@temporalio/activity';

type Activity = (...args: never[]) => Promise<unknown>;

/**
 * Activities for a worker that is created before they are loaded: the SDK calls `default` for every type that it does not
 * know, and the first ones wait for `loaded`.
 */
export function lazyActivities(loaded: () => Promise<object>): { default: Activity } {
  return {
    async default(...args) {
      const { activityType } = activityInfo();
      const activities = await loaded() as Readonly<Record<string, Activity>>;
      const activity = Object.hasOwn(activities, activityType) ? activities[activityType] : undefined;
      if (!activity) {
        const { ApplicationFailure } = await import('@temporalio/common');
        throw ApplicationFailure.create({ message: `this worker has no activity "${activityType}": its version differs from the workflow's`, type: 'NotFoundError' });
      }
      return activity(...args);
    },
  };
}
