import { proxyActivities } from '@temporalio/workflow';
import type { RunSettings } from '../../contracts/runbook.ts';
import { isHostTaskQueue } from '../../contracts/search-attributes.ts';
import { whereToRead } from '../procedure/where-to-read.ts';
import type { DrillActivities } from '../../activities/dr-test/drill-activities.ts';

/**
 * `read`: looks at backups, on their host where one is configured, and at the source; nothing is changed, so it may be repeated.
 * `taskQueue`: of the host that has looked before, where only that one's answer can be compared with its first.
 */
export function readOn(settings: RunSettings, taskQueue?: string) {
  return proxyActivities<DrillActivities>({
    ...(taskQueue === undefined ? whereToRead(settings) : { taskQueue, scheduleToStartTimeout: settings.lease.hostLossMs }),
    startToCloseTimeout: '2m',
    heartbeatTimeout: '10s',
    retry: { initialInterval: '500ms', maximumAttempts: 4 },
  });
}

/**
 * `idempotentWrite` on the host of the drill: every call first ends what an earlier attempt left, then begins cleanly.
 * Large databases take hours, so only the heartbeat bounds it; 10 s without one and the worker is taken for dead.
 * Waiting for the host is bounded too: a host that is gone is an outcome, not a hang.
 */
export function onHost(taskQueue: string, hostLossMs: number) {
  return proxyActivities<DrillActivities>({
    taskQueue,
    startToCloseTimeout: '2 days',
    scheduleToStartTimeout: hostLossMs,
    heartbeatTimeout: '10s',
    // What a service does goes on while workers are exchanged; each that is lost is an attempt.
    retry: { initialInterval: '500ms', maximumAttempts: isHostTaskQueue(taskQueue) ? 4 : 20 },
  });
}
