import { defaultPayloadConverter } from '@temporalio/common';
import type { Client } from '@temporalio/client';
import { expect, it } from 'vitest';
import { readLock } from '../../activities/kernel/lock-history.ts';
import { INTERNAL } from '../../contracts/messages.ts';
import { EMPTY_LOCK, happen } from '../../workflows/lock/queue.ts';

const payloads = (...values: unknown[]) => ({ payloads: values.map((value) => defaultPayloadConverter.toPayload(value)) });
const requestOf = (guardianId: string) => ({ guardianId, owner: { workflowId: guardianId, firstExecutionRunId: guardianId }, runbook: 'toy', sharesTargetWith: [], requestedAtMs: 0, priority: 'normal' });
const signaled = (signalName: string, ...values: unknown[]) => ({ workflowExecutionSignaledEventAttributes: { signalName, input: payloads(...values) } });
const asked = (id: string) => signaled(INTERNAL.request, requestOf(id));
const started = (...input: unknown[]) => ({ workflowExecutionStartedEventAttributes: { input: payloads(...input) } });
const told = (id: string, fence: number) => ({ signalExternalWorkflowExecutionInitiatedEventAttributes: { signalName: INTERNAL.granted, workflowExecution: { workflowId: id }, input: payloads({ fence }) } });
const scheduled = (name: string) => ({ activityTaskScheduledEventAttributes: { activityType: { name } } });
const completed = (scheduledEventId: number, ...result: unknown[]) => ({ activityTaskCompletedEventAttributes: { scheduledEventId, result: payloads(...result) } });

/** What is read out of these events, the first of which is at ten seconds, and each next one a second later. */
const read = (...events: object[]) => readLock({ workflow: { getHandle: () => ({ fetchHistory: async () => ({ events: events.map((event, index) => ({ eventId: index + 1, eventTime: { seconds: 10 + index, nanos: 0 }, ...event })) }) }) } } as unknown as Client, 'lock/shop', 'run');

it('a lock is what it was begun with, and what has happened since', async () => {
  const carried = { nextFence: 4, holders: [], waiting: [] };
  expect(await read(started(carried), asked('a'), told('a', 4), signaled(INTERNAL.release, { guardianId: 'a' }))).toEqual({
    ...carried, since: [{ requested: requestOf('a') }, { granted: { guardianId: 'a', fence: 4, grantedAtMs: 12_000 } }, { released: 'a' }],
  });
  expect(await read(started(null, 'former'), asked('a'))).toEqual({ nextFence: 1, holders: [], waiting: [], adopting: { formerRunId: 'former', startedAtMs: 10_000, released: [] }, since: [{ requested: requestOf('a') }] });
  expect(await read(started())).toEqual({ nextFence: 1, holders: [], waiting: [], adopting: { startedAtMs: 10_000, released: [] }, since: [] });
});

it('guardians that could not be told, or were found to be gone, have let go, but for who has asked again since', async () => {
  const untold = { signalExternalWorkflowExecutionFailedEventAttributes: { workflowExecution: { workflowId: 'x' } } };
  const lock = await read(started(), untold, asked('b'), scheduled('findDeadGuardians'), asked('c'), scheduled('findFormerLock'), completed(6, ['d']), completed(4, ['a', 'b', 'c']));
  expect(lock?.since).toEqual([{ released: 'x' }, { requested: requestOf('b') }, { requested: requestOf('c') }, { released: 'a' }, { released: 'b' }]);
});

it('what anybody could send is nothing', async () => {
  const encoded = { workflowExecutionSignaledEventAttributes: { signalName: INTERNAL.request, input: { payloads: [{ metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from('{') }] } } };
  expect((await read(started(), signaled(INTERNAL.request), signaled(INTERNAL.release, 7), signaled('approve', {}), encoded))?.since).toEqual([]);
  expect(await read(started('no state'))).toBeUndefined();
  expect(await read()).toBeUndefined();
});

