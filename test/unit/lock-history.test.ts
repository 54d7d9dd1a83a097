import { defaultPayloadConverter } from '@temporalio/common';
import type { Client } from '@temporalio/client';
import { expect, it } from 'vitest';
import { readLock } from '../../activities/kernel/lock-history.ts';
import { adopt, EMPTY_LOCK, type LockState } from '../../contracts/lock-state.ts';
import { INTERNAL } from '../../contracts/messages.ts';

const payloads = (...values: unknown[]) => ({ payloads: values.map((value) => defaultPayloadConverter.toPayload(value)) });
const requestOf = (guardianId: string) => ({ guardianId, owner: { workflowId: guardianId, firstExecutionRunId: 'a' }, runbook: 'toy', sharesTargetWith: [], requestedAtMs: 0, priority: 'normal' as const });
const signaled = (signalName: string, ...values: unknown[]) => ({ workflowExecutionSignaledEventAttributes: { signalName, input: payloads(...values) } });
const asked = (id: string) => signaled(INTERNAL.request, requestOf(id));
const letGo = (id: string) => signaled(INTERNAL.release, { guardianId: id });
const started = (...input: unknown[]) => ({ workflowExecutionStartedEventAttributes: { input: payloads(...input) } });
const told = (id: string, fence: number) => ({ signalExternalWorkflowExecutionInitiatedEventAttributes: { signalName: INTERNAL.granted, workflowExecution: { workflowId: id }, input: payloads({ fence }) } });
const scheduled = (name: string) => ({ activityTaskScheduledEventAttributes: { activityType: { name } } });
const completed = (scheduledEventId: number, ...result: unknown[]) => ({ activityTaskCompletedEventAttributes: { scheduledEventId, result: payloads(...result) } });

/** What a lock held, whose first event is at ten seconds, and each next one a second later. `former`: what the lock before it held. */
function readAfter(former: LockState | null, ...events: object[]): Promise<LockState | undefined> {
  const history = events.map((event, index) => ({ eventId: index + 1, eventTime: { seconds: 10 + index, nanos: 0 }, ...event }));
  const client = { workflow: { getHandle: () => ({ fetchHistory: async () => ({ events: history }) }) } } as unknown as Client;
  return readLock(client, 'lock/shop', 'run', async (begun) => {
    expect(begun).toEqual({ formerRunId: 'former', startedAtMs: 10_000 });
    return adopt(EMPTY_LOCK, former, 1);
  });
}
const read = (...events: object[]) => readAfter(null, started(null, 'former'), ...events);
const idsIn = (lock: LockState | undefined) => [lock?.holders.map(({ guardianId: id, fence }) => [id, fence]), lock?.waiting.map(({ guardianId: id }) => id)];
const bytes = (lock: LockState | undefined) => Buffer.byteLength(JSON.stringify(lock));

/** The server takes no payload that is larger. */
const LARGEST_PAYLOAD = 2 * 1024 * 1024;
/** Ids that are as large as they can be, in bytes of JSON, and as characters can be. */
const longest = (index: number) => `${'\u0001'.repeat(990)}${index}`;
const widest = (index: number) => `${'\u4E00'.repeat(325)}${index}`;

it('a lock is what it was begun with, and what has happened since', async () => {
  const holder = { ...requestOf('h'), fence: 3, grantedAtMs: 5 };
  const carried = { nextFence: 4, holders: [holder], waiting: [requestOf('w')] };
  expect(await readAfter(null, started(carried), asked('a'), letGo('h'), told('w', 4), told('w', 4))).toEqual({ nextFence: 5, holders: [{ ...requestOf('w'), fence: 4, grantedAtMs: 13_000 }], waiting: [requestOf('a')] });
  const former = { nextFence: 9, holders: [holder, { ...holder, guardianId: 'other' }], waiting: [requestOf('w')] };
  expect(await readAfter(former, started(null, 'former'), asked('a'), letGo('h'), letGo('w'), asked('w'))).toEqual({ nextFence: 9, holders: [former.holders[1]], waiting: [requestOf('a'), requestOf('w')] });
  expect(await read()).toEqual(EMPTY_LOCK);
});

it('what a lock has adopted itself is what it held in the beginning, also where the server has forgotten from whom', async () => {
  const former = { nextFence: 9, holders: [{ ...requestOf('h'), fence: 3, grantedAtMs: 5 }], waiting: [requestOf('w')] };
  const adopting = (result: unknown) => read(scheduled('findFormerLock'), asked('a'), completed(2, result), letGo('w'));
  expect(await adopting(former)).toEqual({ nextFence: 9, holders: former.holders, waiting: [requestOf('a')] });
  // A worker of older code told a part of it only.
  for (const part of [{ ...former, since: [] }, { ...former, adopting: { startedAtMs: 1 } }, null]) expect(idsIn(await adopting(part))).toEqual([[], ['a']]);
});

