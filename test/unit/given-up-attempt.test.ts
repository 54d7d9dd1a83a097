import type { Context } from '@temporalio/activity';
import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import { MockActivityEnvironment } from '@temporalio/testing';
import { expect, test } from 'vitest';
import { refuseGivenUp } from '../../activities/temporal/given-up.ts';
import { longActivity } from '../../activities/temporal/long-activity.ts';

// With a worker that was stopped, and a server, in test/breadth/stopped-predecessor.test.ts.
const SCHEDULED_MS = Date.parse('2026-12-01T10:00:00Z');
const REFUSED = { type: 'UNAVAILABLE', nonRetryable: false, message: 'This attempt was given up before it began; another one may be at work.' };

/** Of a server by which the run waits for these. */
const clientOf = (pending: () => object[]) => (
  { withDeadline: (_: number, ask: () => Promise<unknown>) => ask(), withAbortSignal: (_: AbortSignal, ask: () => Promise<unknown>) => ask(), workflow: { getHandle: () => ({ describe: async () => ({ raw: { pendingActivities: pending() } }) }) } } as unknown as Client);

/** The second attempt of activity 5, which begins so long after it was scheduled, where the run waits for these. */
async function begun({ lateMs, pending, cancellationSignal = new AbortController().signal }: { lateMs: number; pending: { activityId: string; attempt: number }[] | Error; cancellationSignal?: AbortSignal }) {
  let asked = 0;
  const client = clientOf(() => { asked += 1; if (pending instanceof Error) throw pending; return pending; });
  const context = {
    info: { activityId: '5', attempt: 2, currentAttemptScheduledTimestampMs: SCHEDULED_MS, workflowExecution: { workflowId: 'dr-test/shop/1', runId: 'run' } },
    client, cancellationSignal,
  } as unknown as Context;
  const refusal = await refuseGivenUp(context, () => SCHEDULED_MS + lateMs).then(() => null, (error: unknown) => error);
  return { refusal, asked };
}

test('an attempt that begins at once asks nobody', async () => {
  expect(await begun({ lateMs: 50, pending: [] })).toEqual({ refusal: null, asked: 0 });
});

test.each([11_000, 3_600_000, -3_600_000])('one that begins %d ms after it was scheduled, by the clock of its host, asks whether it is the one that its run waits for', async (lateMs) => {
  const other = { activityId: '4', attempt: 1 };
  expect(await begun({ lateMs, pending: [other, { activityId: '5', attempt: 2 }] })).toEqual({ refusal: null, asked: 1 });
  expect(await begun({ lateMs, pending: [other, { activityId: '5', attempt: 3 }] })).toMatchObject({ refusal: REFUSED, asked: 1 });
  expect(await begun({ lateMs, pending: [{ activityId: '6', attempt: 2 }] })).toMatchObject({ refusal: REFUSED });
  expect(await begun({ lateMs, pending: [] })).toMatchObject({ refusal: REFUSED });
});

test('one that is not answered begins: its heartbeat will tell', async () => {
  expect(await begun({ lateMs: 11_000, pending: new Error('deadline exceeded') })).toEqual({ refusal: null, asked: 1 });
});

test('one of a run that was deleted does not begin', async () => {
  expect(await begun({ lateMs: 11_000, pending: new WorkflowNotFoundError('gone', 'dr-test/shop/1', 'run') })).toMatchObject({ refusal: REFUSED, asked: 1 });
});

test('one that is cancelled while it asks does not begin', async () => {
  const reason = new Error('cancelled');
  expect(await begun({ lateMs: 11_000, pending: reason, cancellationSignal: AbortSignal.abort(reason) })).toEqual({ refusal: reason, asked: 1 });
});

test('a long activity that was given up before it began does nothing', async () => {
  const acted: string[] = [];
  const run = (attempt: number) => new MockActivityEnvironment({ activityId: '5', attempt }, { client: clientOf(() => [{ activityId: '5', attempt: 3 }]) }).run(() => longActivity(async () => { acted.push(`attempt ${attempt}`); }));
  await expect(run(2)).rejects.toMatchObject(REFUSED);
  await run(3);
  expect(acted).toEqual(['attempt 3']);
});
