import { defaultPayloadConverter } from '@temporalio/common';
import { expect, it } from 'vitest';
import { collect } from '../../activities/kernel/ledger-entries.ts';
import type { LedgerEntry } from '../../contracts/ledger.ts';
import { isActedSince, isUndoneUnderWay, undoneBefore } from '../../contracts/record.ts';
import { toUndo } from '../../workflows/guardian/settle.ts';

/** An attempt of a step, at a time in seconds, that is undone by `undo VALUE`. */
const scheduled = (eventId: number, seconds: number, id: string, value: string) => ({
  eventId, eventTime: { seconds, nanos: 0 },
  activityTaskScheduledEventAttributes: { heartbeatTimeout: { seconds: 1 }, header: { fields: { rb: defaultPayloadConverter.toPayload({
    step: 's', undo: { id, title: `undo ${value}`, when: 'failure', call: { activity: 'u', input: { value }, taskQueue: 'q', startToCloseMs: 1 } },
  }) } } },
}) as never;

it.each([
  ['was the first', [['one', 'X']], [['one', 'Y'], ['one#2', 'X']]],
  ['was the second', [['one', 'Y'], ['one#2', 'X']], [['one', 'X']]],
] as const)('what an operator corrected in one life, and %s in another, is undone once, and as the newest life names it', (_what, former, newest) => {
  const entries = new Map<string, LedgerEntry>();
  for (const [life, attempts] of [former, newest].entries()) collect(attempts.map(([id, value], index) => scheduled(index + 1, life * 10 + index, id, value)), entries, {});
  const titles = (outcome: 'succeeded' | 'failed', undoAnyway: string[]) => toUndo([...entries.values()], outcome, undoAnyway).map(({ title }) => title).sort();
  expect(titles('failed', [])).toEqual(['undo X', 'undo Y']);
  // Only what the newest life gave up is undone where it succeeds.
  const [givenUp] = newest.length > 1 ? ['one'] : [];
  expect(titles('succeeded', givenUp === undefined ? [] : [givenUp])).toEqual(givenUp === undefined ? [] : ['undo Y']);
});

const at = (seconds: number) => new Date(seconds * 1_000).toISOString();
const ended = (eventId: number, seconds: number, scheduledEventId: number) => ({ eventId, eventTime: { seconds, nanos: 0 }, activityTaskCompletedEventAttributes: { scheduledEventId } }) as never;
const closed = (eventId: number, seconds: number) => ({ eventId, eventTime: { seconds, nanos: 0 }, workflowExecutionTerminatedEventAttributes: {} }) as never;

it.each([
  ['with the last of its activities', [scheduled(1, 1, 'one', 'X'), scheduled(2, 2, 'one', 'X'), ended(3, 3, 2), ended(4, 4, 1)], at(4)],
  ['not while one goes on', [scheduled(1, 1, 'one', 'X')], undefined],
  ['with the life that is closed with it under way', [scheduled(1, 1, 'one', 'X'), closed(2, 5)], at(5)],
  ['not before it was begun anew', [scheduled(1, 1, 'one', 'X'), ended(2, 2, 1), scheduled(3, 3, 'one', 'X')], undefined],
] as const)('what a step did has come to its end %s', (_when, events, endedAt) => {
  const entries = new Map<string, LedgerEntry>();
  collect([...events], entries, {});
  expect(entries.get('one')?.endedAt).toBe(endedAt);
});

it('what was undone while it was being done is not undone by that, and another guardian finds it', () => {
  const entries = new Map<string, LedgerEntry>();
  collect([scheduled(1, 1, 'one', 'X'), ended(2, 4, 1)], entries, {});
  const [entry] = [...entries.values()] as [LedgerEntry];
  const undone = (seconds: number) => [{ activityId: 'undo one', startedAt: at(seconds), finishedAt: at(seconds), detail: null }];
  expect([2, 5].map((seconds) => [undoneBefore(entry, undone(seconds)) !== undefined, isUndoneUnderWay(entry, undone(seconds)), isActedSince({ entries: [entry], fromMs: seconds * 1_000 }, [entry])])).toEqual([[false, true, true], [true, false, false]]);
});
