import type { Client, WorkflowExecutionDescription, WorkflowHandle } from '@temporalio/client';
import { describeLock } from '../../activities/kernel/locks.ts';
import { QUERIES, waitingBefore, type Progress } from '../../contracts/messages.ts';
import type { PlanView } from '../../contracts/plan-facts.ts';
import { isOver } from '../../contracts/run-status.ts';
import { ask } from './ask.ts';
import { silenceOf, type Silence } from './silence.ts';

/** What an activity that is under way says about itself. */
export interface ActivityView {
  id: string;
  type: string;
  attempt: number;
  /** Of its last heartbeat; null where it tells none. */
  phase: string | null;
  bytesDone: number | null;
  bytesTotal: number | null;
  /** What both count, where that is not bytes. */
  unit: 'percent' | null;
  /** When the server last heard of it, in ms. */
  heardAtMs: number | null;
  /** Why the attempt before this one failed. */
  lastFailure: string | null;
}

/** A run at one moment. */
export interface RunView {
  workflowId: string;
  runId: string;
  type: string;
  status: string;
  startedAtMs: number;
  closedAtMs: number | null;
  /** Null when nobody answers the query; then {@link silence} says why. */
  progress: Progress | null;
  /** What the open gate decides on; null when no gate is open, or the plan is not told. */
  plan: PlanView | null;
  /** While it waits for its target: who has that, as the lock says now, or, where that does not answer, as the run saw it `lookedAt`. Null where nobody keeps it waiting. */
  lock: NonNullable<Progress['lock']> | null;
  /** Why there is no progress, as a sentence for people. */
  silence: string | null;
  activities: ActivityView[];
}

/** A worker that lives answers a query at once; the screen must not stand still for long when none does. */
const QUERY_MS = 3_000;

/** Reads a run: its state from the server, its progress from a worker. */
export async function readRun(client: Client, workflowId: string, runId?: string): Promise<RunView> {
  const handle = client.workflow.getHandle(workflowId, runId);
  const description = await handle.describe();
  // What one that is over has not taken up it never will: it is asked once.
  const progressNow = isOver(description.status.name) ? client.withDeadline(Date.now() + QUERY_MS, () => handle.query<Progress>(QUERIES.progress)) : ask<Progress>(client, handle, QUERIES.progress, QUERY_MS);
  const asked = await progressNow.then(
    async (progress) => ({ progress, plan: progress.openGate ? await planOf(client, handle, progress.openGate.planHash) : null, lock: isOver(description.status.name) ? null : await lockNow(client, workflowId, progress), silence: null }),
    async (error: unknown) => ({ progress: null, plan: null, lock: null, silence: sayWhy(await silenceOf(client, handle, error)) }),
  );
  return {
    workflowId: description.workflowId,
    runId: description.runId,
    type: description.type,
    status: description.status.name,
    startedAtMs: description.startTime.getTime(),
    closedAtMs: description.closeTime?.getTime() ?? null,
    ...asked,
    activities: await activitiesOf(client, description),
  };
}

/** The plan of that hash; null where it is another by now, or is not told. */
export async function planOf(client: Client, handle: WorkflowHandle, planHash: string): Promise<PlanView | null> {
  const view = await ask<PlanView>(client, handle, QUERIES.plan, QUERY_MS).catch(() => null);
  return view?.hash === planHash ? view : null;
}

/** Asks the lock: a run that waits looks ever more seldom, and knows what was so up to an hour ago. */
async function lockNow(client: Client, workflowId: string, { lock, target }: Progress): Promise<RunView['lock']> {
  if (!lock || target === null) return lock ?? null;
  const now = await client.withDeadline(Date.now() + QUERY_MS, () => describeLock(client, target)).catch(() => null);
  if (!now) return lock;
  // Granted, and about to be told.
  if (now.holders.some((one) => one.workflowId === workflowId)) return null;
  return { holders: now.holders, before: waitingBefore(now.waiting, workflowId) };
}

function sayWhy({ noWorker, sentence }: Silence): string {
  return noWorker ? `${sentence}: start one with \`runbook worker\`` : sentence;
}

async function activitiesOf(client: Client, { raw }: WorkflowExecutionDescription): Promise<ActivityView[]> {
  const converter = client.options.loadedDataConverter.payloadConverter;
  return (raw.pendingActivities ?? []).map((activity) => {
    const payload = activity.heartbeatDetails?.payloads?.[0];
    const details = payload ? detailsOf(() => converter.fromPayload(payload)) : {};
    const heard = activity.lastHeartbeatTime ?? activity.lastStartedTime;
    return {
      id: activity.activityId ?? '',
      type: activity.activityType?.name ?? 'activity',
      attempt: activity.attempt ?? 1,
      phase: typeof details['phase'] === 'string' ? details['phase'] : null,
      bytesDone: typeof details['bytesDone'] === 'number' ? details['bytesDone'] : null,
      bytesTotal: typeof details['bytesTotal'] === 'number' ? details['bytesTotal'] : null,
      unit: details['unit'] === 'percent' ? 'percent' : null,
      heardAtMs: heard ? Number(heard.seconds ?? 0) * 1_000 + (heard.nanos ?? 0) / 1e6 : null,
      lastFailure: activity.lastFailure?.message ?? null,
    };
  });
}

/** Heartbeat details are whatever an activity sent: only what has the agreed form is shown. */
function detailsOf(decode: () => unknown): Record<string, unknown> {
  try {
    const value = decode();
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
