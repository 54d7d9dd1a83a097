import type { temporal } from '@temporalio/proto';
import type { LedgerEntry, UndoEntry } from '../../contracts/ledger.ts';
import { activityEnd } from './activity-end.ts';
import { millis, timeOf } from './event-time.ts';
import { stepOf } from './step-of.ts';

type HistoryEvent = temporal.api.history.v1.IHistoryEvent;

/** A cancelled activity learns it with a heartbeat; this long it may take to stop what it is doing. */
const STOPPING_MS = 3_000;

/** Adds one history's entries, by id, and attempts; returns how long its unfinished activities may still act. */
export function collect(events: HistoryEvent[], entries: Map<string, LedgerEntry>, attempts: Record<string, number>): number {
  const open = new Map<string, { step: string; mayActForMs: number; entryId: string | undefined }>();
  // Up to where it was reset, a history is a copy of the former run's, which is read too.
  const copied = events.findLastIndex((event) => event.workflowTaskFailedEventAttributes?.baseRunId);
  const endedBefore = new Set(events.slice(0, copied + 1).map((event) => String(activityEnd(event)?.scheduledEventId)));
  for (const [index, event] of events.entries()) {
    const scheduled = event.activityTaskScheduledEventAttributes;
    if (scheduled) {
      const of = stepOf(event);
      if (!of) continue;
      const id = String(event.eventId);
      // What a reset copies without its end, the server has done anew for the life that it begins.
      const begun = index < copied && !endedBefore.has(id) ? events[copied] : event;
      const entryId = of.undo && register(entries, { ...of.undo, step: of.step, registeredAt: timeOf(begun) });
      const mayActForMs = millis(scheduled.heartbeatTimeout) || millis(scheduled.startToCloseTimeout);
      open.set(id, { step: of.step, mayActForMs, entryId });
      continue;
    }
    const started = event.activityTaskStartedEventAttributes;
    const step = started ? open.get(String(started.scheduledEventId))?.step : undefined;
    if (step !== undefined && started && index > copied) attempts[step] = (attempts[step] ?? 0) + (started.attempt ?? 1);
    const ended = activityEnd(event);
    if (!ended) continue;
    const scheduledId = String(ended.scheduledEventId);
    endEntry(entries, open.get(scheduledId)?.entryId, timeOf(event));
    open.delete(scheduledId);
  }
  // What is under way when a life is closed has no end in any history.
  const last = events.at(-1);
  if (isClosing(last)) for (const { entryId } of open.values()) endEntry(entries, entryId, timeOf(last));
  const longest = Math.max(0, ...[...open.values()].map((activity) => activity.mayActForMs));
  return longest === 0 ? 0 : longest + STOPPING_MS;
}

function isClosing(event: HistoryEvent | undefined): boolean {
  return Boolean(event?.workflowExecutionCompletedEventAttributes ?? event?.workflowExecutionFailedEventAttributes ?? event?.workflowExecutionCanceledEventAttributes
    ?? event?.workflowExecutionTerminatedEventAttributes ?? event?.workflowExecutionTimedOutEventAttributes ?? event?.workflowExecutionContinuedAsNewEventAttributes);
}

/** The last end counts: a step may have several activities, and several lives. */
function endEntry(entries: ReadonlyMap<string, LedgerEntry>, id: string | undefined, at: string): void {
  const entry = id === undefined ? undefined : entries.get(id);
  if (entry && (entry.endedAt === undefined || entry.endedAt < at)) entry.endedAt = at;
}

/**
 * What undoes a step that another life ran with other values undoes something else: none takes the place of the other. And what an
 * operator's other input made `one#2` in one life may be `one` in another: it is one thing all the same, by the name that it had last.
 * Returns under which id it is among the entries.
 */
function register(entries: Map<string, LedgerEntry>, entry: LedgerEntry): string {
  const known = [...entries.values()].find((one) => isSame(one, entry));
  let id = known?.id ?? entry.id;
  if (!known) for (let count = 2; entries.has(id); count += 1) id = `${entry.id} (${count})`;
  else if (known.registeredAt >= entry.registeredAt) return id;
  entries.set(id, id === entry.id ? entry : { ...entry, id, declaredId: entry.id });
  return id;
}

/** Whether two lives, or two attempts of a step, would have the same undone. */
export function isSame(one: LedgerEntry, other: LedgerEntry): boolean {
  return withoutCount(one.declaredId ?? one.id) === withoutCount(other.declaredId ?? other.id) && contentOf(one) === contentOf(other);
}

const withoutCount = (id: string): string => id.replace(/#\d+$/u, '');

function contentOf({ title, call: { activity, input, taskQueue } }: UndoEntry): string {
  return JSON.stringify([title, activity, input, taskQueue]);
}