it('guardians that could not be told, or were found to be gone, have let go, but for who has asked again since', async () => {
  const untold = { signalExternalWorkflowExecutionFailedEventAttributes: { workflowExecution: { workflowId: 'x' } } };
  const lock = await read(asked('x'), asked('a'), untold, asked('b'), scheduled('findDeadGuardians'), asked('c'), scheduled('findFormerLock'), completed(8, ['d']), completed(6, ['a', 'b', 'c']));
  expect(idsIn(lock)).toEqual([[], ['c']]);
});

it('what anybody could send is nothing', async () => {
  const encoded = { workflowExecutionSignaledEventAttributes: { signalName: INTERNAL.request, input: { payloads: [{ metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from('{') }] } } };
  expect(await read(signaled(INTERNAL.request), signaled(INTERNAL.release, 7), signaled('approve', {}), encoded)).toEqual(EMPTY_LOCK);
  expect(await readAfter(null, started('no state'))).toBeUndefined();
  expect(await readAfter(null)).toBeUndefined();
});

it('of more than a lock has room for, who holds the target is never left out', async () => {
  const crowd = Array.from({ length: 200 }, (_, index) => signaled(INTERNAL.request, { ...requestOf(longest(index)), owner: { workflowId: 'a', firstExecutionRunId: 'a' } }));
  const lock = await read(...crowd, asked('late'), told('late', 1), told('late', 1), letGo('other'), ...Array.from({ length: 500 }, () => asked('late')));
  expect(idsIn(lock)[0]).toEqual([['late', 1]]);
  expect(lock?.waiting.length).toBeGreaterThan(30);
  expect(lock?.waiting.some(({ guardianId: id }) => id === 'late')).toBe(false);
  expect(bytes(lock)).toBeLessThan(600_000);
});

it.each([
  ['lets go again and again of what it had asked for once', [asked(longest(0)), ...Array.from({ length: 400 }, () => letGo(longest(0)))]],
  ['is told again and again of what it has', [asked(longest(0)), ...Array.from({ length: 450 }, () => told(longest(0), 1))]],
  ['asks, and lets go, in characters of three bytes, more than a payload can carry', [...Array.from({ length: 1_200 }, (_, index) => asked(widest(index))), ...Array.from({ length: 1_200 }, (_, index) => letGo(widest(30_000 + index)))]],
])('whoever %s: the next lock can be told what came of it', async (_, events) => {
  const carried = { nextFence: 4, holders: [], waiting: Array.from({ length: 350 }, (_entry, index) => requestOf(widest(10_000 + index))) };
  for (const lock of [await read(...events), await readAfter(carried, started(null, 'former'), ...events), await readAfter(null, started(carried), ...events)]) expect(bytes(lock)).toBeLessThan(LARGEST_PAYLOAD);
});

it.each(['carried over', 'held by the lock before'])('who was %s and lets go has let go, whatever is made up beside it', async (how) => {
  const before: LockState = { nextFence: 4, holders: [{ ...requestOf('h'), fence: 3, grantedAtMs: 5 }], waiting: [requestOf('w')] };
  const begun = how === 'carried over' ? started(before) : started(null, 'former');
  const junk = Array.from({ length: 1_400 }, (_, index) => letGo(`${'x'.repeat(480)}${index}`));
  expect(idsIn(await readAfter(before, begun, ...junk, letGo('h'), letGo('w')))).toEqual([[], []]);
});

it('a message is read as the lock took it: none that it dropped, and no half of a character', async () => {
  const huge = { ...requestOf('huge'), parts: Array.from({ length: 60_000 }, () => 0) };
  const deep = { ...requestOf('deep'), parts: JSON.parse(`${'['.repeat(250)}${']'.repeat(250)}`) as unknown };
  const half = { ...requestOf('half'), owner: { workflowId: 'a\ud83d', firstExecutionRunId: 'a' } };
  const lock = await read(...[huge, deep, half].map((one) => signaled(INTERNAL.request, one)));
  expect(lock?.waiting).toMatchObject([{ guardianId: 'half', owner: { workflowId: 'a\uFFFD' } }]);
});

it('a history of thousands that ask is read within the time that there is for it', async () => {
  const begun = Date.now();
  await read(...Array.from({ length: 20_000 }, (_, index) => asked(`${'x'.repeat(150)}${index}`)));
  expect(Date.now() - begun).toBeLessThan(20_000);
});
