import type { Client } from 'pg';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Sessions } from '../../activities/manifest/session.ts';
import { exportSnapshot } from '../../activities/manifest/snapshot.ts';

// That PostgreSQL says so, and with this SQLSTATE, is in test/integration/initial-snapshot.test.ts: here is what no load keeps up for long.
const TOO_LARGE = Object.assign(new Error('initial slot snapshot too large'), { code: '40001' });
const EXPORTED = { consistent_point: '0/1', snapshot_name: 'a snapshot' };

beforeEach(() => { vi.useFakeTimers(); });
afterEach(() => { vi.useRealTimers(); });

/** Makes a slot at a server that answers so, one answer for each connection. */
function exporting(answer: (attempt: number) => Error | typeof EXPORTED, signal = new AbortController().signal) {
  const slots: string[] = [];
  let open = 0;
  const sessions = {
    async openReplication() {
      open += 1;
      const answered = answer(slots.length + 1);
      return { query: async () => { if (answered instanceof Error) throw answered; return { rows: [answered] }; } } as unknown as Client;
    },
    async close() { open -= 1; },
  } as unknown as Sessions;
  const exported = exportSnapshot(sessions, { database: 'postgres', waitMs: 1_000, signal, onSlot: (name) => slots.push(name) }).catch((error: unknown) => error);
  return { exported, slots, openNow: () => open };
}

test('a snapshot that stays too large is asked for twenty times, each later than the one before, and then given up', async () => {
  const { exported, slots, openNow } = exporting(() => TOO_LARGE);
  await vi.advanceTimersByTimeAsync(50 + 100);
  expect(slots).toHaveLength(3);
  await vi.runAllTimersAsync();
  expect(await exported).toBe(TOO_LARGE);
  expect(slots).toHaveLength(20);
  expect(new Set(slots).size).toBe(20);
  expect(openNow()).toBe(0);
});

test('a server that says so in another language is asked again', async () => {
  const { exported, slots } = exporting((attempt) => (attempt < 4 ? Object.assign(new Error('initialer Slot-Snapshot ist zu groß'), { code: '40001' }) : EXPORTED));
  await vi.runAllTimersAsync();
  expect(await exported).toMatchObject({ lsn: '0/1', snapshot: 'a snapshot' });
  expect(slots).toHaveLength(4);
});

test('what else fails is asked for once, whatever it says', async () => {
  const failure = Object.assign(new Error('all replication slots are in use, and not: initial slot snapshot too large'), { code: '53400' });
  const { exported, slots } = exporting(() => failure);
  await vi.runAllTimersAsync();
  expect(await exported).toBe(failure);
  expect(slots).toHaveLength(1);
});

test('who is cancelled while it waits for another attempt waits no longer, and makes none', async () => {
  const controller = new AbortController();
  const { exported, slots } = exporting((attempt) => { if (attempt > 1) controller.signal.throwIfAborted(); return TOO_LARGE; }, controller.signal);
  await vi.advanceTimersByTimeAsync(10);
  controller.abort(new Error('cancelled'));
  await vi.advanceTimersByTimeAsync(1);
  expect(await Promise.race([exported, Promise.resolve('it waits')])).toMatchObject({ message: 'cancelled' });
  expect(slots).toHaveLength(1);
});
