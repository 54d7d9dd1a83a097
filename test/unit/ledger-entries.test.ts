import { defaultPayloadConverter } from '@temporalio/common';
import { expect, it } from 'vitest';
import { collect } from '../../activities/kernel/ledger-entries.ts';
import type { LedgerEntry } from '../../contracts/ledger.ts';
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
