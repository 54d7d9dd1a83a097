import { proxyActivities } from '@temporalio/workflow';
import type { RunSettings } from '../../contracts/runbook.ts';
import type { BackupActivities } from '../../activities/backup/backup-activities.ts';
import { whereToRead } from '../procedure/where-to-read.ts';

/** `read`: asks the source what it has, and looks at its files, so on their host where one is configured. */
export function readOn(settings: RunSettings) {
  return proxyActivities<BackupActivities>({ ...whereToRead(settings), startToCloseTimeout: '1m', retry: { initialInterval: '500ms', maximumAttempts: 4 } });
}

/** `idempotentWrite` on the source's host: each call ends what an earlier attempt left and begins anew; only the heartbeat bounds it. */
export function onHost(taskQueue: string, hostLossMs: number) {
  return proxyActivities<BackupActivities>({
    taskQueue, startToCloseTimeout: '2 days', scheduleToStartTimeout: hostLossMs, heartbeatTimeout: '10s',
    retry: { initialInterval: '500ms', maximumAttempts: 4 },
  });
}

/** Where a backup grows before it is published. */
export const incoming = { title: 'backup in progress', open: 'openBackupPlace', close: 'closeBackupPlace', prove: 'proveBackupPlaceAbsent' } as const;
