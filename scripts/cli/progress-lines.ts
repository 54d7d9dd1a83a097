import { decidingWords, shortHash } from '../../contracts/deciding.ts';
import { refusalLines } from '../../contracts/messages.ts';
import { formatSeconds } from '../../contracts/quantities.ts';
import { isOver } from '../../contracts/run-status.ts';
import { progressWords } from '../../contracts/under-way.ts';
import { coloured, plain } from './output.ts';
import type { TemporalOptions } from './options.ts';
import type { ActivityView, RunView } from './run-view.ts';
import { planLines } from '../../contracts/plan-lines.ts';
import { ourCommand } from './printed-command.ts';

/** Bytes a second of each activity, smoothed over the last looks. */
export class RateMeter {
  readonly #seen = new Map<string, { atMs: number; bytes: number; rate: number | null }>();

  /** Takes a look; the rate is null until an activity has been seen to move. */
  rate(activity: ActivityView, nowMs: number): number | null {
    const { bytesDone } = activity;
    if (bytesDone === null) return null;
    const key = `${activity.id} ${activity.attempt} ${activity.phase ?? ''}`;
    const before = this.#seen.get(key);
    if (!before || bytesDone < before.bytes) {
      this.#seen.set(key, { atMs: nowMs, bytes: bytesDone, rate: null });
      return null;
    }
    // Heartbeats come in lumps: between two of them nothing new is known, so the old rate stands.
    if (bytesDone === before.bytes || nowMs <= before.atMs) return before.rate;
    const latest = ((bytesDone - before.bytes) / (nowMs - before.atMs)) * 1_000;
    const rate = before.rate === null ? latest : before.rate * 0.6 + latest * 0.4;
    this.#seen.set(key, { atMs: nowMs, bytes: bytesDone, rate });
    return rate;
  }
}

/** One line for what an activity is doing: phase, bytes, rate, time left. */
export function activityLine(activity: ActivityView, rate: number | null): string {
  const parts = [plain(activity.phase ?? activity.type), ...progressWords(activity, rate)];
  if (activity.attempt > 1) parts.push(`attempt ${activity.attempt}${activity.lastFailure === null ? '' : `, the last one failed: ${plain(activity.lastFailure)}`}`);
  return parts.join(', ');
}

const MARKS = { done: coloured('✓', 'ok'), running: '▶', waiting: '…', failed: coloured('✗', 'bad'), cancelled: coloured('✗', 'unsure'), skipped: coloured('–', 'unsure') } as const;

/** A run as lines, for `status` and for the live display. */
export function runLines(view: RunView, meter: RateMeter, nowMs: number, options: TemporalOptions = {}): string[] {
  const { progress } = view;
  const seconds = ((view.closedAtMs ?? nowMs) - view.startedAtMs) / 1_000;
  const target = progress?.target ? ` on ${plain(progress.target)}` : '';
  const lines = [`${plain(view.type)}${target}  ${plain(view.workflowId)}`, `${progress?.paused ? coloured(pauseOf(progress.phase), 'unsure') : wordOf(view)} after ${formatSeconds(seconds)}`];
  // An ended run tells its outcome without a worker.
  if (view.silence !== null && !isOver(view.status)) lines.push(coloured(plain(view.silence), 'unsure'));
  for (const step of progress?.steps ?? []) {
    const until = step.finishedAt === null ? nowMs : Date.parse(step.finishedAt);
    lines.push(`  ${MARKS[step.outcome]} ${plain(step.name).padEnd(28)} ${formatSeconds((until - Date.parse(step.startedAt)) / 1_000).padStart(11)}  ${plain(step.summary ?? '')}`.trimEnd());
  }
  for (const activity of view.activities) lines.push(`    ${activityLine(activity, meter.rate(activity, nowMs))}`);
  // A run of an older worker tells none.
  return [...lines, ...leaseLines(view), ...lockLines(view), ...gateLines(view, nowMs, options), ...waitingLines(view, options), ...(progress?.refused ? refusalLines(progress).map((line) => coloured(plain(line), 'unsure')) : [])];
}

/** A pause takes effect at the next safe point: until then the step goes on. */
export function pauseOf(phase: string): string {
  return phase.startsWith('paused') ? plain(phase) : `${plain(phase)}, then it pauses`;
}

function wordOf({ status, progress }: RunView): string {
  if (status === 'PAUSED') return coloured(`paused in Temporal at: ${plain(progress?.phase || 'running')}; nobody carries it on until it is unpaused there`, 'unsure');
  if (!isOver(status)) return plain(progress?.phase || 'running');
  return coloured(status.toLowerCase().replaceAll('_', ' '), status === 'COMPLETED' ? 'ok' : 'bad');
}

/** Until when the run has its target, also while it is paused or waits for people. */
function leaseLines({ status, progress }: RunView): string[] {
  const lease = progress?.lease;
  return lease && !isOver(status) ? [`it has its target until ${lease.expiresAt} at the latest`] : [];
}

/** Who has the target that the run waits for. */
function lockLines({ status, lock }: RunView): string[] {
  if (!lock || isOver(status)) return [];
  const before = `${lock.before === 0 ? 'it is next' : `${lock.before} before it`}${lock.lookedAt === undefined ? '' : `, when it looked at ${lock.lookedAt}`}`;
  return lock.holders.map(({ runbook, workflowId, since }) => coloured(`the target is held by ${plain(runbook)} ${plain(workflowId)} since ${since}; ${before}`, 'unsure'));
}

/** The step that waits for an operator, and the commands that go on with it. */
function waitingLines({ workflowId, status, progress }: RunView, options: TemporalOptions): string[] {
  const step = progress?.waitingStep;
  if (!step || isOver(status)) return [];
  const command = (name: string) => `  ${ourCommand(options, name, workflowId, '--step', step.name, '--reason', 'REASON')}`;
  return [
    ...(step.failure === null ? [] : [coloured(`step "${step.name}" failed and waits for an operator until ${step.until}: ${plain(step.failure)}`, 'bad'), command('retry')]),
    ...(step.skippingCosts === null ? [] : [`${command('skip')}   (costs: ${plain(step.skippingCosts)})`]),
  ];
}

/** What the open gate waits for, the plan that it decides on, and the command that answers it. */
export function gateLines({ workflowId, status, progress, plan }: RunView, nowMs: number, options: TemporalOptions = {}): string[] {
  const gate = progress?.openGate;
  if (!gate || isOver(status)) return [];
  const who = gate.approvers.length > 0 ? gate.approvers.map(plain).join(', ') : 'anyone';
  return [
    coloured(`gate "${gate.name}" waits for ${gate.quorum} of ${who} until ${gate.expiresAt} (plan ${shortHash(gate.planHash)})`, 'unsure'),
    ...planLines(plan, nowMs).map((line) => `  ${line}`),
    `  ${ourCommand(options, ...decidingWords('approve', workflowId, { ...gate, planHash: gate.planHash }))}`,
      // A run of an older worker has none.
      ...(gate.note ? [`  note: ${plain(gate.note)}`] : []),
  ];
}
