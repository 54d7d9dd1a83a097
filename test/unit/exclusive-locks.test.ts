import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { expect, test } from 'vitest';
import { lockedAcross } from '../../activities/manifest/exclusive-locks.ts';

/** A server that takes `busyMs` to list its locks, and says so each time. */
function slowServer(busyMs: number): { client: Client; looks: () => number } {
  let looks = 0;
  const query = async (): Promise<{ rows: { oid: number }[] }> => { looks += 1; await sleep(busyMs); return { rows: [{ oid: looks }] }; };
  return { client: { query } as unknown as Client, looks: () => looks };
}

test('looking for locks takes a twentieth of the time, however long a look takes', async () => {
  const server = slowServer(20);
  await lockedAcross(server.client, new AbortController().signal, () => sleep(1000));
  // At 0 and 420 ms and 840 ms, and once after the position.
  expect(server.looks()).toBeGreaterThanOrEqual(2);
  expect(server.looks()).toBeLessThanOrEqual(4);
});

test('what the last look before the position found counts, and what the one after it finds', async () => {
  const { locked } = await lockedAcross(slowServer(0).client, new AbortController().signal, () => sleep(0));
  expect([...locked]).toEqual([1, 2]);
});
