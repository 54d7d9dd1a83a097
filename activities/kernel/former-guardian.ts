import type { Client } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';
import type { z } from 'zod';
import { guardianId } from '../../contracts/guardian.ts';
import { accepted } from '../../contracts/accepted.ts';
import { grantedSchema, settledSchema, takeSchema } from '../../contracts/internal-messages.ts';
import type { HeldPlace, Owner } from '../../contracts/ledger.ts';
import { INTERNAL } from '../../contracts/messages.ts';
import { isUndoneUnderWay, leftBehind, undoneBefore, type Settlement } from '../../contracts/record.ts';
import { isOver } from '../../contracts/run-status.ts';
import { describeIfKnown } from './describe-if-known.ts';
import { argument } from './argument.ts';
import type { DeadRun, FormerGuardian, KernelActivities } from './kernel-activities.ts';
import { millis } from './event-time.ts';
import { readGuardians, undoneIn } from './guardians-of-lives.ts';
import { historyIfKnown, ledgerOf, readLives } from './run-history.ts';

type HistoryEvent = temporal.api.history.v1.IHistoryEvent;

/** `besides`: the run id of the guardian that asks, where one does. */
interface Question { owner: Owner; besides?: string | undefined }

/**
 * Who guarded what a run and its former lives did, and what of that nobody has settled, out of their histories and those of
 * their guardians. See {@link KernelActivities.findFormerGuardian}.
 */
export async function findFormerGuardian(client: Client, { owner, besides }: Question): Promise<FormerGuardian> {
  const id = guardianId(owner);
  const newest = await describeIfKnown(client, id);
  if (newest && newest.runId !== besides && !isOver(newest.status.name)) return { state: 'lives', unsettled: null, left: null, lost: [], undone: [] };
  const lives = await readLives(client, owner);
  const events = [...lives.histories.values()].flat();
  const { started, known } = await readGuardians(client, { owner, lives, newest, besides });
  const told = new Map([...known].map(([runId, history]) => [runId, settlementIn(history)]));
  const last = [...told.values()].filter((one) => one !== undefined).sort((a, b) => a.atMs - b.atMs).at(-1);
  const left = last && leftBehind(last.settlement) !== null ? last.settlement : null;
  const lost = [...lives.lost];
  const undone = undoneIn(known);
  // What a guardian was told to take when the server had it, and has forgotten since: whether that was undone, nobody can say.
  const isForgotten = events.map(takeIn).some((atMs) => {
    if (atMs === undefined || atMs <= (last?.atMs ?? 0)) return false;
    const guardian = started.findLast((one) => one.atMs <= atMs)?.runId;
    return guardian === undefined || (guardian !== besides && !known.has(guardian));
  });
  if (isForgotten) return { state: 'endedByForce', unsettled: null, left, lost, undone };
  // All of them are over, since only the newest could live. One that began anew has settled what those before it had not.
  const ended = [...known].filter(([runId, history]) => told.get(runId) === undefined && millis(history.at(-1)?.eventTime) > (last?.atMs ?? 0));
  const held = ended.map(([, history]) => heldBy(history)).filter((one) => one !== undefined);
  if (held.length > 0) {
    const byFormerLife = ![...lives.histories.values()].at(-1)?.some((event) => takeIn(event) !== undefined);
    return { state: 'endedByForce', unsettled: { places: held.flatMap(({ place, fence }) => (place ? [{ place, fence }] : [])), byFormerLife }, left, lost, undone };
  }
  // A life that was reset to after its take goes on without a guardian where that is over: what it did since is nobody's yet.
  const { entries } = ledgerOf(lives);
  // Nor is it where a life has asked for the target since and did not get it: only the guardian that has it settles that with the rest.
  const isGranted = last !== undefined && besides !== undefined && heldBy((await historyIfKnown(client, id, besides)) ?? []) !== undefined;
  if (last && !isGranted && entries.some((entry) => Date.parse(entry.registeredAt) > last.ledgerReadAtMs || isUndoneUnderWay(entry, undone))) {
    return { state: 'endedByForce', unsettled: { places: [], byFormerLife: true }, left, lost, undone };
  }
  // Guardians are in histories: where one is lost, another may have been.
  return { state: 'none', unsettled: null, left, lost: known.size === 0 ? lost : [], undone, standing: entries.filter((entry) => undoneBefore(entry, undone)) };
}

/** When a run told its guardian to take the target. */
function takeIn({ signalExternalWorkflowExecutionInitiatedEventAttributes: sent, eventTime }: HistoryEvent): number | undefined {
  return sent?.signalName === INTERNAL.take ? millis(eventTime) : undefined;
}

/** What a guardian held, by what it was sent itself; undefined where it was not granted the target, so that its run could create nothing. */
function heldBy(history: readonly HistoryEvent[]): { place: HeldPlace['place'] | null; fence: number } | undefined {
  const take = firstReceived(history, INTERNAL.take, takeSchema);
  const grant = firstReceived(history, INTERNAL.granted, grantedSchema);
  return take && grant && { place: take.place, fence: grant.fence };
}

/** The first signal of this name that is what it should be: as the guardian takes it. */
function firstReceived<Schema extends z.ZodType>(history: readonly HistoryEvent[], name: string, schema: Schema): z.output<Schema> | undefined {
  for (const { workflowExecutionSignaledEventAttributes: received } of history) {
    const message = received?.signalName === name ? accepted(schema, argument(received.input)) : undefined;
    if (message !== undefined) return message;
  }
  return undefined;
}

const WRITE: keyof KernelActivities = 'writeEvidenceOfDeadRun';

const READ: keyof KernelActivities = 'readLedger';

/** What a guardian had settled when it told its run so, or began to write it down: whatever became of it then, that was done. What was registered after it read the ledger it does not know. */
function settlementIn(events: readonly HistoryEvent[]): { settlement: Settlement; atMs: number; ledgerReadAtMs: number } | undefined {
  for (const [index, event] of [...events.entries()].toReversed()) {
    const sent = event.signalExternalWorkflowExecutionInitiatedEventAttributes;
    const scheduled = event.activityTaskScheduledEventAttributes;
    const settlement = sent?.signalName === INTERNAL.settled ? settledSchema.safeParse(argument(sent.input)).data
      : scheduled?.activityType?.name === WRITE ? (argument(scheduled.input) as DeadRun | undefined)?.settlement : undefined;
    if (!settlement) continue;
    const read = events.slice(0, index).findLast((one) => one.activityTaskScheduledEventAttributes?.activityType?.name === READ);
    return { settlement, atMs: millis(event.eventTime), ledgerReadAtMs: millis((read ?? event).eventTime) };
  }
  return undefined;
}
