import { shortHash } from '../../contracts/deciding.ts';
import type { GuardianInput } from '../../contracts/guardian.ts';
import { leftBehind, type Settlement } from '../../contracts/record.ts';
import { send } from '../procedure/notify.ts';
import { hashOf } from '../procedure/plan-hash.ts';
import { instantOf } from '../procedure/wait.ts';

/** People have to do by hand what could not be undone: they are told at once, and not when somebody reads the evidence. */
export function raiseAlarm({ owner, runbook, target, alarm }: GuardianInput, settlement: Settlement): void {
  const left = leftBehind(settlement);
  if (left === null) return;
  // Another once it says something else: receivers drop what they were told already.
  const id = `${owner.firstExecutionRunId}-left-${shortHash(hashOf(left))}`;
  for (const channel of alarm) {
    send({ channel, notice: { kind: 'leftBehind', id, at: instantOf(Date.now()), runbook, target, workflowId: owner.workflowId, runId: owner.firstExecutionRunId, requester: null, reason: null, lines: [left], gate: null } });
  }
}
