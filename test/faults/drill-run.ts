import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { WorkflowNotFoundError, type Client, type WorkflowHandle, type WorkflowHandleWithSignaledRunId, type WorkflowOptions } from '@temporalio/client';
import { DrTest } from '../../contracts/dr-test.ts';
import { evidenceWriterId, guardianId } from '../../contracts/guardian.ts';
import type { Owner } from '../../contracts/ledger.ts';
import type { Progress } from '../../contracts/messages.ts';
import { wasEndedByForce } from '../../contracts/run-status.ts';
import { TASK_QUEUE } from '../../contracts/search-attributes.ts';
import { readTimeline, type Timeline } from './timeline.ts';

export interface PendingActivity { id: string; type: string; started: boolean; attempt: number; bytesDone: number }

const PAUSED = /^paused before: (.*)$/;

/** Each look is a query, which costs the worker, the server and the one who asks. What people or others end is there for longer. */
const LOOK_EVERY_MS = 25;

/** A worker looks every ten seconds for runs that were ended by force before they had a guardian, and may have to start first. */
const GUARDIAN_STARTS_WITHIN_MS = 30_000;

/** One run of dr-test that is led to the point where a fault shall strike. It begins paused before its first step. */
export class DrillRun {
  readonly client: Client;
  readonly owner: Owner;
  readonly handle: WorkflowHandle;
  readonly guardian: WorkflowHandle;
  /** Instead of a guardian, where the run was ended by force before it had one. */
  readonly #evidenceWriter: WorkflowHandle;
  #driving: AbortController | undefined;
  #driven: Promise<void> | undefined;

  private constructor(client: Client, started: WorkflowHandleWithSignaledRunId) {
    this.client = client;
    this.owner = { workflowId: started.workflowId, firstExecutionRunId: started.signaledRunId };
    this.handle = client.workflow.getHandle(started.workflowId);
    this.guardian = client.workflow.getHandle(guardianId(this.owner));
    this.#evidenceWriter = client.workflow.getHandle(evidenceWriterId({ workflowId: started.workflowId, runId: started.signaledRunId }));
  }

  static async start(client: Client, input: Record<string, unknown> = {}, options: Pick<WorkflowOptions, 'workflowExecutionTimeout'> = {}): Promise<DrillRun> {
    const started = await client.workflow.signalWithStart(DrTest.type, {
      workflowId: `dr-test/shop/${randomUUID()}`, taskQueue: TASK_QUEUE, args: [{ requester: 'faults', ...input }], signal: 'pause', signalArgs: [], ...options,
    });
    return new DrillRun(client, started);
  }

  /** The phase as a worker tells it; undefined when nobody answers within a second and a half. */
  async phase(): Promise<string | undefined> {
    const progress = await this.client.withDeadline(Date.now() + 1_500, () => this.handle.query<Progress>('progress')).catch(() => undefined);
    return progress?.phase;
  }

  async awaitPhase(wanted: RegExp, everyMs = LOOK_EVERY_MS): Promise<string> {
    let phase: string | undefined;
    for (const end = Date.now() + 60_000; Date.now() < end; await sleep(everyMs)) {
      phase = await this.phase();
      if (phase !== undefined && wanted.test(phase)) return phase;
    }
    throw new Error(`the run never came to ${wanted}; it is at ${phase}`);
  }

  /** Steps from pause to pause until the run waits before `step`. False when it went past it. */
  async pauseBefore(step: string): Promise<boolean> {
    for (;;) {
      const phase = await this.awaitPhase(/^(paused before|gate|succeeded|failed|tearing down)/);
      const next = PAUSED.exec(phase)?.[1];
      if (next === step) return true;
      if (phase.startsWith('gate')) await this.approve();
      else if (next === undefined) return false;
      else {
        // The update is answered once the step has begun; the signal then holds the run before the one after it.
        await this.handle.executeUpdate('resume');
        await this.handle.signal('pause');
      }
      await this.#leave(phase);
    }
  }

  /** Steps from pause to pause until the run is in `phase`, or until it is past its gate. */
  async awaitPhaseOrPause(phase: string): Promise<string> {
    for (;;) {
      const now = await this.awaitPhase(/^(paused before|gate|succeeded|failed|tearing down)/);
      if (now === phase || !now.startsWith('paused')) return now;
      await this.resume();
      await this.#leave(now);
    }
  }

