import { proxyActivities } from '@temporalio/workflow';
import { NOTIFICATION_TYPE, notificationInputSchema } from '../../contracts/notification.ts';
import type { NotifyActivities } from '../../activities/notify/notify-activities.ts';
import { parseInput } from '../procedure/parse-input.ts';

/** How long a message is worth delivering: what waits for people mostly expires within a day. */
const WORTH_MS = 24 * 3_600_000;

/**
 * `idempotentWrite`, at least once: the receiver knows a repetition by its id. A channel that is down for hours is tried for
 * hours, ever more seldom.
 */
const { deliver } = proxyActivities<NotifyActivities>({
  startToCloseTimeout: '1m',
  scheduleToCloseTimeout: WORTH_MS,
  retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '10m' },
});

/** Delivers one message to one channel. It outlives the run that sends it, and holds it up in nothing. */
export async function notification(rawInput?: unknown): Promise<void> {
  const input = parseInput({ type: NOTIFICATION_TYPE, input: notificationInputSchema }, rawInput);
  await deliver(input);
}
