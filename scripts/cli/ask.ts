import { setTimeout as sleep } from 'node:timers/promises';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { isNotTakenUp } from '../../contracts/messages.ts';

/** A worker that lives answers at once; a busy one within this. */
export const ANSWER_MS = 10_000;
/** What has happened is taken up at once, by a worker that lives. */
const AGAIN_MS = 100;

/**
 * Asks a run, and once more where it had not taken up yet what happened.
 *
 * @throws the SDK's error when it does not answer within that time
 */
export async function ask<T>(client: Client, handle: WorkflowHandle, query: string, withinMs = ANSWER_MS): Promise<T> {
  const untilMs = Date.now() + withinMs;
  for (;;) {
    try {
      return await client.withDeadline(untilMs, () => handle.query<T>(query));
    } catch (error) {
      if (!isNotTakenUp(error) || Date.now() + AGAIN_MS > untilMs) throw error;
    }
    await sleep(AGAIN_MS);
  }
}