  async #leave(phase: string): Promise<void> {
    while (await this.phase() === phase) await sleep(LOOK_EVERY_MS);
  }

  approve(): Promise<void> { return this.handle.signal('approve', { gate: 'start', by: 'anna' }); }
  resume(): Promise<void> { return this.handle.signal('resume'); }

  /** Lets the run go on by itself: resumes it where it is paused, approves where it waits at its gate. */
  drive(): void {
    this.#driving ??= new AbortController();
    this.#driven ??= (async (signal) => {
      let approved = false;
      while (!signal.aborted) {
        const phase = await this.phase();
        if (phase?.startsWith('paused')) await this.resume().catch(() => undefined);
        if (phase?.startsWith('gate') && !approved) approved = await this.approve().then(() => true, () => false);
        await sleep(200);
      }
    })(this.#driving.signal);
  }

  /** Stops driving; the run goes on or not by itself. */
  leave(): void { this.#driving?.abort(); }

  /** Activities that have not ended, of the run or of its guardian. */
  async pending(of: 'run' | 'guardian' = 'run'): Promise<PendingActivity[]> {
    const { raw } = await this.client.withDeadline(Date.now() + 3_000, () => (of === 'run' ? this.handle : this.guardian).describe());
    return (raw.pendingActivities ?? []).map((activity) => ({
      id: activity.activityId ?? '', type: activity.activityType?.name ?? '', attempt: activity.attempt ?? 1,
      // 2 is PENDING_ACTIVITY_STATE_STARTED.
      started: activity.state === 2, bytesDone: bytesDoneOf(activity.heartbeatDetails?.payloads?.[0]?.data),
    }));
  }

  /** Waits until the run and its guardian, or what writes its evidence instead, are closed; gives how the run ended. */
  async ended(withinMs: number): Promise<string> {
    const end = Date.now() + withinMs;
    try {
      const status = await statusWhenClosed(this.handle, end);
      const byForce = status !== undefined && wasEndedByForce(status);
      for (const patient = Date.now() + (byForce ? GUARDIAN_STARTS_WITHIN_MS : 0); await this.guardianStatus() === undefined && Date.now() < patient;) await sleep(50);
      for (const handle of [this.guardian, this.#evidenceWriter]) await statusWhenClosed(handle, end);
      return status ?? 'GONE';
    } finally {
      this.#driving?.abort();
      await this.#driven;
    }
  }

  async guardianStatus(): Promise<string | undefined> {
    return (await statusOf(this.guardian)) ?? statusOf(this.#evidenceWriter);
  }

  /** When it was started, by the server's clock. */
  async startedMs(): Promise<number> { return (await this.handle.describe()).startTime.getTime(); }

  /** When it was over, and how; null where it is not within this time. */
  async closed(withinMs: number): Promise<{ atMs: number; status: string } | null> {
    for (const end = Date.now() + withinMs; ; await sleep(LOOK_EVERY_MS)) {
      const { status, closeTime } = await this.handle.describe();
      if (closeTime) return { atMs: closeTime.getTime(), status: status.name };
      if (Date.now() > end) return null;
    }
  }

  /** What history says of the run's phases and activities. */
  timeline(): Promise<Timeline> { return this.handle.fetchHistory().then(readTimeline); }
  guardianTimeline(): Promise<Timeline | undefined> { return this.guardian.fetchHistory().then(readTimeline, ignoreNotFound); }
}

async function statusOf(handle: WorkflowHandle): Promise<string | undefined> {
  return handle.describe().then((description) => description.status.name, ignoreNotFound);
}

/** A workflow that does not exist counts as closed: runs that never owned anything have no guardian. */
async function statusWhenClosed(handle: WorkflowHandle, end: number): Promise<string | undefined> {
  for (let last = 'unknown'; ; await sleep(150)) {
    try {
      const status = await statusOf(handle);
      if (status !== 'RUNNING') return status;
      last = status;
    } catch (error) {
      last = (error as Error).message;
    }
    if (Date.now() > end) throw new Error(`${handle.workflowId} is not closed: ${last}`);
  }
}

function ignoreNotFound(error: unknown): undefined {
  // Reading a history throws what gRPC says; 5 is NOT_FOUND.
  if (!(error instanceof WorkflowNotFoundError) && (error as { code?: number }).code !== 5) throw error;
}

function bytesDoneOf(data: Uint8Array | null | undefined): number {
  if (!data || data.length === 0) return 0;
  return (JSON.parse(Buffer.from(data).toString('utf8')) as { bytesDone?: number } | null)?.bytesDone ?? 0;
}
