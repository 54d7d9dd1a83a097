import { condition, defineSignal, setHandler, workflowInfo } from '@temporalio/workflow';
import { host, workOf } from './work.ts';

/** The same activities in a row, and nothing else. */
export async function bareSteps({ steps }: { steps: number }): Promise<void> {
  const { workflowId, firstExecutionRunId } = workflowInfo();
  const work = workOf({ workflowId, firstExecutionRunId }, 1_795_845_049);
  for (let step = 0; step < steps; step += 1) await host.recoverToManifest(work);
}

/** Waits until somebody says yes, and nothing else. */
export async function bareWait(): Promise<void> {
  let approved = false;
  setHandler(defineSignal('approve'), () => { approved = true; });
  await condition(() => approved);
}
