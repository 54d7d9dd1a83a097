import type { Notice, NotificationKind } from '../../contracts/notification.ts';

const NEWS: Record<NotificationKind, string> = {
  gateOpened: 'waits for a decision',
  gateReminder: 'still waits for a decision',
  gateEscalated: 'still waits for a decision, and more people are told',
  gatePlanChanged: 'has another plan now, so earlier decisions are void',
  gatePolicyChanged: 'is for others to decide now: who had decided was judged by that',
  stepWaits: 'has a failed step that waits for an operator',
  leftBehind: 'left something behind that a person must see to',
};

/** What happened, in one sentence without its full stop. */
export function headline({ kind, runbook, target, gate }: Notice): string {
  return `${runbook}${target === null ? '' : ` of ${target}`} ${NEWS[kind]}${gate ? ` at gate "${gate.name}"` : ''}`;
}

/** What people have to know to decide: label and value, in the order in which they ask. */
export function facts({ workflowId, requester, reason, gate }: Notice): [label: string, value: string][] {
  return [
    ['Run', workflowId],
    ['Requested by', requester ?? 'not known'],
    ['Reason', reason ?? 'none given'],
    ...(gate ? [
      ['Plan', gate.planHash],
      ['Decide until', gate.expiresAt],
      ['Who decides', `${gate.approvers.length === 0 ? 'anyone' : gate.approvers.join(', ')}; ${gate.quorum} approval${gate.quorum === 1 ? '' : 's'} needed, assurance ${gate.assurance}`],
    ] satisfies [string, string][] : []),
  ];
}
