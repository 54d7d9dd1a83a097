import { ApplicationFailure } from '@temporalio/activity';
import type { WorkflowHandle } from '@temporalio/client';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Progress } from '../../contracts/messages.ts';
import type { NotificationInput } from '../../contracts/notification.ts';
import { deliveriesOf } from '../support/deliveries.ts';
import { toyConfiguration } from '../support/kernel-environment.ts';
import { PATIENT } from '../support/patience.ts';
import { startTimeSkipping, type TimeSkipping } from '../support/time-skipping.ts';

const HOUR_MS = 3_600_000;
/** How long after the attempt before it each is made, in seconds: twice as long as the last time, and then every ten minutes. */
const MORE_SELDOM = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
const SELDOM = 600;

let time: TimeSkipping;
beforeEach(async () => { time = await startTimeSkipping('5 days'); });
afterEach(() => time.stop());

/**
 * A run whose gate is open, and the workflow that tells people of it; their channel is down for `downMs`, by the server's clock.
 * The run stays at its gate while that passes: this server skips no more time once a workflow is over that outlived its parent.
 */
async function runAtGate(downMs: number) {
  const configuration = toyConfiguration(time.root, { start: { approvers: ['anna'], notify: ['ops'], expiresAfter: '3d' } }, { maximum: '30d' }, {}, { notifications: { channels: { ops: { kind: 'slack', urlEnv: 'SLACK' } }, alarm: [] } });
  const attempts: { atMs: number; input: NotificationInput }[] = [];
  await time.startWorker(configuration, {
    async deliver(input: NotificationInput) {
      // Time stands still while an activity is at work: each attempt ends at once, and what is skipped are the waits between them.
      const atMs = await time.environment.currentTimeMs();
      attempts.push({ atMs, input });
      if (atMs - attempts[0]!.atMs < downMs) throw ApplicationFailure.retryable('channel "ops" cannot be reached (ECONNREFUSED)', 'UNAVAILABLE');
    },
  });
  const handle = await time.startToy({ requester: 'carol' });
  await vi.waitUntil(async () => (await handle.query<Progress>('progress')).openGate && attempts.length > 0, PATIENT);
  const deliveries = await deliveriesOf(time.environment.client, handle);
  expect(deliveries).toHaveLength(1);
  const [delivery] = deliveries as [WorkflowHandle];
  expect((await delivery.describe()).status.name).toBe('RUNNING');
  const approvedEvidence = async () => {
    await handle.executeUpdate('decide', { args: [{ gate: 'start', decision: 'approve', by: 'anna' }] });
    return time.evidenceOf(handle, configuration);
  };
  return { attempts, delivery, approvedEvidence };
}

const secondsBetween = (attempts: { atMs: number }[]) => attempts.slice(1).map(({ atMs }, index) => (atMs - attempts[index]!.atMs) / 1_000);

/** So many seconds, and what a busy machine adds. */
const about = (seconds: number) => expect.closeTo(seconds, -1) as number;

/** What the attempts were to deliver: once where it is always the same, so that whoever gets it twice can tell. */
const messagesIn = (attempts: { input: NotificationInput }[]) => [...new Set(attempts.map(({ input }) => JSON.stringify(input)))];

/** What evidence says of a run that went well, whoever was told of it. */
const WELL = [{ outcome: 'succeeded', gates: [{ name: 'start', outcome: 'approved' }], steps: [{ name: 'write one', outcome: 'done', attempts: 1 }, { name: 'write two', outcome: 'done', attempts: 1 }], notVerified: [], teardown: { outcome: 'done', provenAbsent: true } }];

it('a channel that is down for six hours gets its message when it is back, and is tried ever more seldom until then', async () => {
  const { attempts, delivery, approvedEvidence } = await runAtGate(6 * HOUR_MS);
  await delivery.result();
  const waits = secondsBetween(attempts);
  expect(waits).toEqual([...MORE_SELDOM, ...waits.slice(MORE_SELDOM.length).map(() => SELDOM)].map(about));
  const told = attempts.at(-1)!.atMs - attempts[0]!.atMs;
  expect(told).toBeGreaterThanOrEqual(6 * HOUR_MS);
  expect(told).toBeLessThan(6 * HOUR_MS + 2 * SELDOM * 1_000);
  expect(messagesIn(attempts)).toHaveLength(1);
  expect(attempts[0]!.input).toMatchObject({ channel: 'ops', notice: { kind: 'gateOpened', requester: 'carol' } });
  expect(await approvedEvidence()).toMatchObject(WELL);
});

it('a message that nobody takes for a day is given up: its delivery fails and says of what, and its run goes on as if nothing were', async () => {
  const { attempts, delivery, approvedEvidence } = await runAtGate(Infinity);
  await expect(delivery.result()).rejects.toMatchObject({ cause: { retryState: 'TIMEOUT', cause: { type: 'UNAVAILABLE', message: 'channel "ops" cannot be reached (ECONNREFUSED)' } } });
  const tried = attempts.at(-1)!.atMs - attempts[0]!.atMs;
  expect(tried).toBeLessThanOrEqual(24 * HOUR_MS);
  expect(tried).toBeGreaterThan(24 * HOUR_MS - 2 * SELDOM * 1_000);
  expect(messagesIn(attempts)).toHaveLength(1);
  expect(await approvedEvidence()).toMatchObject(WELL);
});
