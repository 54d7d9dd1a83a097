import { condition, defineSignal, getExternalWorkflowHandle, setHandler, workflowInfo } from '@temporalio/workflow';
import { INTERNAL } from '../../../contracts/messages.ts';

/** Takes a lock and gives it back, `turns` times, as guardians do; returns the fences that it got. */
export async function contender({ lockId, turns }: { lockId: string; turns: number }): Promise<number[]> {
  const { workflowId } = workflowInfo();
  const fences: number[] = [];
  setHandler(defineSignal<[{ fence: number }]>(INTERNAL.granted), ({ fence }) => void fences.push(fence));
  const lock = getExternalWorkflowHandle(lockId);
  for (let turn = 1; turn <= turns; turn += 1) {
    await lock.signal(INTERNAL.request, { guardianId: workflowId, owner: { workflowId, firstExecutionRunId: workflowId }, runbook: 'toy', sharesTargetWith: [], requestedAtMs: Date.now() });
    await condition(() => fences.length >= turn);
    await lock.signal(INTERNAL.release, { guardianId: workflowId });
  }
  return fences;
}
