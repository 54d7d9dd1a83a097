import type { Context } from '@temporalio/activity';
import { INTERNAL } from '../../contracts/messages.ts';
import { LONGEST_PHASE, type UnderWay } from '../../contracts/under-way.ts';
import { shortened } from '../../contracts/whole-characters.ts';
import type { ActivityProgress } from './long-activity.ts';

/** Each time is some four events in the run's history: an activity of ten hours tells some 130 times. */
const TELL_EVERY_MS = 20_000;
/** So much of the time that it took so far is nothing told, where that is longer. */
const SILENT_SHARE = 1 / 25;
/** Nor is anything told to a run with so many events, a fifth of what a server takes: of many activities, even short ones tell it often, and people must still be able to. */
const MOST_EVENTS = 10_000;

/**
 * Tells an activity's run now and then how far it is, which the run shows in the web UI. Heartbeats reach no workflow. A run that does
 * not hear it goes on all the same, so nothing is tried again.
 */
export function progressTeller(context: Pick<Context, 'info' | 'client'>, now: () => number = () => performance.now()): (progress: ActivityProgress) => Promise<void> {
  const beganMs = now();
  let toldAtMs = beganMs;
  let isTelling = false;
  /** Where it was seen to move last, and where it had when it was told last, with the rate that was told. */
  let moved: { atMs: number; bytes: number; phase: string } | undefined;
  let told: { atMs: number; bytes: number; rate: number | null } | undefined;
  return async ({ phase, bytesDone, bytesTotal, unit }) => {
    const atMs = now();
    if (phase !== moved?.phase || bytesDone < moved.bytes) told = undefined;
    if (phase !== moved?.phase || bytesDone !== moved.bytes) moved = { atMs, bytes: bytesDone, phase };
    const { activityId, workflowExecution } = context.info;
    if (workflowExecution === undefined || isTelling || atMs - toldAtMs < Math.max(TELL_EVERY_MS, (atMs - beganMs) * SILENT_SHARE)) return;
    // It may move in lumps: between two of them the rate stands, and the next is measured from one to the other.
    if (moved.bytes !== told?.bytes) told = { atMs: moved.atMs, bytes: moved.bytes, rate: told ? ((moved.bytes - told.bytes) / (moved.atMs - told.atMs)) * 1_000 : null };
    const { workflowId, runId } = workflowExecution;
    const message: UnderWay = { run: runId, activity: activityId, phase: shortened(phase, LONGEST_PHASE), bytesDone, bytesTotal, ...(unit ? { unit } : {}), rate: told.rate };
    isTelling = true;
    toldAtMs = atMs;
    try {
      const run = context.client.workflow.getHandle(workflowId, runId);
      if ((await run.describe()).historyLength < MOST_EVENTS) await run.signal(INTERNAL.underWay, message);
    } catch {
      // Nobody waits for it.
    } finally {
      isTelling = false;
    }
  };
}
