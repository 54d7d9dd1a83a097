import { proxyActivities } from '@temporalio/workflow';
import type { DrillRef, RecoverToManifestInput } from '../../../activities/dr-test/drill-activities.ts';
import type { Owner } from '../../../contracts/ledger.ts';
import type { BenchActivities } from './activities.ts';

/** With the options that a step of dr-test has: for the runbook and the bare workflow alike. */
export const host = proxyActivities<BenchActivities>({
  taskQueue: 'bench-host', startToCloseTimeout: '2 days', scheduleToStartTimeout: '10 minutes', heartbeatTimeout: '10s', retry: { initialInterval: '500ms', maximumAttempts: 4 },
});

/** What a step is given; fences are seconds since 1970. */
export function workOf(owner: Owner, fence: number): RecoverToManifestInput {
  const drill: DrillRef = { database: 'shop', recoveryPointId: '2026-01-31T02-00-00Z-4f9c2a', fence, owner };
  return { drill, lsn: '2A/5F3C01D8' };
}