it('of more than a lock has room for, who holds the target is never left out', async () => {
  const crowd = Array.from({ length: 200 }, (_, index) => signaled(INTERNAL.request, { ...requestOf(`${'\u0001'.repeat(490)}${index}`), owner: { workflowId: 'a', firstExecutionRunId: 'a' } }));
  const lock = await read(started(), ...crowd, asked('late'), told('late', 1), signaled(INTERNAL.release, { guardianId: 'other' }));
  expect(JSON.stringify(lock).length).toBeLessThan(600_000);
  expect(lock?.since?.length).toBeGreaterThan(30);
  expect(lock?.since?.slice(-2)).toMatchObject([{ granted: { guardianId: 'late', fence: 1, request: requestOf('late') } }, { released: 'other' }]);
});

it('and is one of its holders, also where there was no room for it in the queue', async () => {
  const crowd = Array.from({ length: 200 }, (_, index) => signaled(INTERNAL.request, { ...requestOf(`${'\u0001'.repeat(490)}${index}`), owner: { workflowId: 'a', firstExecutionRunId: 'a' } }));
  const lock = await read(started(), ...crowd, asked('late'), told('late', 1), told('late', 1), signaled(INTERNAL.release, { guardianId: 'other' }));
  const { holders, waiting } = (lock?.since ?? []).reduce(happen, EMPTY_LOCK);
  expect(holders).toMatchObject([{ guardianId: 'late', fence: 1 }]);
  expect(waiting.some(({ guardianId }) => guardianId === 'late')).toBe(false);
  const again = [...Array.from({ length: 500 }, () => asked('late')), told('late', 1), ...Array.from({ length: 100 }, () => signaled(INTERNAL.request, { ...requestOf('late'), owner: { workflowId: '\u0001'.repeat(990), firstExecutionRunId: 'a' } }))];
  expect(JSON.stringify(await read(started(), ...again)).length).toBeLessThan(350_000);
});

it('what it is reminded of says nothing new: the largest request is not repeated with it', async () => {
  const large = { ...requestOf('large'), owner: { workflowId: '\u0001'.repeat(990), firstExecutionRunId: 'a' } };
  const lock = await read(started(), signaled(INTERNAL.request, large), ...Array.from({ length: 450 }, () => told('large', 1)), told('large', 2));
  expect(lock?.since?.map((event) => Object.keys(event)[0])).toEqual(['requested', 'granted', 'granted']);
});

it('who was carried over and lets go has let go, whatever else is said', async () => {
  const carried = { nextFence: 4, holders: [{ ...requestOf('h'), fence: 3, grantedAtMs: 5 }], waiting: [requestOf('w')] };
  const junk = Array.from({ length: 700 }, (_, index) => signaled(INTERNAL.release, { guardianId: `${'x'.repeat(480)}${index}` }));
  const lock = await read(started(carried), ...junk, signaled(INTERNAL.release, { guardianId: 'h' }), signaled(INTERNAL.release, { guardianId: 'w' }));
  const { holders, waiting } = (lock?.since ?? []).reduce(happen, { ...EMPTY_LOCK, ...carried, holders: carried.holders.map((one) => ({ ...one, priority: 'normal' as const })), waiting: [] });
  expect([holders, waiting]).toEqual([[], []]);
  expect(JSON.stringify(lock).length).toBeLessThan(350_000);
});

it('a message is read as the lock took it: none that it dropped, and no half of a character', async () => {
  const huge = { ...requestOf('huge'), parts: Array.from({ length: 60_000 }, () => 0) };
  const deep = { ...requestOf('deep'), parts: JSON.parse(`${'['.repeat(250)}${']'.repeat(250)}`) as unknown };
  const half = { ...requestOf('half'), owner: { workflowId: 'a\ud83d', firstExecutionRunId: 'a' } };
  const lock = await read(started(), ...[huge, deep, half].map((one) => signaled(INTERNAL.request, one)));
  expect(lock?.since).toMatchObject([{ requested: { guardianId: 'half', owner: { workflowId: 'a\uFFFD' } } }]);
});
