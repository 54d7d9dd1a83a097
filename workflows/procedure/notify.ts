import { CancellationScope, ParentClosePolicy, startChild, uuid4, workflowInfo } from '@temporalio/workflow';
import { NOTIFICATION_TYPE, type Notice, type NotificationInput, type NotificationKind } from '../../contracts/notification.ts';
import { planLines } from '../../contracts/plan-lines.ts';
import { shortened } from '../../contracts/whole-characters.ts';
import { shortWorkflowId } from '../../contracts/workflow-id.ts';
import { correctionInWords } from './corrections.ts';
import { approversAt } from './ladder.ts';
import { planViewOf } from './presentation.ts';
import type { OpenGate, RunState } from './run-state.ts';
import { instantOf } from './wait.ts';

/** Each notice is in the run's history once for each channel: it must not grow with what has happened so far. */
const MOST_STEPS = 20;
const LONGEST_LINE = 300;

interface Telling { kind: NotificationKind; channels: readonly string[]; gate?: OpenGate; lines?: string[] }

/**
 * Tells people, on each of these channels, by workflows of their own: a channel that does not answer holds up no run, and
 * what was to be told outlives it.
 */
export function notify(state: RunState, { kind, channels, gate, lines = [] }: Telling): void {
  if (channels.length === 0) return;
  const { record } = state;
  const { workflowId, runId } = workflowInfo();
  // Drawn from the run's own seed: a task that is repeated tells the same thing again, and so does what a reset replays. After
  // the reset the seed is another: what opens anew is told anew. The run's id would do neither, as a reset changes it at once.
  const id = `${record.owner.firstExecutionRunId}-${uuid4()}`;
  const done = record.steps.filter((step) => step.summary !== null).slice(-MOST_STEPS).map(({ name, summary }) => shortened(`${name}: ${summary}`, LONGEST_LINE));
  const correction = gate ? correctionInWords(state) : null;
  const plan = gate ? planLines(planViewOf(state), Date.now()) : [];
  const notice: Notice = {
    kind, id, at: instantOf(Date.now()), runbook: record.runbook, target: record.target, workflowId, runId, requester: record.requester, reason: record.reason, lines: [...correction === null ? [] : [correction], ...lines, ...plan, ...done],
    gate: gate ? {
      name: gate.name, planHash: gate.record.planHash, expiresAt: instantOf(gate.expiresAtMs), approvers: approversAt(gate.policy, gate.openedAtMs, Date.now()), quorum: gate.policy.quorum, assurance: gate.policy.assurance,
    } : null,
  };
  for (const channel of channels) send({ channel, notice });
}

/** Starts the delivery and does not wait for it. An abort takes nothing back: people are told of what was, too. */
export function send(input: NotificationInput): void {
  const { notice, channel } = input;
  CancellationScope.nonCancellable(() => startChild(NOTIFICATION_TYPE, {
    workflowId: shortWorkflowId(`notification/${notice.workflowId}/`, `${notice.id}/${channel}`), args: [input],
    parentClosePolicy: ParentClosePolicy.ABANDON, staticSummary: `tell ${channel}: ${notice.kind}`,
  // One that is there already is being delivered; a run that ends meanwhile takes nothing back.
  })).catch(() => undefined);
}
