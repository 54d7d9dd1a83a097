import { CancellationScope } from '@temporalio/workflow';
import type { Overdue } from '../../contracts/guardian.ts';
import { read } from './kernel-activities.ts';
import type { RunState } from './run-state.ts';

/**
 * Ends the body when the lease is over. What is said to the life that asked for the target is obeyed at once. All else may be
 * what a former life was told, which a reset says again, or what somebody made up: then the guardian has the word. The lease
 * is of all lives: one that was reset to before it asked for anything holds the target all the same.
 */
export function receiveOverdue(state: RunState, { owner, asking, reason }: Overdue): void {
  if (owner.firstExecutionRunId !== state.record.owner.firstExecutionRunId) return;
  if (asking !== undefined && asking === state.asking.take) return endBody(state, reason);
  if (state.isEnding) return;
  // Anybody can send any number of these: one look at a time answers all that came before it.
  state.overdueDoubts += 1;
  if (state.overdueDoubts === 1) void CancellationScope.nonCancellable(() => askGuardian(state));
}

async function askGuardian(state: RunState): Promise<void> {
  while (state.overdueDoubts > 0) {
    const answered = state.overdueDoubts;
    const reason = await read.findOverdue({ owner: state.record.owner });
    if (reason !== null) return endBody(state, reason);
    state.overdueDoubts = state.overdueDoubts > answered ? 1 : 0;
  }
}

function endBody(state: RunState, reason: string): void {
  state.overdue ??= reason;
  state.bodyScope.cancel();
}
