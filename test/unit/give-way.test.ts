import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { expect, test } from 'vitest';
import { GiveWay } from '../../activities/manifest/give-way.ts';
import type { TableLocks } from '../../activities/manifest/table-locks.ts';

const WORKERS = [7, 8, 9];
const TABLE = { schema: 'public', name: 'large' };

type Answer = (text: string) => object[] | Promise<object[]>;
const WAITER = { relation: 20_000, pid: 20, transaction: '3/4', seconds: 6, behind: null as number | null, blockedBy: WORKERS };

/** Looks for a while at a server that answers so; `meanwhile` is called all the time. */
async function lookAt(answer: Answer, { ms = 600, meanwhile = async () => undefined, limitMs = 1_000 }: { ms?: number; limitMs?: number; meanwhile?: (way: GiveWay, workers: readonly Client[]) => Promise<unknown> } = {}) {
  const query = async (asking: string | { text: string }): Promise<{ rows: object[] }> => ({ rows: await answer(typeof asking === 'string' ? asking : asking.text) });
  const workers = WORKERS.map((processID) => ({ processID }) as unknown as Client);
  const stopping = new AbortController();
  const way = new GiveWay({ workers, limitMs, abandoned: new Map(), stopping });
  way.reads([{ oid: 20_000, ...TABLE }]);
  const client = { query } as unknown as Client;
  way.start({ client, open: async () => client, close: async () => undefined }, { clients: [] } as unknown as TableLocks);
  const started = performance.now();
  while (performance.now() - started < ms) { await sleep(20); await meanwhile(way, workers); }
  way.stop();
  return { way, workers, stopping, reason: stopping.signal.reason as unknown };
}

/** Looks again and again at a server on which somebody always waits for all workers, and what it asks there is answered so. */
function watch({ stillInTheWay, asked }: { stillInTheWay: boolean; asked: string[] }) {
  return lookAt((text) => {
    asked.push(text);
    if (text.includes('pg_lock_status')) return [WAITER];
    if (text.includes('pg_cancel_backend')) return stillInTheWay ? [{ sent: true }] : [];
    return [{ oid: 5 }];
  });
}
const numberOf = (word: string, asked: readonly string[]): number => asked.filter((text) => text.includes(word)).length;

test('what was at something else by the time was not cancelled, however often, and its table is not left out', async () => {
  const asked: string[] = [];
  const { way, workers } = await watch({ stillInTheWay: false, asked });
  expect(numberOf('pg_cancel_backend', asked)).toBeGreaterThan(3);
  for (const worker of workers) expect(await way.wasCancelled(worker)).toBe(false);
  expect(way.isAbandoned(TABLE)).toBe(false);
});

test('several that read one table are cancelled once each, which is one time: a second one would meet what they do next', async () => {
  const asked: string[] = [];
  const { way, workers } = await watch({ stillInTheWay: true, asked });
  expect(numberOf('pg_lock_status', asked)).toBeGreaterThan(3);
  expect(numberOf('pg_cancel_backend', asked)).toBe(WORKERS.length);
  for (const worker of workers) {
    expect(await way.wasCancelled(worker)).toBe(true);
    expect(await way.wasCancelled(worker)).toBe(false);
  }
  expect(way.isAbandoned(TABLE)).toBe(false);
});

const lockTimeout = Object.assign(new Error('canceling statement due to lock timeout'), { code: '55P03' });

test('a table is left out after three times, also while the catalog does not say what it is called', async () => {
  const { way } = await lookAt((text) => {
    if (text.includes('JOIN pg_class')) throw lockTimeout;
    return text.includes('pg_lock_status') ? [WAITER] : [{ oid: 5, sent: true }];
  }, { meanwhile: (given, workers) => Promise.all(workers.map((worker) => given.wasCancelled(worker))) });
  expect(way.isAbandoned(TABLE)).toBe(true);
});

test('what was counted of an index before it was known whose it is counts for its table', async () => {
  let cancelled = 0;
  const { way } = await lookAt((text) => {
    if (text.includes('pg_cancel_backend')) cancelled += 1;
    if (text.includes('JOIN pg_class') && cancelled < 2 * WORKERS.length) throw lockTimeout;
    if (text.includes('JOIN pg_class')) return [{ oid: 20_000, name: TABLE.name, namespace: '2200' }];
    if (text.includes('pg_namespace')) return [{ schema: TABLE.schema }];
    return text.includes('pg_lock_status') ? (cancelled < 3 * WORKERS.length ? [{ ...WAITER, relation: 20_001 }] : []) : [{ oid: 5, sent: true }];
  }, { meanwhile: (given, workers) => Promise.all(workers.map((worker) => given.wasCancelled(worker))) });
  expect(cancelled).toBe(3 * WORKERS.length);
  expect(way.isAbandoned(TABLE)).toBe(true);
});

/** Somebody waits for the system's catalog, or behind a command CONCURRENTLY, when they are looked for. */
const ofCatalog = { ...WAITER, relation: 1_259 };
const behind = { ...WAITER, behind: 21 };

test.each([ofCatalog, behind])('who has what they waited for by the time ends no reading', async (waiter) => {
  const still = (isStill: boolean): Answer => (text) => (text.includes('pg_lock_status') ? [waiter] : text.includes('AS still') ? [{ still: isStill }] : [{ oid: 5 }]);
  expect((await lookAt(still(false))).reason).toBeUndefined();
  expect((await lookAt(still(true))).reason).toMatchObject({ type: 'inTheWay' });
});

test('what is over while it is looked ends nothing else', async () => {
  let asked = 0;
  const { stopping } = await lookAt(async (text) => {
    if (text.includes('AS still')) { asked += 1; await sleep(300); }
    return text.includes('pg_lock_status') ? [ofCatalog] : [{ oid: 5, still: true }];
  }, { ms: 150 });
  await sleep(400);
  expect([asked, stopping.signal.aborted]).toEqual([1, false]);
});

test('that it cannot be looked for longer than somebody may wait ends the reading; that it cannot for a moment does not', async () => {
  let looks = 0;
  const failing = (isFailing: () => boolean): Answer => (text) => { if (text.includes('pg_lock_status') && isFailing()) throw lockTimeout; return []; };
  expect((await lookAt(failing(() => true), { ms: 2_600 })).reason).toMatchObject({ type: 'inTheWay', message: expect.stringMatching(/could not look for longer than 1 s \(manifest\.maxBlocking\): canceling/) as string });
  expect((await lookAt(failing(() => { looks += 1; return looks % 2 === 1; }), { ms: 4_500 })).reason).toBeUndefined();
  expect(looks).toBeGreaterThan(3);
});
