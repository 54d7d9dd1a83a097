import type { Context } from '@temporalio/activity';
import { INTERNAL } from '../../contracts/messages.ts';
import type { UnderWay } from '../../contracts/under-way.ts';
import type { ActivityProgress } from './long-activity.ts';

/** Each time is a handful of events in the run's history: of an activity of ten hours some 130 times. */
const TELL_EVERY_MS = 20_000;
/** So much of the time that it took so far is nothing told, where that is longer. */
const SILENT_SHARE = 1 / 25;

/**
 * Tells an activity's run now and then how far it is, which the run shows in the web UI. Heartbeats reach no workflow. A run that does
 * not hear it goes on all the same, so nothing is tried again.
 */
export function progressTeller(context: Pick<Context, 'info' | 'client'>, now: () => number = () => performance.now()): (progress: ActivityProgress) => Promise<void> {
  const beganMs = now();
  let told: { atMs: number; bytes: number; phase: string } | undefined;
  let isTelling = false;
  return async ({ phase, bytesDone, bytesTotal }) => {
    const atMs = now();
    const { activityId, workflowExecution } = context.info;
    if (workflowExecution === undefined || isTelling || atMs - (told?.atMs ?? beganMs) < Math.max(TELL_EVERY_MS, (atMs - beganMs) * SILENT_SHARE)) return;
    const rate = told?.phase === phase && bytesDone >= told.bytes ? ((bytesDone - told.bytes) / (atMs - told.atMs)) * 1_000 : null;
    const message: UnderWay = { activity: activityId, phase, bytesDone, bytesTotal, rate, at: new Date().toISOString() };
    isTelling = true;
    told = { atMs, bytes: bytesDone, phase };
    try {
      await context.client.workflow.getHandle(workflowExecution.workflowId, workflowExecution.runId).signal(INTERNAL.underWay, message);
    } catch {
      // Nobody waits for it.
    } finally {
      isTelling = false;
    }
  };
}
