import { setTimeout as sleep } from 'node:timers/promises';
import type { Client, WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { DrTest } from '../../contracts/dr-test.ts';
import { guardianId } from '../../contracts/guardian.ts';
import type { Progress } from '../../contracts/messages.ts';

/** A run whose history is kept, under this name; an empty run id is the latest. */
export interface Recorded { name: string; workflowId: string; runId: string }

export interface Acting {
  handle: WorkflowHandleWithFirstExecutionRunId;
  /** Waits until the run is in a phase. */
  phase: (wanted: RegExp) => Promise<void>;
}

/** Starts a drill, or takes one that was started, lets `act` act once its gate is open, or it is where it is said, and waits until the run and its guardian have ended. */
export async function startDrill(client: Client, name: string, act: (acting: Acting) => Promise<void>, { started, from = /^gate/ }: { started?: WorkflowHandleWithFirstExecutionRunId; from?: RegExp } = {}): Promise<Recorded> {
  const workflowId = `dr-test/shop/${name}`;
  const handle = started ?? await client.workflow.start(DrTest.type, { workflowId, taskQueue: 'runbooks', args: [{ requester: 'demo' }] });
  const phase = async (wanted: RegExp): Promise<void> => {
    for (const end = Date.now() + 120_000; Date.now() < end; await sleep(20)) {
      const progress = await handle.query<Progress>('progress').catch(() => undefined);
      if (progress && wanted.test(progress.phase)) return;
    }
    throw new Error(`${workflowId} never came to ${wanted}`);
  };
  await phase(from);
  await act({ handle, phase });
  // How it ended is in its history: cancelled, failed and rejected runs are what is recorded here.
  await handle.result().catch(() => undefined);
  const guardian = client.workflow.getHandle(guardianId({ workflowId, firstExecutionRunId: handle.firstExecutionRunId }));
  await guardian.result().catch(() => undefined);
  return { name, workflowId, runId: handle.firstExecutionRunId };
}
