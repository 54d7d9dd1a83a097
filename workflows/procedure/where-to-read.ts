import type { ActivityOptions } from '@temporalio/workflow';
import type { RunSettings } from '../../contracts/runbook.ts';
import { hostTaskQueue } from '../../contracts/search-attributes.ts';

/** Where what lies on a host is looked at: on the target's host, which may be lost, where the configuration names it; else on whichever asks first. */
export function whereToRead({ host, lease }: RunSettings): Pick<ActivityOptions, 'taskQueue' | 'scheduleToStartTimeout'> {
  return host === undefined ? {} : { taskQueue: hostTaskQueue(host), scheduleToStartTimeout: lease.hostLossMs };
}
