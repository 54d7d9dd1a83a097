import { proxyActivities } from '@temporalio/workflow';
import type { KernelActivities } from '../../activities/kernel/kernel-activities.ts';

/** `read`: asks the configuration or the server; cheap, safe to repeat for as long as the server is away. */
export const read = proxyActivities<KernelActivities>({
  startToCloseTimeout: '30s',
  retry: { initialInterval: '200ms', maximumInterval: '30s' },
});

/** `read` of what is only shown to people: what depends on it goes on without, soon. */
export const readToShow = proxyActivities<Pick<KernelActivities, 'describeLock'>>({
  startToCloseTimeout: '10s',
  scheduleToCloseTimeout: '20s',
  retry: { initialInterval: '200ms' },
});

/**
 * `read` of what somebody sent: an answer takes ten seconds at most and is never a failure. Where none comes in this time
 * (no worker stays alive, or one hangs), what was sent is refused: nothing that anybody can send may hold up a gate.
 */
export const readMessage = proxyActivities<Pick<KernelActivities, 'verifySignature' | 'verifySignatures'>>({
  startToCloseTimeout: '30s',
  scheduleToCloseTimeout: '10m',
  retry: { initialInterval: '200ms', maximumInterval: '30s' },
});

/** `read` for somebody whom the run would refuse: where it does not succeed soon, they are refused. */
export const readForSomebody = proxyActivities<Pick<KernelActivities, 'describeRun'>>({
  startToCloseTimeout: '30s',
  scheduleToCloseTimeout: '1m',
  retry: { initialInterval: '200ms', maximumInterval: '10s' },
});

/** `idempotentWrite`: the same call again changes nothing; evidence must be written however long the disk is away, within a day. */
export const write = proxyActivities<KernelActivities>({
  startToCloseTimeout: '1m',
  scheduleToCloseTimeout: '1 day',
  retry: { initialInterval: '200ms', maximumInterval: '1m' },
});

/** `longPoll`: one call watches until something happened; a worker's death is noticed by its missing heartbeat within seconds. */
export const watch = proxyActivities<KernelActivities>({
  startToCloseTimeout: '30 days',
  heartbeatTimeout: '10s',
  retry: { initialInterval: '200ms', maximumInterval: '10s' },
});
