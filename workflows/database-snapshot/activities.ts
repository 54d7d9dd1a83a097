import { proxyActivities } from '@temporalio/workflow';
import { TASK_QUEUE } from '../../contracts/search-attributes.ts';
import type { DatabaseSnapshotActivities } from '../../activities/database-snapshot/snapshot-activities.ts';

/** `read`: asks the service what it has. Throttling is waited out by its client. */
export const look = proxyActivities<Pick<DatabaseSnapshotActivities, 'planSnapshot' | 'chooseExpiredSnapshots'>>({
  startToCloseTimeout: '5m', retry: { initialInterval: '500ms', maximumAttempts: 4 },
});

/**
 * `idempotentWrite`: each call goes on with what an earlier one left, found by its name and tags. Any worker will do. A
 * snapshot takes hours where the database is large, so only the heartbeat bounds it.
 */
export const work = proxyActivities<Pick<DatabaseSnapshotActivities, 'takeSnapshot' | 'copySnapshot' | 'finishSnapshot' | 'removeExpiredSnapshots'>>({
  startToCloseTimeout: '2 days', heartbeatTimeout: '10s', retry: { initialInterval: '500ms', maximumAttempts: 20 },
});

/** Where a snapshot is until it is finished. */
export const unfinished = { title: 'snapshot in progress', taskQueue: TASK_QUEUE, open: 'openSnapshotPlace', close: 'closeSnapshotPlace', prove: 'proveSnapshotPlaceAbsent' } as const;
